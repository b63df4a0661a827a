/* SPDX-License-Identifier: MIT */
/*
 * leftover - main returns while goroutines are there: two that wait for ever at WAIT, and one that
 * ends by itself after ARG milliseconds. It does so when the two have begun: on a busy machine a
 * grace period may be over before a new goroutine runs.
 *
 * The exit status is 7.
 */
#include <stdio.h>
#include <stdlib.h>

#include "goro.h"

static goro_waitgroup begun;

static void wait_for_ever(void *arg)
{
	goro_waitgroup_done(&begun);
	goro_chan_recv(arg, NULL); /* WAIT */
}

static void end_soon(void *arg)
{
	goro_sleep(*(int *)arg * GORO_MILLISECOND);
}

int main(int argc, char **argv)
{
	int ms = argc > 1 ? atoi(argv[1]) : 0;
	int waiting = argc > 2 ? atoi(argv[2]) : 2;
	static goro_chan *c;

	c = goro_chan_of(int, 0);
	goro_waitgroup_add(&begun, waiting);
	for (int i = 0; i < waiting; i++)
		go(wait_for_ever, c); /* START */
	goro_waitgroup_wait(&begun);
	go_copy(end_soon, &ms);
	puts("main ends");
	return 7;
}
