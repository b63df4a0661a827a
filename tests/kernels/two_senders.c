/* SPDX-License-Identifier: MIT */
/*
 * two_senders - two goroutines send to each other first, and would receive after that.
 *
 * Like cockroach/2448.
 *
 * expect: left, chan send: unreachable
 * expect: right, chan send: unreachable
 */
#include "kernel.h"

struct wire {
	goro_chan *to_right, *to_left;
};

static void left(void *arg)
{
	struct wire *w = arg;

	goro_chan_send(w->to_right, &(int){ 1 });
	goro_chan_recv(w->to_left, NULL);
	after();
}

static void right(void *arg)
{
	struct wire *w = arg;

	if (fixed)
		goro_chan_recv(w->to_right, NULL);
	goro_chan_send(w->to_left, &(int){ 1 });
	if (!fixed)
		goro_chan_recv(w->to_right, NULL);
	after();
}

void kernel(void *unused)
{
	struct wire *w = NEW(struct wire);

	(void)unused;
	w->to_right = goro_chan_of(int, 0);
	w->to_left = goro_chan_of(int, 0);
	go(left, w);
	go(right, w);
}
