/* SPDX-License-Identifier: MIT */
/*
 * idle_with_lock - a server that has nothing to do "sleeps for ever", and still holds the lock with
 * which it was configured.
 *
 * A `select {}` where a return was meant, as programs in Go often have one at the end of main.
 *
 * expect: serve, select (no cases): never
 * expect: configure, sync.RWMutex.Lock: orphan
 * expect: describe, sync.RWMutex.RLock: orphan 2
 */
#include "kernel.h"

struct server {
	goro_rwmutex mu;
	goro_waitgroup up;
	bool enabled;
};

static void serve(void *arg)
{
	struct server *s = arg;

	goro_rwmutex_rlock(&s->mu);
	goro_waitgroup_done(&s->up);
	if (!s->enabled && !fixed)
		goro_select(NULL, 0);
	goro_rwmutex_runlock(&s->mu);
}

static void configure(void *arg)
{
	struct server *s = arg;

	goro_rwmutex_lock(&s->mu);
	s->enabled = true;
	goro_rwmutex_unlock(&s->mu);
	after();
}

static void describe(void *arg)
{
	struct server *s = arg;

	goro_rwmutex_rlock(&s->mu);
	goro_rwmutex_runlock(&s->mu);
	after();
}

void kernel(void *unused)
{
	struct server *s = NEW(struct server);

	(void)unused;
	goro_waitgroup_add(&s->up, 1);
	go(serve, s);
	goro_waitgroup_wait(&s->up);
	go(configure, s);
	if (!fixed)
		UNTIL_WAITED(&s->mu);
	go(describe, s);
	go(describe, s);
}
