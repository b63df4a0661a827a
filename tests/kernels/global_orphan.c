/* SPDX-License-Identifier: MIT */
/*
 * global_orphan - a lock that every goroutine can reach, and whose holder has ended: reachability
 * says nothing here, ownership says all.
 *
 * expect: waiter, sync.Mutex.Lock: orphan
 */
#include "kernel.h"

static goro_mutex mu[1000];
static _Atomic unsigned next;

struct job {
	goro_mutex *mu;
	goro_waitgroup held;
};

static void holder(void *arg)
{
	struct job *j = arg;

	goro_mutex_lock(j->mu);
	if (fixed)
		goro_mutex_unlock(j->mu);
	goro_waitgroup_done(&j->held);
}

static void waiter(void *arg)
{
	goro_mutex_lock(arg);
	goro_mutex_unlock(arg);
	after();
}

void kernel(void *unused)
{
	struct job *j = NEW(struct job);

	(void)unused;
	j->mu = &mu[next++];
	goro_waitgroup_add(&j->held, 1);
	go(holder, j);
	goro_waitgroup_wait(&j->held);
	go(waiter, j->mu);
}
