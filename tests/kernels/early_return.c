/* SPDX-License-Identifier: MIT */
/*
 * early_return - the error path forgets to unlock.
 *
 * Like moby/17176, cockroach/584, etcd/5509.
 *
 * expect: next, sync.Mutex.Lock: orphan 2
 */
#include "kernel.h"

struct device {
	goro_mutex mu;
	goro_waitgroup tried;
	bool broken;
};

static int unlock_and(struct device *d, int err)
{
	if (fixed)
		goro_mutex_unlock(&d->mu);
	return err;
}

static int try_it(struct device *d)
{
	goro_mutex_lock(&d->mu);
	if (d->broken)
		return unlock_and(d, -1);
	goro_mutex_unlock(&d->mu);
	return 0;
}

static void attach(void *arg)
{
	struct device *d = arg;

	try_it(d);
	goro_waitgroup_done(&d->tried);
}

static void next(void *arg)
{
	try_it(arg);
	after();
}

void kernel(void *unused)
{
	struct device *d = NEW(struct device);

	(void)unused;
	d->broken = true;
	goro_waitgroup_add(&d->tried, 1);
	go(attach, d);
	goro_waitgroup_wait(&d->tried);
	go(next, d);
	go(next, d);
}
