/* SPDX-License-Identifier: MIT */
/*
 * timer.h - something that will happen at a time, for the runtime's own use.
 *
 * A struct timer is part of what it belongs to: a goro_timer, a context, the stack of a goroutine
 * in a select with a timeout. Arming allocates nothing but room in the heap of the P.
 *
 * Order of locks: the owner's lock, then the P's timer_lock, then channels, then sched.lock.
 */
#ifndef GORO_TIMER_H
#define GORO_TIMER_H

#include "runtime.h"

#define NEVER INT64_MAX

/* Goroutines that the timers which fired have woken. */
struct fired {
	struct g *first, *last;
	uint32_t n;
};

struct timer {
	/*
	 * Whose heap it is in; NULL: not armed. Written under that P's timer_lock, and to NULL only
	 * when `fire` has returned: who sees NULL knows that it is not about to happen either.
	 */
	_Atomic(struct p *) p;
	uint32_t at; /* where in the heap */
	/* Called under timer_lock. Returns when it is due again, or NEVER. */
	int64_t (*fire)(struct m *mp, struct timer *t, int64_t when, struct fired *fired);
};

/* Not armed yet, by nobody else at this time. */
void goro_timer_arm(struct m *mp, struct timer *t, int64_t when);
/* The same with the timer_lock of mp->p held. */
void goro_timer_arm_locked(struct m *mp, struct timer *t, int64_t when);
/* True: it was armed, and has not fired. Afterwards it does not fire, nor is it firing. */
bool goro_timer_disarm(struct timer *t);

/* The time in ns nanoseconds, or the end of time. */
int64_t goro_when(int64_t ns);

static inline void fired_add(struct fired *fired, struct g *gp)
{
	gp->link = NULL;
	if (fired->last)
		fired->last->link = gp;
	else
		fired->first = gp;
	fired->last = gp;
	fired->n++;
}

#endif /* GORO_TIMER_H */
