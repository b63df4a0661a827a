/* SPDX-License-Identifier: MIT */
/*
 * lock_behind_chain - a holds a lock and waits for b's lock, b's holder waits for a message that
 * never comes, and a crowd waits behind a.
 *
 * Transitive: cockroach/1055, kubernetes/26980.
 *
 * expect: root, chan receive: unreachable
 * expect: middle, sync.Mutex.Lock: orphan
 * expect: crowd, sync.Mutex.Lock: orphan 4
 */
#include "kernel.h"

struct chain {
	goro_mutex a, b;
	goro_chan *message;
};

static void root(void *arg)
{
	struct chain *c = arg;

	goro_mutex_lock(&c->b);
	goro_chan_recv(c->message, NULL);
	goro_mutex_unlock(&c->b);
}

static void middle(void *arg)
{
	struct chain *c = arg;

	goro_mutex_lock(&c->a);
	goro_mutex_lock(&c->b);
	goro_mutex_unlock(&c->b);
	goro_mutex_unlock(&c->a);
}

static void crowd(void *arg)
{
	struct chain *c = arg;

	goro_mutex_lock(&c->a);
	goro_mutex_unlock(&c->a);
	after();
}

static bool is_held(goro_mutex *mu)
{
	return __atomic_load_n(&mu->owner_, __ATOMIC_RELAXED);
}

void kernel(void *unused)
{
	struct chain *c = NEW(struct chain);

	(void)unused;
	c->message = goro_chan_of(int, 0);
	go(root, c);
	while (!fixed && !is_held(&c->b))
		goro_yield();
	go(middle, c);
	while (!fixed && !is_held(&c->a))
		goro_yield();
	for (int i = 0; i < 4; i++)
		go(crowd, c);
	if (fixed)
		goro_chan_close(c->message);
}
