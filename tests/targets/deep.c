/* SPDX-License-Identifier: MIT */
/*
 * deep.c - a recursion of 300 calls, and one of 1500, which is more than an observer shows.
 *
 * stack 1 chan receive
 *	bottom @bottom
 *	down @last
 *	down @down *299
 *	dive @dive
 * stack 1 chan receive truncated
 *	sink_in @sink_in
 *	fall @fallen
 *	fall @fall *1000+
 * stack 1 chan receive
 *	main @main
 */
#include "target.h"

static goro_chan *never;

static NOINLINE void bottom(int depth)
{
	goro_chan_recv(never, &depth); /* @bottom */
	used(depth);
}

static NOINLINE void down(int depth, char *bytes)
{
	char more[16];

	memset(more, depth, sizeof more);
	if (depth == 1)
		bottom(depth + bytes[0]); /* @last */
	else
		down(depth - 1, more); /* @down */
	used(more[3] + depth);
}

static void dive(void *arg)
{
	(void)arg;
	down(300, (char[16]){ 1 }); /* @dive */
	used(1);
}

static NOINLINE void sink_in(long depth)
{
	goro_chan_recv(never, NULL); /* @sink_in */
	used(depth);
}

static NOINLINE void fall(long depth)
{
	if (depth == 0)
		sink_in(depth); /* @fallen */
	else
		fall(depth - 1); /* @fall */
	used(depth);
}

static void fall_far(void *arg)
{
	(void)arg;
	fall(1500);
	used(2);
}

int main(void)
{
	never = goro_chan_of(int, 0);
	go(dive, NULL);
	go(fall_far, NULL);
	go(keep_alive, NULL);
	goro_chan_recv(never, NULL); /* @main */
	return 0;
}
