/* SPDX-License-Identifier: MIT */
/*
 * stale - main starts a goroutine that waits for ever on a channel, at START, then returns, and all
 * of the stack that main ever used is full of addresses of that channel. Nobody has it any more.
 * With an argument another goroutine does all that, and calls exit().
 */
#include <stddef.h>
#include <stdlib.h>

#include "goro.h"

static void wait_for_ever(void *c)
{
	goro_chan_recv(c, NULL); /* WAIT */
}

static __attribute__((noinline)) void fill(void *what)
{
	void *volatile room[1024];

	for (size_t i = 0; i < sizeof(room) / sizeof(*room); i++)
		room[i] = what;
}

static __attribute__((noinline)) void leak(void)
{
	goro_chan *c = goro_chan_of(int, 0);

	go(wait_for_ever, c); /* START */
	goro_yield();
	fill(c);
}

static void leak_and_exit(void *unused)
{
	(void)unused;
	leak();
	exit(0);
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc == 1) {
		leak();
		return 0;
	}
	go(leak_and_exit, NULL);
	for (;;)
		goro_sleep(GORO_SECOND);
}
