/* SPDX-License-Identifier: MIT */
/*
 * unlock_on_error - the way out for errors forgets the lock.
 *
 * Like grpc/795, etcd/5509; "missing unlock" of the studies.
 *
 * expect: commit, sync.Mutex.Lock: orphan 2
 */
#include "kernel.h"

struct journal {
	goro_mutex mu;
	goro_waitgroup failed;
	int room;
};

static int append(struct journal *j)
{
	goro_mutex_lock(&j->mu);
	if (!j->room) {
		if (fixed)
			goro_mutex_unlock(&j->mu);
		return -ENOSPC;
	}
	j->room--;
	goro_mutex_unlock(&j->mu);
	return 0;
}

static void first(void *arg)
{
	struct journal *j = arg;

	append(j);
	goro_waitgroup_done(&j->failed);
}

static void commit(void *arg)
{
	append(arg);
	after();
}

void kernel(void *unused)
{
	struct journal *j = NEW(struct journal);

	(void)unused;
	goro_waitgroup_add(&j->failed, 1);
	go(first, j);
	goro_waitgroup_wait(&j->failed);
	go(commit, j);
	go(commit, j);
}
