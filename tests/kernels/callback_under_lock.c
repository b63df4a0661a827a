/* SPDX-License-Identifier: MIT */
/*
 * callback_under_lock - a server stops its connections while it holds its lock; a connection that
 * closes reports to the server, which locks.
 *
 * Like grpc/795, moby/17176.
 *
 * expect: stop, sync.Mutex.Lock: never
 * expect: accept_one, sync.Mutex.Lock: orphan
 */
#include "kernel.h"

struct server {
	goro_mutex mu;
	int connections;
	void (*on_close)(struct server *s);
};

static void forget(struct server *s)
{
	goro_mutex_lock(&s->mu);
	s->connections--;
	goro_mutex_unlock(&s->mu);
}

static void stop(void *arg)
{
	struct server *s = arg;

	goro_mutex_lock(&s->mu);
	if (fixed)
		goro_mutex_unlock(&s->mu);
	s->on_close(s);
	if (!fixed)
		goro_mutex_unlock(&s->mu);
}

static void accept_one(void *arg)
{
	struct server *s = arg;

	goro_mutex_lock(&s->mu);
	s->connections++;
	goro_mutex_unlock(&s->mu);
}

void kernel(void *unused)
{
	struct server *s = NEW(struct server);

	(void)unused;
	s->connections = 1;
	s->on_close = forget;
	go(stop, s);
	if (!fixed)
		UNTIL_WAITED(&s->mu);
	go(accept_one, s);
}
