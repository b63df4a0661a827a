/* SPDX-License-Identifier: MIT */
/*
 * second_send - a callback that is meant to be called once is called twice; the buffer holds one.
 *
 * Like cockroach/35931, grpc/660.
 *
 * expect: notifier, chan send: unreachable
 */
#include "kernel.h"

static void notifier(void *arg)
{
	goro_chan_send(arg, &(int){ 1 });
	if (!fixed)
		goro_chan_send(arg, &(int){ 2 });
	after();
}

void kernel(void *unused)
{
	(void)unused;
	go(notifier, goro_chan_of(int, 1));
}
