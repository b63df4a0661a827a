/* SPDX-License-Identifier: MIT */
/*
 * once_and_lock - what is done once needs a lock, and who has the lock waits for it to be done.
 *
 * Like kubernetes/13135, moby/27782: a Once and a Mutex in both orders.
 *
 * expect: opener, sync.Mutex.Lock: cycle
 * expect: user, sync.Once.Do: cycle
 */
#include "kernel.h"

struct lazy {
	goro_mutex mu;
	goro_once once;
	goro_waitgroup both;
};

static void open_it(void *arg)
{
	struct lazy *l = arg;

	if (!fixed)
		meet(&l->both);
	goro_mutex_lock(&l->mu);
	goro_mutex_unlock(&l->mu);
}

static void opener(void *arg)
{
	struct lazy *l = arg;

	goro_once_do(&l->once, open_it, l);
	after();
}

static void user(void *arg)
{
	struct lazy *l = arg;

	goro_mutex_lock(&l->mu);
	if (fixed)
		goro_mutex_unlock(&l->mu);
	else
		meet(&l->both);
	goro_once_do(&l->once, open_it, l);
	if (!fixed)
		goro_mutex_unlock(&l->mu);
	after();
}

void kernel(void *unused)
{
	struct lazy *l = NEW(struct lazy);

	(void)unused;
	goro_waitgroup_add(&l->both, 2);
	go(opener, l);
	go(user, l);
}
