/* SPDX-License-Identifier: MIT */
/*
 * rw_write_then_read - a method that writes calls one that reads.
 *
 * Like etcd/6708, syncthing/4829.
 *
 * expect: replace, sync.RWMutex.RLock: never
 * expect: list, sync.RWMutex.RLock: orphan 3
 */
#include "kernel.h"

struct folder {
	goro_rwmutex rw;
	int files;
};

static int size(struct folder *f)
{
	int n;

	goro_rwmutex_rlock(&f->rw);
	n = f->files;
	goro_rwmutex_runlock(&f->rw);
	return n;
}

static void replace(void *arg)
{
	struct folder *f = arg;

	goro_rwmutex_lock(&f->rw);
	f->files = fixed ? f->files + 1 : size(f) + 1;
	goro_rwmutex_unlock(&f->rw);
}

static void list(void *arg)
{
	struct folder *f = arg;

	goro_rwmutex_rlock(&f->rw);
	goro_rwmutex_runlock(&f->rw);
	after();
}

void kernel(void *unused)
{
	struct folder *f = NEW(struct folder);

	(void)unused;
	go(replace, f);
	if (!fixed)
		UNTIL_WAITED(&f->rw);
	for (int i = 0; i < 3; i++)
		go(list, f);
}
