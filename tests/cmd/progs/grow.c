/* SPDX-License-Identifier: MIT */
/*
 * grow - every 10 ms one more goroutine that nobody will wake, as in a server with a forgotten
 * answer.
 *
 * goro leaks --for 2s: LIKELY (growth), of forgotten() started at START.
 */
#include "goro.h"

static void forgotten(void *arg)
{
	goro_chan_recv(arg, NULL);
}

int main(void)
{
	goro_chan *answers = goro_chan_of(int, 0);

	for (int i = 0; i < 60000; i++) {
		go(forgotten, answers); /* START */
		goro_sleep(10 * GORO_MILLISECOND);
	}
	return 0;
}
