/* SPDX-License-Identifier: MIT */
/*
 * crowd.c - as many goroutines as the argument says, parked, from one to eight functions deep.
 * Core files of it are looked at in tests/profiler/test_core.c.
 */
#include <stdlib.h>
#include "target.h"

static goro_chan *never;

static NOINLINE void descend(int depth)
{
	if (depth)
		descend(depth - 1);
	else
		goro_chan_recv(never, NULL);
	used(depth);
}

static void member(void *depth)
{
	descend((int)(intptr_t)depth);
	used(9);
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 150;

	never = goro_chan_of(int, 0);
	for (int i = 0; i < n; i++)
		go(member, (void *)(intptr_t)(i % 8));
	for (;;)
		goro_sleep(3600 * GORO_SECOND);
}
