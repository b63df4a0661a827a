/* SPDX-License-Identifier: MIT */
/*
 * rw_upgrade - who holds a read lock wants to write.
 *
 * Like etcd/6708, etcd/5509.
 *
 * expect: refresh, sync.RWMutex.Lock: never
 * expect: look, sync.RWMutex.RLock: orphan
 */
#include "kernel.h"

struct table {
	goro_rwmutex rw;
};

static void refresh(void *arg)
{
	struct table *t = arg;

	goro_rwmutex_rlock(&t->rw);
	if (fixed)
		goro_rwmutex_runlock(&t->rw);
	goro_rwmutex_lock(&t->rw);
	goro_rwmutex_unlock(&t->rw);
	if (!fixed)
		goro_rwmutex_runlock(&t->rw);
}

static void look(void *arg)
{
	struct table *t = arg;

	goro_rwmutex_rlock(&t->rw);
	goro_rwmutex_runlock(&t->rw);
	after();
}

void kernel(void *unused)
{
	struct table *t = NEW(struct table);

	(void)unused;
	go(refresh, t);
	if (!fixed)
		UNTIL_WAITED(&t->rw);
	go(look, t);
}
