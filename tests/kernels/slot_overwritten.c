/* SPDX-License-Identifier: MIT */
/*
 * slot_overwritten - calls that wait for their answer stand in a table by key; a second one with
 * the same key takes the place of the first, which nobody can answer any more.
 *
 * Duplicate ids of requests, as clients of RPC make them after a number has wrapped around.
 *
 * expect: call, chan receive: unreachable
 */
#include "kernel.h"

enum { KEYS = 4, KEY = 2 };

struct table {
	goro_mutex mu;
	goro_chan *waits[KEYS];
	goro_waitgroup entered;
};

static void call(void *arg)
{
	struct table *t = arg;
	goro_chan *answer = goro_chan_of(int, 1);

	goro_mutex_lock(&t->mu);
	if (fixed && t->waits[KEY])
		goro_chan_close(t->waits[KEY]); /* "superseded" */
	t->waits[KEY] = answer;
	goro_mutex_unlock(&t->mu);
	goro_waitgroup_done(&t->entered);
	goro_chan_recv(answer, NULL);
	after();
}

static void answer_all(struct table *t)
{
	goro_mutex_lock(&t->mu);
	for (int i = 0; i < KEYS; i++) {
		if (t->waits[i])
			goro_chan_send(t->waits[i], &i);
		t->waits[i] = NULL;
	}
	goro_mutex_unlock(&t->mu);
}

void kernel(void *unused)
{
	struct table *t = NEW(struct table);

	(void)unused;
	goro_waitgroup_add(&t->entered, 2);
	go(call, t);
	go(call, t);
	goro_waitgroup_wait(&t->entered);
	answer_all(t);
}
