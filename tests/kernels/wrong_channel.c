/* SPDX-License-Identifier: MIT */
/*
 * wrong_channel - the signal to end is given on another channel than the one that is listened to.
 *
 * Like cockroach/13755, cockroach/24808.
 *
 * expect: server, chan receive: unreachable
 */
#include "kernel.h"

struct service {
	goro_chan *stop, *stopped;
};

static void server(void *arg)
{
	struct service *s = arg;

	goro_chan_recv(s->stop, NULL);
	after();
}

void kernel(void *unused)
{
	struct service *s = NEW(struct service);

	(void)unused;
	s->stop = goro_chan_of(int, 0);
	s->stopped = goro_chan_of(int, 0);
	go(server, s);
	goro_chan_close(fixed ? s->stop : s->stopped);
}
