/* SPDX-License-Identifier: MIT */
/*
 * ab_ba - two goroutines take two locks in opposite order; a third one comes too late.
 *
 * Like cockroach/10214, moby/4951, kubernetes/13135.
 *
 * expect: there, sync.Mutex.Lock: cycle
 * expect: back, sync.Mutex.Lock: cycle
 * expect: late, sync.Mutex.Lock: orphan
 */
#include "kernel.h"

struct accounts {
	goro_mutex a, b;
	goro_waitgroup both;
};

static void there(void *arg)
{
	struct accounts *s = arg;

	goro_mutex_lock(&s->a);
	if (!fixed)
		meet(&s->both);
	goro_mutex_lock(&s->b);
	goro_mutex_unlock(&s->b);
	goro_mutex_unlock(&s->a);
}

static void back(void *arg)
{
	struct accounts *s = arg;

	goro_mutex_lock(fixed ? &s->a : &s->b);
	if (!fixed)
		meet(&s->both);
	goro_mutex_lock(fixed ? &s->b : &s->a);
	goro_mutex_unlock(&s->b);
	goro_mutex_unlock(&s->a);
}

static void late(void *arg)
{
	struct accounts *s = arg;

	goro_mutex_lock(&s->b);
	goro_mutex_unlock(&s->b);
	after();
}

void kernel(void *unused)
{
	struct accounts *s = NEW(struct accounts);

	(void)unused;
	goro_waitgroup_add(&s->both, 2);
	go(there, s);
	go(back, s);
	if (!fixed) {
		UNTIL_WAITED(&s->a);
		UNTIL_WAITED(&s->b);
	}
	go(late, s);
}
