/* SPDX-License-Identifier: MIT */
/*
 * sync.c - what the objects that goroutines wait at have in common: see sync.h.
 */
#include "sync.h"

void goro_wake_all(struct m *mp, struct goro_waiter **first, struct goro_waiter **last, uint32_t *l)
{
	struct g *g_first = NULL, *g_last = NULL;
	struct goro_waiter *w;
	uint32_t n = 0;

	while ((w = waitq_pop(first, last))) {
		w->g->link = NULL;
		if (g_last)
			g_last->link = w->g;
		else
			g_first = w->g;
		g_last = w->g;
		n++;
	}
	unlock(l);
	if (n == 1)
		goro_ready(mp, g_first);
	else if (n)
		goro_ready_batch(mp, g_first, n);
}

/* ---- a wait that is given up: reclaim.c --------------------------------------------------------
 */

void goro_sync_forget(struct m *mp, struct goro_waiter *w)
{
	goro_cond *c = w->object;
	goro_waitgroup *wg = w->object;

	switch (w->kind) {
	case GORO_REASON_MUTEX:
	case GORO_REASON_ONCE:
		goro_mutex_forget(w->object, w);
		break;
	case GORO_REASON_RWMUTEX_R:
	case GORO_REASON_RWMUTEX_W:
		goro_rwmutex_forget(mp, w->object, w);
		break;
	case GORO_REASON_COND:
		waitq_remove(&c->first_, &c->last_, w);
		break;
	case GORO_REASON_WAITGROUP:
		waitq_remove(&wg->first_, &wg->last_, w);
		break;
	default:
		goro_throw("a wait to give up of kind %u", w->kind);
	}
}
