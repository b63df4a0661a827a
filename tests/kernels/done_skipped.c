/* SPDX-License-Identifier: MIT */
/*
 * done_skipped - a worker returns early and skips its Done; the one that waits for all holds back
 * another that wants its result.
 *
 * Like cockroach/1462, cockroach/1055.
 *
 * expect: collect, sync.WaitGroup.Wait: unreachable
 * expect: consumer, chan receive: unreachable
 */
#include "kernel.h"

struct batch {
	goro_waitgroup wg;
	goro_chan *result;
};

static void worker(void *arg)
{
	struct batch *b = arg;
	bool failed = true;

	if (failed && !fixed)
		return;
	goro_waitgroup_done(&b->wg);
}

static void collect(void *arg)
{
	struct batch *b = arg;

	goro_waitgroup_wait(&b->wg);
	goro_chan_close(b->result);
}

static void consumer(void *arg)
{
	struct batch *b = arg;

	goro_chan_recv(b->result, NULL);
	after();
}

void kernel(void *unused)
{
	struct batch *b = NEW(struct batch);

	(void)unused;
	b->result = goro_chan_of(int, 0);
	goro_waitgroup_add(&b->wg, 1);
	go(worker, b);
	go(collect, b);
	go(consumer, b);
}
