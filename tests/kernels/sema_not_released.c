/* SPDX-License-Identifier: MIT */
/*
 * sema_not_released - an error path keeps what it took of a semaphore.
 *
 * expect: next, semacquire: unreachable 2
 */
#include "kernel.h"

struct slots {
	goro_sema sema;
	goro_waitgroup tried;
};

static void job(void *arg)
{
	struct slots *s = arg;

	goro_sema_acquire(&s->sema, 1);
	if (fixed)
		goro_sema_release(&s->sema, 1);
	goro_waitgroup_done(&s->tried);
}

static void next(void *arg)
{
	struct slots *s = arg;

	goro_sema_acquire(&s->sema, 1);
	goro_sema_release(&s->sema, 1);
}

void kernel(void *unused)
{
	struct slots *s = NEW(struct slots);

	(void)unused;
	s->sema = (goro_sema)GORO_SEMA(1);
	goro_waitgroup_add(&s->tried, 1);
	go(job, s);
	goro_waitgroup_wait(&s->tried);
	go(next, s);
	go(next, s);
}
