/* SPDX-License-Identifier: MIT */
/*
 * cond_one_of_two - two wait for one condition, and one signal is sent where all should be told.
 *
 * Like moby/27782.
 *
 * expect: waiter, sync.Cond.Wait: unreachable
 */
#include "kernel.h"

struct gate {
	goro_mutex mu;
	goro_cond cond;
	int waiting;
	bool open;
};

static void waiter(void *arg)
{
	struct gate *g = arg;

	goro_mutex_lock(&g->mu);
	g->waiting++;
	while (!g->open)
		goro_cond_wait(&g->cond, &g->mu);
	goro_mutex_unlock(&g->mu);
}

static bool both_wait(struct gate *g)
{
	bool both;

	goro_mutex_lock(&g->mu);
	both = g->waiting == 2;
	goro_mutex_unlock(&g->mu);
	return both;
}

void kernel(void *unused)
{
	struct gate *g = NEW(struct gate);

	(void)unused;
	go(waiter, g);
	go(waiter, g);
	while (!both_wait(g))
		goro_yield();
	goro_mutex_lock(&g->mu);
	g->open = true;
	if (fixed)
		goro_cond_broadcast(&g->cond);
	else
		goro_cond_signal(&g->cond);
	goro_mutex_unlock(&g->mu);
}
