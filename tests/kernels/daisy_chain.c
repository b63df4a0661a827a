/* SPDX-License-Identifier: MIT */
/*
 * daisy_chain - fifty goroutines, each of which waits for the next one; nobody pulls at the end.
 * Each channel is known to two of them, so all are proved or none.
 *
 * DaisyChain of Go's tests.
 *
 * expect: chain_link, chan receive: unreachable 50
 */
#include "kernel.h"

struct ends {
	goro_chan *from, *to;
};

static void chain_link(void *arg)
{
	struct ends *e = arg;

	goro_chan_recv(e->from, NULL);
	goro_chan_close(e->to);
}

void kernel(void *unused)
{
	goro_chan *first = goro_chan_of(int, 0);
	struct ends e = { NULL, first };

	(void)unused;
	for (int i = 0; i < 50; i++) {
		e = (struct ends){ e.to, goro_chan_of(int, 0) };
		go_copy(chain_link, &e);
	}
	if (fixed)
		goro_chan_close(first);
}
