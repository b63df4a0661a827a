/* SPDX-License-Identifier: MIT */
/*
 * twice - one line that several calls are made of, as when a compiler unrolls its loop: five
 * goroutines that wait for ever, of START; with an argument, five more every 20 ms.
 */
#include "goro.h"

static void forgotten(void *arg)
{
	goro_chan_recv(arg, NULL);
}

#define FIVE_TIMES(call) \
	do {             \
		call;    \
		call;    \
		call;    \
		call;    \
		call;    \
	} while (0)

int main(int argc, char **argv)
{
	static goro_chan *c; /* so that nothing is proved */

	(void)argv;
	c = goro_chan_make(0, 0);
	do {
		FIVE_TIMES(go(forgotten, c)); /* START */
		goro_sleep(20 * GORO_MILLISECOND);
	} while (argc > 1);
	for (;;)
		goro_sleep(GORO_SECOND);
}
