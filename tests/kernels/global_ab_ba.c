/* SPDX-License-Identifier: MIT */
/*
 * global_ab_ba - two locks in opposite order, and both are globals: everybody can reach them, and
 * nobody can unlock them.
 *
 * Like cockroach/10214, hugo/3251, with package variables.
 *
 * expect: there, sync.Mutex.Lock: cycle
 * expect: back, sync.RWMutex.Lock: cycle
 */
#include "kernel.h"

struct pair {
	goro_mutex mu;
	goro_rwmutex rw;
	goro_waitgroup both;
};

static struct pair pairs[1000];
static _Atomic unsigned next;

static void there(void *arg)
{
	struct pair *p = arg;

	goro_rwmutex_lock(&p->rw);
	if (!fixed)
		meet(&p->both);
	goro_mutex_lock(&p->mu);
	goro_mutex_unlock(&p->mu);
	goro_rwmutex_unlock(&p->rw);
}

static void back(void *arg)
{
	struct pair *p = arg;

	if (!fixed) {
		goro_mutex_lock(&p->mu);
		meet(&p->both);
	}
	goro_rwmutex_lock(&p->rw);
	if (fixed)
		goro_mutex_lock(&p->mu);
	goro_mutex_unlock(&p->mu);
	goro_rwmutex_unlock(&p->rw);
}

void kernel(void *unused)
{
	struct pair *p = &pairs[next++];

	(void)unused;
	goro_waitgroup_add(&p->both, 2);
	go(there, p);
	go(back, p);
}
