/* SPDX-License-Identifier: MIT */
/*
 * stopped_timer - a deadline is called off, and the goroutine that waits for it is not told.
 *
 * Like grpc/3017, kubernetes/5316.
 *
 * expect: watchdog, chan receive: unreachable
 */
#include "kernel.h"

struct deadline {
	goro_timer *timer;
	goro_chan *called_off;
};

static void watchdog(void *arg)
{
	struct deadline *d = arg;
	struct goro_case cases[] = {
		goro_recv_case(goro_timer_chan(d->timer), NULL),
		goro_recv_case(d->called_off, NULL),
	};

	if (fixed)
		goro_select(cases, 2);
	else
		goro_chan_recv(goro_timer_chan(d->timer), NULL);
	after();
}

void kernel(void *unused)
{
	struct deadline *d = NEW(struct deadline);

	(void)unused;
	d->timer = goro_timer_new(3600 * GORO_SECOND);
	d->called_off = goro_chan_of(int, 0);
	go(watchdog, d);
	goro_yield();
	goro_timer_stop(d->timer);
	goro_chan_close(d->called_off);
}
