/* SPDX-License-Identifier: MIT */
/*
 * cond_under_read_lock - who waits for a condition also holds a read lock; who would signal it must
 * write first, and a reader queues behind that one.
 *
 * Like kubernetes/58107, cockroach/16167, kubernetes/26980.
 *
 * expect: pop, sync.Cond.Wait: unreachable
 * expect: push, sync.RWMutex.Lock: orphan
 * expect: look, sync.RWMutex.RLock: orphan
 */
#include "kernel.h"

struct queue {
	goro_rwmutex rw;
	goro_mutex mu;
	goro_cond cond;
	goro_waitgroup read;
	int items;
};

static void pop(void *arg)
{
	struct queue *q = arg;

	goro_rwmutex_rlock(&q->rw);
	goro_waitgroup_done(&q->read);
	if (fixed)
		goro_rwmutex_runlock(&q->rw);
	goro_mutex_lock(&q->mu);
	while (!q->items)
		goro_cond_wait(&q->cond, &q->mu);
	goro_mutex_unlock(&q->mu);
	if (!fixed)
		goro_rwmutex_runlock(&q->rw);
}

static void push(void *arg)
{
	struct queue *q = arg;

	goro_rwmutex_lock(&q->rw);
	goro_rwmutex_unlock(&q->rw);
	goro_mutex_lock(&q->mu);
	q->items++;
	goro_cond_signal(&q->cond);
	goro_mutex_unlock(&q->mu);
}

static void look(void *arg)
{
	struct queue *q = arg;

	goro_rwmutex_rlock(&q->rw);
	goro_rwmutex_runlock(&q->rw);
	after();
}

void kernel(void *unused)
{
	struct queue *q = NEW(struct queue);

	(void)unused;
	goro_waitgroup_add(&q->read, 1);
	go(pop, q);
	goro_waitgroup_wait(&q->read);
	go(push, q);
	if (!fixed)
		UNTIL_WAITED(&q->rw);
	go(look, q);
}
