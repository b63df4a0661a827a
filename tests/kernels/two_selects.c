/* SPDX-License-Identifier: MIT */
/*
 * two_selects - two event loops hand messages to each other, each by a select that has no case to
 * receive.
 *
 * Like cockroach/2448, moby/27782.
 *
 * expect: raft, select: unreachable
 * expect: store, select: unreachable
 */
#include "kernel.h"

struct bus {
	goro_chan *to_raft, *to_store, *stop;
};

static void loop(struct bus *b, goro_chan *out, goro_chan *in)
{
	int message = 1;
	struct goro_case cases[] = {
		goro_send_case(out, &message),
		goro_recv_case(b->stop, NULL),
		goro_recv_case(fixed ? in : NULL, &message),
	};

	goro_select(cases, 3);
	after();
}

static void raft(void *arg)
{
	struct bus *b = arg;

	loop(b, b->to_store, b->to_raft);
	after();
}

static void store(void *arg)
{
	struct bus *b = arg;

	loop(b, b->to_raft, b->to_store);
	after();
}

void kernel(void *unused)
{
	struct bus *b = NEW(struct bus);

	(void)unused;
	b->to_raft = goro_chan_of(int, 0);
	b->to_store = goro_chan_of(int, 0);
	b->stop = goro_chan_of(int, 0);
	go(raft, b);
	go(store, b);
}
