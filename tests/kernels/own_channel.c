/* SPDX-License-Identifier: MIT */
/*
 * own_channel - a goroutine sends into an unbuffered channel that it would read itself.
 *
 * expect: talker, chan send: unreachable
 */
#include "kernel.h"

static void talker(void *arg)
{
	goro_chan *c = goro_chan_of(int, fixed ? 1 : 0);

	(void)arg;
	goro_chan_send(c, &(int){ 1 });
	goro_chan_recv(c, NULL);
	after();
}

void kernel(void *unused)
{
	go(talker, unused);
}
