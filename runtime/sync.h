/* SPDX-License-Identifier: MIT */
/*
 * sync.h - what the objects that goroutines wait at have in common.
 *
 * Each has its own queue of waiters and a spin lock around it; there is no global table of
 * addresses as in Go's sema.go, because the objects are ours to lay out.
 *
 * Locks have owners. That is what lets an observer prove a deadlock, and it is stricter than Go: a
 * mutex is unlocked by the goroutine that locked it. Read locks are recorded in the goroutine too
 * (the first few by address, the rest by count).
 */
#ifndef GORO_SYNC_H
#define GORO_SYNC_H

#include "bias.h"

/* w is in the queue of object, whose lock l is held and released. */
static inline void wait_here(struct m **mp, struct goro_waiter *w, enum goro_reason reason,
			     void *object, uint32_t *l)
{
	(*mp)->curg->waiting = w;
	*mp = goro_park(*mp, reason, object, l);
}

/* Take a whole queue of waiters and make them runnable; l is held and released. */
void goro_wake_all(struct m *mp, struct goro_waiter **first, struct goro_waiter **last,
		   uint32_t *l);

/* The spin lock of a mutex, which may be biased: see bias.h. mutex.c unlocks some without. */
void goro_mutex_undone(goro_mutex *mu);

static inline void mutex_spin_lock(goro_mutex *mu)
{
	if (unlikely(bias_lock(&mu->lock_)))
		goro_mutex_undone(mu);
}

/* mutex.c, for those that have one in them. The reason is what waiting for it is called. */
struct m *goro_mutex_lock_for(struct m *mp, goro_mutex *mu, enum goro_reason reason);
void goro_mutex_unlock_in(struct m *mp, goro_mutex *mu);
/* lock_ held and released. */
GORO_NORETURN void goro_mutex_bad_unlock(struct m *mp, goro_mutex *mu);

/* A wait that is given up: see goro_sync_forget(). The object's lock is held. */
void goro_mutex_forget(goro_mutex *mu, struct goro_waiter *w);
void goro_rwmutex_forget(struct m *mp, goro_rwmutex *rw, struct goro_waiter *w);

#endif /* GORO_SYNC_H */
