/* SPDX-License-Identifier: MIT */
/*
 * global_channel - the leak is on a channel that a global variable holds: somebody could still find
 * it and send. As in Go, this cannot be proved by reachability.
 *
 * Like NoLeakGlobal of Go's tests.
 *
 * expect: waiter, chan receive: alive
 */
#include "kernel.h"

static goro_chan *global;
static goro_once once;

static void init(void *unused)
{
	(void)unused;
	global = goro_chan_of(int, 0);
	if (fixed)
		goro_chan_close(global);
}

static void waiter(void *unused)
{
	(void)unused;
	goro_chan_recv(global, NULL);
	after();
}

void kernel(void *unused)
{
	goro_once_do(&once, init, unused);
	go(waiter, NULL);
}
