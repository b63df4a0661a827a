/* SPDX-License-Identifier: MIT */
/*
 * actors - two actors ask each other at once: each waits for the other to take its question, and
 * neither reads what it is asked. A client of one of them waits for its answer.
 *
 * Like istio/17860, moby/27782: request and reply over unbuffered channels, in a ring.
 *
 * expect: actor, chan send: unreachable 2
 * expect: client, chan receive: unreachable
 */
#include "kernel.h"

struct actor {
	goro_chan *inbox, *other;
	goro_waitgroup *both;
	goro_chan *answers;
};

static void actor(void *arg)
{
	struct actor *a = arg;
	int question = 1;

	meet(a->both);
	if (fixed) {
		struct goro_case cases[] = {
			goro_send_case(a->other, &question),
			goro_recv_case(a->inbox, NULL),
		};

		goro_select(cases, 2);
	} else {
		goro_chan_send(a->other, &question);
		goro_chan_recv(a->inbox, NULL);
	}
	goro_chan_close(a->answers);
}

static void client(void *answers)
{
	goro_chan_recv(answers, NULL);
	after();
}

void kernel(void *unused)
{
	goro_waitgroup *both = NEW(goro_waitgroup);
	struct actor *a = NEW(struct actor), *b = NEW(struct actor);

	(void)unused;
	goro_waitgroup_add(both, 2);
	*a = (struct actor){ goro_chan_of(int, 0), NULL, both, goro_chan_of(int, 0) };
	*b = (struct actor){ goro_chan_of(int, 0), a->inbox, both, goro_chan_of(int, 0) };
	a->other = b->inbox;
	go(client, a->answers);
	go(actor, a);
	go(actor, b);
}
