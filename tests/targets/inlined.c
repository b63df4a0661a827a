/* SPDX-License-Identifier: MIT */
/*
 * inlined.c - functions that are inlined into each other and have no frames of their own.
 *
 * stack 2 chan receive
 *	innermost @innermost
 *	middle @middle
 *	outer @outer
 *	not_inlined @not_inlined
 *	start @start
 * stack 1 sleep
 *	nap @nap
 *	start_nap @start_nap
 * stack 1 chan receive
 *	innermost @innermost
 *	main @main
 */
#include "target.h"

static goro_chan *never;

static INLINE int innermost(goro_chan *c)
{
	int v = 0;

	goro_chan_recv(c, &v); /* @innermost */
	return v;
}

static INLINE int middle(goro_chan *c, int n)
{
	int v = n;

	if (n > 0)
		v += innermost(c); /* @middle */
	return v * n;
}

static INLINE int outer(goro_chan *c)
{
	int v = middle(c, 3); /* @outer */

	return v + 1;
}

static NOINLINE int not_inlined(goro_chan *c)
{
	int v;

	v = outer(c); /* @not_inlined */
	used(v);
	return v;
}

static void start(void *arg)
{
	int v = not_inlined(arg); /* @start */

	used(v);
}

static INLINE void nap(int64_t ns)
{
	goro_sleep(ns); /* @nap */
}

static void start_nap(void *arg)
{
	(void)arg;
	nap(3600 * GORO_SECOND); /* @start_nap */
	used(2);
}

int main(void)
{
	never = goro_chan_of(int, 0);
	go(start, never);
	go(start, never);
	go(start_nap, NULL);
	used(innermost(never)); /* @main */
	return 0;
}
