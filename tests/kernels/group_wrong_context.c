/* SPDX-License-Identifier: MIT */
/*
 * group_wrong_context - the tasks of a group look whether the context of the caller has ended, not
 * that of the group, which the first error cancels; and who waits for them cancels the caller's
 * only then.
 *
 * The shadowed ctx of errgroup.WithContext(), as in many reports of goroutine leaks.
 *
 * expect: task, select: unreachable 2
 * expect: serve, *: unreachable
 */
#include "kernel.h"

enum { TASKS = 2 };

struct work {
	goro_context *ctx;
	goro_group *group;
	goro_chan *input;
	goro_waitgroup begun;
};

static int task(void *arg)
{
	struct work *w = arg;
	goro_context *ctx = fixed ? goro_group_context(w->group) : w->ctx;
	struct goro_case cases[] = {
		goro_recv_case(w->input, NULL),
		goro_recv_case(goro_context_done(ctx), NULL),
	};

	goro_waitgroup_done(&w->begun);
	goro_select(cases, 2);
	after();
	return 0;
}

static int fails(void *arg)
{
	(void)arg;
	return -EIO;
}

static void serve(void *arg)
{
	struct work *w = arg;

	goro_group_wait(w->group);
	goro_context_cancel(w->ctx);
	goro_group_free(w->group);
	goro_context_release(w->ctx);
}

void kernel(void *unused)
{
	struct work *w = NEW(struct work);

	(void)unused;
	w->ctx = goro_context_with_cancel(goro_background());
	w->group = goro_group_new(w->ctx);
	w->input = goro_chan_of(int, 0);
	goro_waitgroup_add(&w->begun, TASKS);
	for (int i = 0; i < TASKS; i++)
		goro_group_go(w->group, task, w);
	goro_waitgroup_wait(&w->begun);
	goro_group_go(w->group, fails, NULL);
	go(serve, w);
}
