/* SPDX-License-Identifier: MIT */
/*
 * context_ignored - the context is cancelled, but the goroutine sends without looking at it.
 *
 * Like kubernetes/25331, moby/33781, cockroach/10790.
 *
 * expect: search, chan send: unreachable 3
 */
#include "kernel.h"

struct query {
	goro_context *ctx;
	goro_chan *results;
};

static void search(void *arg)
{
	struct query *q = arg;
	int result = 1;
	struct goro_case cases[] = {
		goro_send_case(q->results, &result),
		goro_recv_case(goro_context_done(q->ctx), NULL),
	};

	if (fixed)
		goro_select(cases, 2);
	else
		goro_chan_send(q->results, &result);
	after();
}

void kernel(void *unused)
{
	struct query *q = NEW(struct query);

	(void)unused;
	q->ctx = goro_context_with_cancel(goro_background());
	q->results = goro_chan_of(int, 0);
	for (int i = 0; i < 4; i++)
		go(search, q);
	goro_chan_recv(q->results, NULL);
	goro_context_cancel(q->ctx);
}
