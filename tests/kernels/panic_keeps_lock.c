/* SPDX-License-Identifier: MIT */
/*
 * panic_keeps_lock - a panic is recovered, and the lock that was held stays locked.
 *
 * expect: next, sync.Mutex.Lock: orphan
 */
#include "kernel.h"

struct shelf {
	goro_mutex mu;
	goro_waitgroup tried;
};

static void unlock(void *mu)
{
	goro_mutex_unlock(mu);
}

static void recover(void *unused)
{
	(void)unused;
	goro_recover();
}

static void put(void *arg)
{
	struct shelf *s = arg;

	goro_defer(recover, NULL);
	goro_mutex_lock(&s->mu);
	if (fixed) {
		goro_defer(unlock, &s->mu);
		goro_panic("no room");
	}
	goro_panic("no room");
}

static void first(void *arg)
{
	struct shelf *s = arg;

	goro_try(put, s);
	goro_waitgroup_done(&s->tried);
}

static void next(void *arg)
{
	struct shelf *s = arg;

	goro_mutex_lock(&s->mu);
	goro_mutex_unlock(&s->mu);
	after();
}

void kernel(void *unused)
{
	struct shelf *s = NEW(struct shelf);

	(void)unused;
	goro_waitgroup_add(&s->tried, 1);
	go(first, s);
	goro_waitgroup_wait(&s->tried);
	go(next, s);
}
