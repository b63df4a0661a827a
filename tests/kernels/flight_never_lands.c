/* SPDX-License-Identifier: MIT */
/*
 * flight_never_lands - many ask for one thing, and who went to get it waits for ever.
 *
 * expect: ask, chan receive: unreachable
 * expect: also, sync.WaitGroup.Wait: unreachable 2
 */
#include "kernel.h"

struct origin {
	goro_flight flight;
	goro_chan *reply;
	goro_waitgroup under_way;
};

static int fetch(void *arg, void *result)
{
	struct origin *o = arg;

	(void)result;
	goro_waitgroup_done(&o->under_way);
	goro_chan_recv(o->reply, NULL);
	return 0;
}

static void ask(void *arg)
{
	struct origin *o = arg;

	goro_flight_do(&o->flight, "page", fetch, o, NULL, 0, NULL);
	after();
}

static int unused_fetch(void *arg, void *result)
{
	(void)arg;
	(void)result;
	return 0;
}

static void also(void *arg)
{
	struct origin *o = arg;

	goro_flight_do(&o->flight, "page", unused_fetch, o, NULL, 0, NULL);
	after();
}

void kernel(void *unused)
{
	struct origin *o = NEW(struct origin);

	(void)unused;
	o->reply = goro_chan_of(int, 0);
	goro_waitgroup_add(&o->under_way, 1);
	go(ask, o);
	goro_waitgroup_wait(&o->under_way);
	go(also, o);
	go(also, o);
	if (fixed)
		goro_chan_close(o->reply);
}
