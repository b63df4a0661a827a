/* SPDX-License-Identifier: MIT */
/*
 * quit_once - three workers are told to stop by one message, which one of them gets, where the
 * channel was to be closed.
 *
 * Like moby/27782, kubernetes/70277: a send where a close was meant, since there was one worker
 * once.
 *
 * expect: worker, select: unreachable 2
 */
#include "kernel.h"

enum { WORKERS = 3 };

struct pool {
	goro_chan *jobs, *quit;
	goro_waitgroup begun;
};

static void worker(void *arg)
{
	struct pool *p = arg;
	int job;
	struct goro_case cases[] = { goro_recv_case(p->jobs, &job), goro_recv_case(p->quit, NULL) };

	goro_waitgroup_done(&p->begun);
	while (goro_select(cases, 2) == 0)
		after();
	after();
}

void kernel(void *unused)
{
	struct pool *p = NEW(struct pool);

	(void)unused;
	p->jobs = goro_chan_of(int, 0);
	p->quit = goro_chan_of(int, 0);
	goro_waitgroup_add(&p->begun, WORKERS);
	for (int i = 0; i < WORKERS; i++)
		go(worker, p);
	goro_waitgroup_wait(&p->begun);
	for (int i = 0; i < 5; i++)
		goro_chan_send(p->jobs, &i);
	if (fixed)
		goro_chan_close(p->quit);
	else
		goro_chan_send(p->quit, &(int){ 1 });
}
