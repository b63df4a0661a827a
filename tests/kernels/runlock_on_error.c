/* SPDX-License-Identifier: MIT */
/*
 * runlock_on_error - a reader that finds nothing ends without giving the read lock back. The next
 * writer waits for ever, and all readers behind it.
 *
 * Like etcd/6708, syncthing/4829, with the reader gone.
 *
 * expect: writer, sync.RWMutex.Lock: orphan
 * expect: reader, sync.RWMutex.RLock: orphan 2
 */
#include "kernel.h"

struct table {
	goro_rwmutex rw;
	goro_waitgroup looked;
};

static void look_up(void *arg)
{
	struct table *t = arg;

	goro_rwmutex_rlock(&t->rw);
	if (fixed)
		goro_rwmutex_runlock(&t->rw);
	goro_waitgroup_done(&t->looked);
}

static void writer(void *arg)
{
	struct table *t = arg;

	goro_rwmutex_lock(&t->rw);
	goro_rwmutex_unlock(&t->rw);
	after();
}

static void reader(void *arg)
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
	goro_waitgroup_add(&t->looked, 1);
	go(look_up, t);
	goro_waitgroup_wait(&t->looked);
	go(writer, t);
	if (!fixed)
		UNTIL_WAITED(&t->rw);
	go(reader, t);
	go(reader, t);
}
