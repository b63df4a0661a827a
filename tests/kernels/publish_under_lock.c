/* SPDX-License-Identifier: MIT */
/*
 * publish_under_lock - a publisher sends to its subscribers under a read lock; one subscriber has
 * gone without being struck off, and the one that would strike it off wants to write.
 *
 * Like docker's pubsub, kubernetes/26980, istio/16224.
 *
 * expect: publish, chan send: unreachable
 * expect: unsubscribe, sync.RWMutex.Lock: orphan
 */
#include "kernel.h"

struct topic {
	goro_rwmutex rw;
	goro_chan *subscriber[2];
	goro_waitgroup got;
};

static void publish(void *arg)
{
	struct topic *t = arg;

	goro_rwmutex_rlock(&t->rw);
	for (int i = 0; i < 2; i++) {
		if (fixed)
			goro_chan_try_send(t->subscriber[i], &(int){ 1 });
		else
			goro_chan_send(t->subscriber[i], &(int){ 1 });
	}
	goro_rwmutex_runlock(&t->rw);
}

static void subscriber(void *arg)
{
	struct topic *t = arg;

	goro_chan_recv(t->subscriber[0], NULL);
	goro_waitgroup_done(&t->got);
}

static void unsubscribe(void *arg)
{
	struct topic *t = arg;

	goro_rwmutex_lock(&t->rw);
	t->subscriber[1] = NULL;
	goro_rwmutex_unlock(&t->rw);
}

void kernel(void *unused)
{
	struct topic *t = NEW(struct topic);

	(void)unused;
	t->subscriber[0] = goro_chan_of(int, 1);
	t->subscriber[1] = goro_chan_of(int, 0);
	goro_waitgroup_add(&t->got, 1);
	go(subscriber, t);
	go(publish, t);
	goro_waitgroup_wait(&t->got);
	go(unsubscribe, t);
}
