/* SPDX-License-Identifier: MIT */
/*
 * sender_gave_up - the sender returns on an error, and the receiver is not told.
 *
 * Like cockroach/13755, grpc/1424, moby/30408.
 *
 * expect: receiver, chan receive: unreachable
 */
#include "kernel.h"

static void receiver(void *arg)
{
	goro_chan_recv(arg, NULL);
	after();
}

static void sender(void *arg)
{
	bool failed = true;

	if (failed) {
		if (fixed)
			goro_chan_close(arg);
		return;
	}
	goro_chan_send(arg, &(int){ 1 });
}

void kernel(void *unused)
{
	goro_chan *c = goro_chan_of(int, 0);

	(void)unused;
	go(receiver, c);
	go(sender, c);
}
