/* SPDX-License-Identifier: MIT */
/*
 * never_closed - consumers read until the end of a channel, and nobody ends it.
 *
 * Like cockroach/35931, etcd/6857.
 *
 * expect: consumer, chan receive: unreachable 2
 */
#include "kernel.h"

static void consumer(void *arg)
{
	int job;

	while (goro_chan_recv(arg, &job))
		;
}

void kernel(void *unused)
{
	goro_chan *jobs = goro_chan_of(int, 4);

	(void)unused;
	go(consumer, jobs);
	go(consumer, jobs);
	for (int i = 0; i < 10; i++)
		goro_chan_send(jobs, &i);
	if (fixed)
		goro_chan_close(jobs);
}
