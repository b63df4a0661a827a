/* SPDX-License-Identifier: MIT */
/*
 * time.c - the clock, sleep, and the timers of each P.
 *
 * Each P has a 4-ary heap of what it must wake when (Go's structure). A P looks at its own heap
 * when it looks for work; an idle worker looks at everybody's; one sleeper is the time keeper and
 * gets up for the next timer; while all Ps are busy sysmon tells them that something is due.
 *
 * Rejected: a hierarchical wheel (better only with far more timers than goroutines), one heap for
 * all (a lock that everybody needs), a timer thread (a thread switch for each sleep).
 */
#include <string.h>

#include "runq.h"

int64_t goro_now(void)
{
	return os_now();
}

int64_t goro_clock_advance(void)
{
	int64_t now = goro_now();

	__atomic_store_n(&goro_introspect.clock, (uint64_t)now, __ATOMIC_RELAXED);
	return now;
}

static void heap_up(struct p *pp, uint32_t i, struct timer t)
{
	while (i) {
		uint32_t parent = (i - 1) / 4;

		if (pp->timers[parent].when <= t.when)
			break;
		pp->timers[i] = pp->timers[parent];
		i = parent;
	}
	pp->timers[i] = t;
}

static void heap_down(struct p *pp, struct timer t)
{
	uint32_t i = 0, n = pp->ntimers;

	for (;;) {
		uint32_t child = 4 * i + 1, least = child;

		if (child >= n)
			break;
		for (uint32_t c = child + 1; c < child + 4 && c < n; c++)
			if (pp->timers[c].when < pp->timers[least].when)
				least = c;
		if (pp->timers[least].when >= t.when)
			break;
		pp->timers[i] = pp->timers[least];
		i = least;
	}
	pp->timers[i] = t;
}

static void heap_publish(struct p *pp)
{
	atomic_store_explicit(&pp->timer_when, pp->ntimers ? pp->timers[0].when : INT64_MAX,
			      memory_order_release);
}

/* timer_lock held. */
static void heap_push(struct p *pp, struct timer t)
{
	if (pp->ntimers == pp->timers_cap) {
		uint32_t cap = pp->timers_cap ? pp->timers_cap * 2 : 256;
		struct timer *more = os_reserve(cap * sizeof(*more));

		if (!more)
			goro_throw("out of memory: %u timers", cap);
		if (pp->timers) {
			memcpy(more, pp->timers, pp->ntimers * sizeof(*more));
			os_unreserve(pp->timers, pp->timers_cap * sizeof(*more));
		}
		pp->timers = more;
		pp->timers_cap = cap;
	}
	heap_up(pp, pp->ntimers++, t);
	heap_publish(pp);
}

int64_t goro_timers_run(struct m *mp, struct p *pp, int64_t now)
{
	struct g *first = NULL, *last = NULL;
	uint32_t n = 0;

	lock(&pp->timer_lock);
	while (pp->ntimers && pp->timers[0].when <= now) {
		struct g *gp = pp->timers[0].g;

		if (--pp->ntimers)
			heap_down(pp, pp->timers[pp->ntimers]);
		gp->link = NULL;
		if (last)
			last->link = gp;
		else
			first = gp;
		last = gp;
		n++;
	}
	heap_publish(pp);
	unlock(&pp->timer_lock);
	if (n) {
		__atomic_sub_fetch(&goro_introspect.timers, n, __ATOMIC_RELAXED);
		goro_ready_batch(mp, first, last, n);
	}
	return atomic_load_explicit(&pp->timer_when, memory_order_relaxed);
}

int64_t goro_timers_next(void)
{
	int64_t next = INT64_MAX;

	for (int i = 0; i < sched.nprocs; i++) {
		int64_t when = atomic_load_explicit(&goro_ps[i]->timer_when, memory_order_acquire);

		next = when < next ? when : next;
	}
	return next;
}

void goro_sleep(int64_t ns)
{
	struct m *mp;
	int64_t when;

	if (ns <= 0)
		return;
	mp = enter();
	if (unlikely(!sched.sysmon_started))
		goro_sysmon_start();
	when = goro_now();
	when = ns > INT64_MAX - 1 - when ? INT64_MAX - 1 : when + ns;
	__atomic_add_fetch(&goro_introspect.timers, 1, __ATOMIC_RELAXED);
	/* Held over the switch: nobody may fire it before we are parked. */
	lock(&mp->p->timer_lock);
	heap_push(mp->p, (struct timer){ when, mp->curg });
	mp->curg->waiting = NULL;
	mp = goro_park(mp, GORO_REASON_SLEEP, NULL, &mp->p->timer_lock);
	leave(mp);
}
