/* SPDX-License-Identifier: MIT */
/*
 * lock_not_in_loop - `continue` goes round the unlock: the loop meets its own lock.
 *
 * Like moby/17176, grpc/795.
 *
 * expect: scan, sync.Mutex.Lock: never
 * expect: add, sync.Mutex.Lock: orphan
 */
#include "kernel.h"

struct devices {
	goro_mutex mu;
	int deleted[3];
};

static void scan(void *arg)
{
	struct devices *d = arg;

	for (int i = 0; i < 3; i++) {
		goro_mutex_lock(&d->mu);
		if (d->deleted[i]) {
			if (fixed)
				goro_mutex_unlock(&d->mu);
			continue;
		}
		goro_mutex_unlock(&d->mu);
	}
	after();
}

static void add(void *arg)
{
	struct devices *d = arg;

	goro_mutex_lock(&d->mu);
	goro_mutex_unlock(&d->mu);
	after();
}

void kernel(void *unused)
{
	struct devices *d = NEW(struct devices);

	(void)unused;
	d->deleted[1] = 1;
	go(scan, d);
	if (!fixed)
		UNTIL_WAITED(&d->mu);
	go(add, d);
}
