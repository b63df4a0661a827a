/* SPDX-License-Identifier: MIT */
/*
 * merge_waits_for_one - the results of many are merged, and one of them returns without closing
 * its channel: its collector waits for ever, who waits for the collectors does, and who reads what
 * was merged.
 *
 * The "unclosed range" of Uber's reports, seen from those behind it.
 *
 * expect: collect, chan receive: unreachable
 * expect: close_when_all_end, sync.WaitGroup.Wait: unreachable
 * expect: consume, chan receive: unreachable
 */
#include "kernel.h"

enum { PRODUCERS = 3 };

struct merge {
	goro_chan *out;
	goro_waitgroup collectors;
};

struct input {
	struct merge *merge;
	goro_chan *in;
	bool fails;
};

static void produce(void *arg)
{
	struct input *i = arg;

	goro_chan_send(i->in, &(int){ 1 });
	if (i->fails && !fixed)
		return;
	goro_chan_close(i->in);
}

static void collect(void *arg)
{
	struct input *i = arg;
	int value;

	while (goro_chan_recv(i->in, &value))
		goro_chan_send(i->merge->out, &value);
	goro_waitgroup_done(&i->merge->collectors);
}

static void close_when_all_end(void *arg)
{
	struct merge *m = arg;

	goro_waitgroup_wait(&m->collectors);
	goro_chan_close(m->out);
}

static void consume(void *arg)
{
	struct merge *m = arg;
	int value;

	while (goro_chan_recv(m->out, &value))
		after();
	after();
}

void kernel(void *unused)
{
	struct merge *m = NEW(struct merge);

	(void)unused;
	m->out = goro_chan_of(int, 0);
	goro_waitgroup_add(&m->collectors, PRODUCERS);
	for (int k = 0; k < PRODUCERS; k++) {
		struct input i = { m, goro_chan_of(int, 0), k == 1 };

		go_copy(produce, &i);
		go_copy(collect, &i);
	}
	go(close_when_all_end, m);
	go(consume, m);
}
