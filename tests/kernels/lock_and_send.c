/* SPDX-License-Identifier: MIT */
/*
 * lock_and_send - one holds a lock and sends; who would receive wants the lock first.
 *
 * Like kubernetes/10182, istio/16224, etcd/7492.
 *
 * expect: sync_pods, chan send: unreachable
 * expect: receiver, sync.Mutex.Lock: orphan
 */
#include "kernel.h"

struct manager {
	goro_mutex mu;
	goro_chan *changes;
};

static void sync_pods(void *arg)
{
	struct manager *m = arg;

	goro_mutex_lock(&m->mu);
	if (fixed)
		goro_mutex_unlock(&m->mu);
	goro_chan_send(m->changes, &(int){ 1 });
	if (!fixed)
		goro_mutex_unlock(&m->mu);
}

static void receiver(void *arg)
{
	struct manager *m = arg;

	goro_mutex_lock(&m->mu);
	goro_mutex_unlock(&m->mu);
	goro_chan_recv(m->changes, NULL);
	after();
}

void kernel(void *unused)
{
	struct manager *m = NEW(struct manager);

	(void)unused;
	m->changes = goro_chan_of(int, 0);
	go(sync_pods, m);
	while (!fixed && !__atomic_load_n(&m->mu.owner_, __ATOMIC_RELAXED))
		goro_yield();
	go(receiver, m);
}
