/* SPDX-License-Identifier: MIT */
/*
 * rwr - a reader reads again while a writer waits: the second read lock queues behind the writer,
 * who waits for the first.
 *
 * Like cockroach/3710, cockroach/6181, kubernetes/58107.
 *
 * expect: outer, sync.RWMutex.RLock: cycle
 * expect: writer, sync.RWMutex.Lock: cycle
 * expect: late, sync.RWMutex.RLock: orphan
 * expect: kernel, sync.WaitGroup.Wait: unreachable
 */
#include "kernel.h"

struct cache {
	goro_rwmutex rw;
	goro_waitgroup done;
};

static void inner(struct cache *c)
{
	goro_rwmutex_rlock(&c->rw);
	goro_rwmutex_runlock(&c->rw);
}

static void outer(void *arg)
{
	struct cache *c = arg;

	goro_rwmutex_rlock(&c->rw);
	if (fixed)
		goro_rwmutex_runlock(&c->rw);
	else
		UNTIL_WAITED(&c->rw);
	inner(c);
	if (!fixed)
		goro_rwmutex_runlock(&c->rw);
	goro_waitgroup_done(&c->done);
}

static void writer(void *arg)
{
	struct cache *c = arg;

	goro_rwmutex_lock(&c->rw);
	goro_rwmutex_unlock(&c->rw);
	goro_waitgroup_done(&c->done);
}

static void late(void *arg)
{
	struct cache *c = arg;

	goro_rwmutex_rlock(&c->rw);
	goro_rwmutex_runlock(&c->rw);
	goro_waitgroup_done(&c->done);
}

/* The writer starts when somebody reads, and the late one when the writer waits. */
void kernel(void *unused)
{
	struct cache *c = NEW(struct cache);

	(void)unused;
	goro_waitgroup_add(&c->done, 3);
	go(outer, c);
	while (!fixed && goro_rwmutex_try_lock(&c->rw)) {
		goro_rwmutex_unlock(&c->rw);
		goro_yield();
	}
	go(writer, c);
	if (!fixed)
		UNTIL_WAITED(&c->rw);
	go(late, c);
	goro_waitgroup_wait(&c->done);
	after();
}
