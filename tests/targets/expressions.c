/* SPDX-License-Identifier: MIT */
/*
 * expressions.c - a frame that is over-aligned and of a size known only at run time: the compiler
 * keeps the way back in a register of its own, and describes it by DWARF expressions.
 *
 * stack 1 chan receive
 *	receive @receive
 *	both @both
 *	start @start
 * stack 1 chan receive
 *	receive @receive
 *	main @main
 */
#include "target.h"

static goro_chan *never;

static NOINLINE int receive(int v)
{
	int got = 0;

	goro_chan_recv(never, &got); /* @receive */
	return got + v;
}

static NOINLINE int both(size_t size, long a, long b, long c, long d, long e, long f, long g)
{
	char aligned[192] __attribute__((aligned(64)));
	char *buffer = alloca(size);
	int v;

	memset(buffer, 1, size);
	memset(aligned, 2, sizeof aligned);
	used(buffer[size / 2] + aligned[size / 2]);
	v = receive(3); /* @both */
	used(buffer[1] + aligned[1] + a + b + c + d + e + f + g);
	return v;
}

static void start(void *arg)
{
	used(both((size_t)(intptr_t)arg, 1, 2, 3, 4, 5, 6, 7)); /* @start */
	used(1);
}

int main(void)
{
	never = goro_chan_of(int, 0);
	go(start, (void *)100);
	go(keep_alive, NULL);
	used(receive(8)); /* @main */
	return 0;
}
