/* SPDX-License-Identifier: MIT */
/*
 * early_return_reads - the error path forgets to unlock for reading: the reader has ended, and a
 * writer waits for it; readers queue behind the writer.
 *
 * Like cockroach/16167, etcd/5509.
 *
 * expect: writer, sync.RWMutex.Lock: orphan
 * expect: late, sync.RWMutex.RLock: orphan 2
 */
#include "kernel.h"

struct index {
	goro_rwmutex rw;
	goro_waitgroup read;
};

static void reader(void *arg)
{
	struct index *x = arg;

	goro_rwmutex_rlock(&x->rw);
	if (fixed)
		goro_rwmutex_runlock(&x->rw);
	goro_waitgroup_done(&x->read);
}

static void writer(void *arg)
{
	struct index *x = arg;

	goro_rwmutex_lock(&x->rw);
	goro_rwmutex_unlock(&x->rw);
	after();
}

static void late(void *arg)
{
	struct index *x = arg;

	goro_rwmutex_rlock(&x->rw);
	goro_rwmutex_runlock(&x->rw);
	after();
}

void kernel(void *unused)
{
	struct index *x = NEW(struct index);

	(void)unused;
	goro_waitgroup_add(&x->read, 1);
	go(reader, x);
	goro_waitgroup_wait(&x->read);
	go(writer, x);
	if (!fixed)
		UNTIL_WAITED(&x->rw);
	go(late, x);
	go(late, x);
}
