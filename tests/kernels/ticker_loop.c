/* SPDX-License-Identifier: MIT */
/*
 * ticker_loop - a loop that a ticker drives and nobody stops. It can go on, and does: no proof may
 * accuse it.
 *
 * Like istio/17860, kubernetes/70277: what is left to suspicion.
 *
 * expect: loop, chan receive: alive
 */
#include "kernel.h"

static void loop(void *arg)
{
	for (int i = 0; !fixed || i < 3; i++)
		goro_chan_recv(goro_ticker_chan(arg), NULL);
	goro_ticker_stop(arg);
}

void kernel(void *unused)
{
	(void)unused;
	go(loop, goro_ticker_new(20 * GORO_MILLISECOND));
}
