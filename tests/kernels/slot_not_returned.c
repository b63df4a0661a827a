/* SPDX-License-Identifier: MIT */
/*
 * slot_not_returned - a buffered channel counts slots, and whoever fails does not take his out
 * again.
 *
 * Like cockroach/35073, cockroach/35931: a buffered channel as a semaphore.
 *
 * expect: job, chan send: unreachable 2
 */
#include "kernel.h"

enum { SLOTS = 2 };

struct pool {
	goro_chan *slots;
	goro_waitgroup failed;
};

static void failing_job(void *arg)
{
	struct pool *p = arg;
	int slot = 0;

	goro_chan_send(p->slots, &slot);
	if (fixed)
		goro_chan_recv(p->slots, NULL);
	goro_waitgroup_done(&p->failed);
}

static void job(void *arg)
{
	struct pool *p = arg;
	int slot = 0;

	goro_chan_send(p->slots, &slot);
	goro_chan_recv(p->slots, NULL);
	after();
}

void kernel(void *unused)
{
	struct pool *p = NEW(struct pool);

	(void)unused;
	p->slots = goro_chan_of(int, SLOTS);
	goro_waitgroup_add(&p->failed, SLOTS);
	for (int i = 0; i < SLOTS; i++)
		go(failing_job, p);
	goro_waitgroup_wait(&p->failed);
	go(job, p);
	go(job, p);
}
