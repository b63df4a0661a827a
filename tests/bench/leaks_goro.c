/* SPDX-License-Identifier: MIT */
/*
 * leaks_goro - a big program to search for leaks: 10 million objects, 100,000 goroutines that wait
 * for a channel that a global table leads to, and 10 whose channel nothing leads to.
 *
 *	leaks_goro [DIVISOR]
 *
 * Prints "ready", and ends when its standard input does.
 */
#include <poll.h>
#include <stdio.h>

#include "goro.h"
#include "leaks_heap.h"

enum { GOROUTINES = 100000, LEAKED = 10 };

static goro_waitgroup parked;
static goro_chan *volatile *channels;

static void waits(void *arg)
{
	goro_waitgroup_done(&parked);
	goro_chan_recv(arg, NULL);
}

static void leaks(void *arg)
{
	goro_waitgroup_done(&parked);
	goro_chan_recv(arg, NULL);
}

int main(int argc, char **argv)
{
	struct pollfd input = { .fd = 0, .events = POLLIN };
	long divisor = argc > 1 ? strtol(argv[1], NULL, 10) : 1;
	long n = GOROUTINES / divisor;

	if (divisor < 1 || n < 1)
		return 2;
	goro_waitgroup_add(&parked, (int)n + LEAKED);
	/* First: so their stacks were never anybody else's. */
	for (long i = 0; i < LEAKED; i++)
		go(leaks, goro_chan_of(int, 0));
	leaks_build(LEAKS_OBJECTS / divisor);
	channels = calloc((size_t)n, sizeof(*channels));
	if (!channels)
		return 1;
	for (long i = 0; i < n; i++) {
		channels[i] = goro_chan_of(int, 0);
		go(waits, channels[i]);
	}
	goro_waitgroup_wait(&parked);
	printf("ready\n");
	fflush(stdout);
	while (poll(&input, 1, 0) == 0)
		goro_sleep(20 * GORO_MILLISECOND);
	return 0;
}
