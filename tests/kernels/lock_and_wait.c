/* SPDX-License-Identifier: MIT */
/*
 * lock_and_wait - a goroutine waits for its workers with a lock in its hand that they need to end.
 *
 * Like cockroach/1055, cockroach/6181, etcd/7492.
 *
 * expect: drain, sync.WaitGroup.Wait: unreachable
 * expect: worker, sync.Mutex.Lock: orphan 3
 */
#include "kernel.h"

struct stopper {
	goro_mutex mu;
	goro_waitgroup running, ready;
};

static void worker(void *arg)
{
	struct stopper *s = arg;

	goro_waitgroup_wait(&s->ready);
	goro_mutex_lock(&s->mu);
	goro_mutex_unlock(&s->mu);
	goro_waitgroup_done(&s->running);
}

static void drain(void *arg)
{
	struct stopper *s = arg;

	goro_mutex_lock(&s->mu);
	goro_waitgroup_done(&s->ready);
	if (fixed)
		goro_mutex_unlock(&s->mu);
	goro_waitgroup_wait(&s->running);
	if (!fixed)
		goro_mutex_unlock(&s->mu);
}

void kernel(void *unused)
{
	struct stopper *s = NEW(struct stopper);

	(void)unused;
	goro_waitgroup_add(&s->running, 3);
	goro_waitgroup_add(&s->ready, 1);
	for (int i = 0; i < 3; i++)
		go(worker, s);
	go(drain, s);
}
