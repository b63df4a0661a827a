/* SPDX-License-Identifier: MIT */
/*
 * cond.c - the condition variable: wait, with the mutex given up meanwhile, until somebody signals.
 */
#include "sync.h"

void goro_cond_wait(goro_cond *c, goro_mutex *mu)
{
	struct m *mp = enter();
	struct goro_waiter w = { .g = mp->curg,
				 .object = c,
				 .elem = mu, /* for reclaim.c */
				 .kind = GORO_REASON_COND };

	/* Before we are in the queue, which a panic would leave on a stack that is given up. */
	if (unlikely(__atomic_load_n(&mu->owner_, __ATOMIC_RELAXED) != mp->curg->id)) {
		mutex_spin_lock(mu);
		goro_mutex_bad_unlock(mp, mu);
	}
	/* In the queue before the mutex is free, and parked before the queue is: no signal is
	 * missed. */
	lock(&c->lock_);
	waitq_push(&c->first_, &c->last_, &w);
	goro_mutex_unlock_in(mp, mu);
	wait_here(&mp, &w, GORO_REASON_COND, c, &c->lock_);
	leave(goro_mutex_lock_for(mp, mu, GORO_REASON_MUTEX));
}

void goro_cond_signal(goro_cond *c)
{
	struct m *mp = enter();
	struct goro_waiter *w;
	struct g *gp;

	lock(&c->lock_);
	w = waitq_pop(&c->first_, &c->last_);
	gp = w ? w->g : NULL;
	unlock(&c->lock_);
	if (gp)
		goro_ready(mp, gp);
	leave(mp);
}

void goro_cond_broadcast(goro_cond *c)
{
	struct m *mp = enter();

	lock(&c->lock_);
	goro_wake_all(mp, &c->first_, &c->last_, &c->lock_);
	leave(mp);
}
