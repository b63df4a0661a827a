/* SPDX-License-Identifier: MIT */
/*
 * no_done_case - a worker's select has no case for the end, which is announced by closing `done`.
 *
 * Like cockroach/2448, istio/17860, moby/27782.
 *
 * expect: worker, select: unreachable 2
 */
#include "kernel.h"

struct pool {
	goro_chan *work, *urgent, *done;
};

static void worker(void *arg)
{
	struct pool *p = arg;
	struct goro_case cases[] = {
		goro_recv_case(p->work, NULL),
		goro_recv_case(p->urgent, NULL),
		goro_recv_case(p->done, NULL),
	};

	while (goro_select(cases, fixed ? 3 : 2) != 2)
		;
}

void kernel(void *unused)
{
	struct pool *p = NEW(struct pool);

	(void)unused;
	p->work = goro_chan_of(int, 0);
	p->urgent = goro_chan_of(int, 0);
	p->done = goro_chan_of(int, 0);
	go(worker, p);
	go(worker, p);
	goro_chan_send(p->work, &(int){ 1 });
	goro_chan_close(p->done);
}
