/* SPDX-License-Identifier: MIT */
/* one_call - leaves a goroutine whose function is one call: it jumps there and has no frame. */
#include "goro.h"

static void taker(void *c)
{
	goro_chan_recv(c, NULL);
}

int main(void)
{
	go(taker, goro_chan_of(int, 0));
	goro_yield();
	return 0;
}
