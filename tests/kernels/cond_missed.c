/* SPDX-License-Identifier: MIT */
/*
 * cond_missed - the signal comes before anybody waits, and no variable remembers it.
 *
 * Like moby/30408, moby/27782.
 *
 * expect: waiter, sync.Cond.Wait: unreachable
 */
#include "kernel.h"

struct event {
	goro_mutex mu;
	goro_cond cond;
	bool happened;
};

static void waiter(void *arg)
{
	struct event *e = arg;

	goro_mutex_lock(&e->mu);
	while (!fixed || !e->happened)
		goro_cond_wait(&e->cond, &e->mu);
	goro_mutex_unlock(&e->mu);
}

void kernel(void *unused)
{
	struct event *e = NEW(struct event);

	(void)unused;
	goro_mutex_lock(&e->mu);
	e->happened = true;
	goro_cond_signal(&e->cond);
	goro_mutex_unlock(&e->mu);
	go(waiter, e);
}
