/* SPDX-License-Identifier: MIT */
/*
 * lock_and_receive - one holds a lock and waits for a message; who would send it wants the lock.
 *
 * Like grpc/3017, kubernetes/1321, istio/16224.
 *
 * expect: collect, chan receive: unreachable
 * expect: report, sync.Mutex.Lock: orphan 2
 */
#include "kernel.h"

struct hub {
	goro_mutex mu;
	goro_chan *events;
};

static void collect(void *arg)
{
	struct hub *h = arg;

	goro_mutex_lock(&h->mu);
	if (fixed)
		goro_mutex_unlock(&h->mu);
	goro_chan_recv(h->events, NULL);
	goro_chan_recv(h->events, NULL);
	if (!fixed)
		goro_mutex_unlock(&h->mu);
}

static void report(void *arg)
{
	struct hub *h = arg;

	goro_mutex_lock(&h->mu);
	goro_mutex_unlock(&h->mu);
	goro_chan_send(h->events, &(int){ 1 });
	after();
}

void kernel(void *unused)
{
	struct hub *h = NEW(struct hub);

	(void)unused;
	h->events = goro_chan_of(int, 0);
	go(collect, h);
	while (!fixed && !__atomic_load_n(&h->mu.owner_, __ATOMIC_RELAXED))
		goro_yield();
	go(report, h);
	go(report, h);
}
