/* SPDX-License-Identifier: MIT */
/*
 * sema_over_size - a task asks for more than the whole semaphore has, and one that is global.
 *
 * The limit came from a configuration and the request from the data: golang.org/x/sync's semaphore
 * waits until the context ends, and with none for ever. Who only waits for all of it is not stuck.
 *
 * expect: too_much, semacquire (over its size): never
 * expect: too_much_without_end, semacquire (over its size): never
 * expect: too_much_for_now, semacquire (context): alive
 */
#include "kernel.h"

static goro_sema room = GORO_SEMA(4);

static void too_much(void *arg)
{
	(void)arg;
	goro_sema_acquire(&room, fixed ? 4 : 5);
	goro_sema_release(&room, 4);
	after();
}

/* A context that never ends is none. */
static void too_much_without_end(void *arg)
{
	(void)arg;
	if (!goro_sema_acquire_context(&room, goro_background(), fixed ? 4 : INT64_MAX))
		goro_sema_release(&room, 4);
	after();
}

static void too_much_for_now(void *ctx)
{
	goro_sema_acquire_context(&room, ctx, 5);
	after();
}

static void holds_all(void *arg)
{
	goro_waitgroup *begun = arg;

	goro_sema_acquire(&room, 4);
	goro_waitgroup_done(begun);
	if (fixed)
		UNTIL_WAITED(&room); /* LEAKED is nobody who waits for all of it */
	goro_sema_release(&room, 4);
}

void kernel(void *unused)
{
	goro_waitgroup *begun = NEW(goro_waitgroup);
	goro_context *ctx = goro_context_with_cancel(goro_background());

	(void)unused;
	goro_waitgroup_add(begun, 1);
	go(holds_all, begun);
	goro_waitgroup_wait(begun);
	go(too_much, NULL);
	go(too_much_without_end, NULL);
	go(too_much_for_now, ctx);
	if (fixed)
		goro_context_cancel(ctx);
}
