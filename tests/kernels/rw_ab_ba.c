/* SPDX-License-Identifier: MIT */
/*
 * rw_ab_ba - a mutex and a rwmutex in opposite order; the waitgroup that counts both waits as well.
 *
 * Like hugo/3251, kubernetes/13135.
 *
 * expect: render, sync.Mutex.Lock: cycle
 * expect: build, sync.RWMutex.Lock: cycle
 * expect: kernel, sync.WaitGroup.Wait: unreachable
 */
#include "kernel.h"

struct site {
	goro_mutex mu;
	goro_rwmutex rw;
	goro_waitgroup both, done;
};

static void render(void *arg)
{
	struct site *s = arg;

	if (fixed)
		goro_mutex_lock(&s->mu);
	goro_rwmutex_rlock(&s->rw);
	if (!fixed) {
		meet(&s->both);
		goro_mutex_lock(&s->mu);
	}
	goro_mutex_unlock(&s->mu);
	goro_rwmutex_runlock(&s->rw);
	goro_waitgroup_done(&s->done);
}

static void build(void *arg)
{
	struct site *s = arg;

	goro_mutex_lock(&s->mu);
	if (!fixed)
		meet(&s->both);
	goro_rwmutex_lock(&s->rw);
	goro_rwmutex_unlock(&s->rw);
	goro_mutex_unlock(&s->mu);
	goro_waitgroup_done(&s->done);
}

void kernel(void *unused)
{
	struct site *s = NEW(struct site);

	(void)unused;
	goro_waitgroup_add(&s->both, 2);
	goro_waitgroup_add(&s->done, 2);
	go(render, s);
	go(build, s);
	goro_waitgroup_wait(&s->done);
	after();
}
