/* SPDX-License-Identifier: MIT */
/*
 * stopped_ticker - a stopped ticker's channel is not closed: who reads until its end waits for
 * ever.
 *
 * Like kubernetes/70277, istio/17860.
 *
 * expect: loop, chan receive: unreachable
 */
#include "kernel.h"

struct clock {
	goro_ticker *ticker;
	goro_chan *done;
};

static void loop(void *arg)
{
	struct clock *c = arg;
	struct goro_case cases[] = {
		goro_recv_case(goro_ticker_chan(c->ticker), NULL),
		goro_recv_case(c->done, NULL),
	};

	if (fixed) {
		while (goro_select(cases, 2) == 0)
			;
		return;
	}
	while (goro_chan_recv(goro_ticker_chan(c->ticker), NULL))
		;
}

void kernel(void *unused)
{
	struct clock *c = NEW(struct clock);

	(void)unused;
	c->ticker = goro_ticker_new(GORO_MILLISECOND);
	c->done = goro_chan_of(int, 0);
	go(loop, c);
	goro_sleep(3 * GORO_MILLISECOND);
	goro_ticker_stop(c->ticker);
	goro_chan_close(c->done);
}
