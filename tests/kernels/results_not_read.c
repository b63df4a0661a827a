/* SPDX-License-Identifier: MIT */
/*
 * results_not_read - jobs are closed, but the workers stand before a full channel of results, and
 * who waits for the workers reads none.
 *
 * Like cockroach/35073, grpc/660.
 *
 * expect: worker, chan send: unreachable 3
 * expect: kernel, sync.WaitGroup.Wait: unreachable
 */
#include "kernel.h"

struct pool {
	goro_chan *jobs, *results;
	goro_waitgroup workers;
};

static void worker(void *arg)
{
	struct pool *p = arg;
	int job;

	while (goro_chan_recv(p->jobs, &job))
		goro_chan_send(p->results, &job);
	goro_waitgroup_done(&p->workers);
}

void kernel(void *unused)
{
	struct pool *p = NEW(struct pool);

	(void)unused;
	p->jobs = goro_chan_of(int, 8);
	p->results = goro_chan_of(int, fixed ? 8 : 1);
	goro_waitgroup_add(&p->workers, 3);
	for (int i = 0; i < 8; i++)
		goro_chan_send(p->jobs, &i);
	goro_chan_close(p->jobs);
	for (int i = 0; i < 3; i++)
		go(worker, p);
	goro_waitgroup_wait(&p->workers);
	after();
}
