/* SPDX-License-Identifier: MIT */
/*
 * time.c - the clock, sleep, and the heap of timers of each P.
 *
 * Each P has a 4-ary heap of what must happen when (Go's structure). A P looks at its own heap
 * when it looks for work; an idle worker looks at everybody's; one sleeper is the time keeper and
 * gets up for the next timer; while all Ps are busy sysmon tells them that something is due.
 *
 * A sleeper is in the heap by itself: nobody stops it, so it needs no record of its own. A struct
 * timer knows where it is, so that a stopped one leaves the heap at once and its memory is its
 * owner's again.
 *
 * Rejected: a hierarchical wheel (better only with far more timers than goroutines), one heap for
 * all (a lock that everybody needs), a timer thread (a thread switch for each sleep), marking
 * stopped timers and removing them later (their owner could not free them), the four children of an
 * entry in one cache line (with 100,000 timers a tenth of the time is the heap's, and no less
 * then).
 */
#include <string.h>

#include "runq.h"
#include "timer.h"

int64_t goro_now(void)
{
	return os_now();
}

int64_t goro_clock_advance(void)
{
	int64_t now = goro_now();

	/* Without the bits that g.since has other use for. */
	__atomic_store_n(&goro_contract.clock, GORO_SINCE((uint64_t)now), __ATOMIC_RELAXED);
	return now;
}

int64_t goro_when(int64_t ns)
{
	int64_t now = goro_now();

	if (ns <= 0)
		return now;
	return ns > NEVER - 1 - now ? NEVER - 1 : now + ns;
}

/* ---- the heap: under timer_lock ----------------------------------------------------------------
 */

/* What of a sleeper is its goroutine, with the lowest bit set. */
static inline bool is_sleeper(struct due d)
{
	return d.what & 1;
}

static inline struct timer *timer_of(struct due d)
{
	return (struct timer *)d.what;
}

static inline void heap_set(struct p *pp, uint32_t i, struct due d)
{
	pp->timers[i] = d;
	if (!is_sleeper(d))
		timer_of(d)->at = i;
}

static void heap_up(struct p *pp, uint32_t i, struct due d)
{
	while (i) {
		uint32_t parent = (i - 1) / 4;

		if (pp->timers[parent].when <= d.when)
			break;
		heap_set(pp, i, pp->timers[parent]);
		i = parent;
	}
	heap_set(pp, i, d);
}

static void heap_down(struct p *pp, uint32_t i, struct due d)
{
	uint32_t n = pp->ntimers;

	for (;;) {
		uint32_t child = 4 * i + 1, least = child;

		if (child >= n)
			break;
		for (uint32_t c = child + 1; c < child + 4 && c < n; c++)
			if (pp->timers[c].when < pp->timers[least].when)
				least = c;
		if (pp->timers[least].when >= d.when)
			break;
		heap_set(pp, i, pp->timers[least]);
		i = least;
	}
	heap_set(pp, i, d);
}

static void heap_publish(struct p *pp)
{
	atomic_store_explicit(&pp->timer_when, pp->ntimers ? pp->timers[0].when : NEVER,
			      memory_order_release);
}

static noinline void heap_grow(struct p *pp)
{
	uint32_t cap = pp->timers_cap ? pp->timers_cap * 2 : 256;
	struct due *more = os_reserve(cap * sizeof(*more));

	if (!more)
		goro_throw("out of memory: %u timers", cap);
	san_root_region(more, cap * sizeof(*more));
	goro_region_add(more, cap * sizeof(*more), GORO_REGION_ROOT);
	if (pp->timers) {
		goro_region_remove(pp->timers, pp->timers_cap * sizeof(*more), GORO_REGION_ROOT);
		memcpy(more, pp->timers, pp->ntimers * sizeof(*more));
		san_root_region_end(pp->timers, pp->timers_cap * sizeof(*more));
		os_unreserve(pp->timers, pp->timers_cap * sizeof(*more));
	}
	pp->timers = more;
	pp->timers_cap = cap;
}

static inline void heap_insert(struct p *pp, struct due d)
{
	if (unlikely(pp->ntimers == pp->timers_cap))
		heap_grow(pp);
	heap_up(pp, pp->ntimers++, d);
}

static void heap_push(struct p *pp, struct due d)
{
	heap_insert(pp, d);
	heap_publish(pp);
	__atomic_add_fetch(&goro_introspect.timers, 1, __ATOMIC_RELAXED);
}

static void heap_remove(struct p *pp, uint32_t i)
{
	struct due last = pp->timers[--pp->ntimers];

	/* Observers look for pointers here: leave none to what is gone. */
	pp->timers[pp->ntimers].what = 0;
	if (i == pp->ntimers)
		return;
	if (i && pp->timers[(i - 1) / 4].when > last.when)
		heap_up(pp, i, last);
	else
		heap_down(pp, i, last);
}

/* ---- firing ------------------------------------------------------------------------------------
 */

/* The first of the heap is due. True: it is not in the heap any more. */
static bool fire_first(struct m *mp, struct p *pp, struct fired *fired)
{
	struct due d = pp->timers[0];
	struct timer *t;

	if (is_sleeper(d)) {
		heap_remove(pp, 0);
		fired_add(fired, (struct g *)(d.what - 1));
		return true;
	}
	t = timer_of(d);
	d.when = t->fire(mp, t, d.when, fired);
	if (d.when != NEVER) {
		heap_down(pp, 0, d);
		return false;
	}
	heap_remove(pp, 0);
	/* Release, and the last that we touch of it: its owner may free it from here on. */
	atomic_store_explicit(&t->p, NULL, memory_order_release);
	return true;
}

int64_t goro_timers_run(struct m *mp, struct p *pp, int64_t now)
{
	struct fired fired = { 0 };
	uint32_t gone = 0;

	lock(&pp->timer_lock);
	while (pp->ntimers && pp->timers[0].when <= now)
		gone += fire_first(mp, pp, &fired);
	heap_publish(pp);
	unlock(&pp->timer_lock);
	if (gone)
		__atomic_sub_fetch(&goro_introspect.timers, gone, __ATOMIC_RELAXED);
	if (fired.n)
		goro_ready_batch(mp, fired.first, fired.n);
	return atomic_load_explicit(&pp->timer_when, memory_order_relaxed);
}

/* Those that know their P are told: nobody is between reading that and taking its lock. */
void goro_timers_move(struct p *from, struct p *to)
{
	for (uint32_t i = 0; i < from->ntimers; i++) {
		struct due d = from->timers[i];

		if (!is_sleeper(d))
			atomic_store_explicit(&timer_of(d)->p, to, memory_order_relaxed);
		heap_insert(to, d);
		from->timers[i].what = 0;
	}
	heap_publish(to);
	from->ntimers = 0;
	heap_publish(from);
}

int64_t goro_timers_next(void)
{
	int64_t next = NEVER;

	for (int i = 0; i < sched.nprocs; i++) {
		int64_t when = atomic_load_explicit(&goro_ps[i]->timer_when, memory_order_acquire);

		next = when < next ? when : next;
	}
	return next;
}

/* ---- arming ------------------------------------------------------------------------------------
 */

void goro_timer_arm_locked(struct m *mp, struct timer *t, int64_t when)
{
	/* It tells a P that is busy for long. */
	if (unlikely(!sched.sysmon_started))
		goro_sysmon_start();
	atomic_store_explicit(&t->p, mp->p, memory_order_relaxed);
	heap_push(mp->p, (struct due){ when, (uintptr_t)t });
}

void goro_timer_arm(struct m *mp, struct timer *t, int64_t when)
{
	struct p *pp = mp->p;

	lock(&pp->timer_lock);
	goro_timer_arm_locked(mp, t, when);
	unlock(&pp->timer_lock);
}

bool goro_timer_disarm(struct timer *t)
{
	struct p *pp = atomic_load_explicit(&t->p, memory_order_acquire);
	bool armed;

	if (!pp)
		return false;
	lock(&pp->timer_lock);
	armed = atomic_load_explicit(&t->p, memory_order_relaxed);
	if (armed) {
		heap_remove(pp, t->at);
		heap_publish(pp);
		atomic_store_explicit(&t->p, NULL, memory_order_relaxed);
	}
	unlock(&pp->timer_lock);
	if (armed)
		__atomic_sub_fetch(&goro_introspect.timers, 1, __ATOMIC_RELAXED);
	return armed;
}

void goro_sleep(int64_t ns)
{
	struct m *mp;
	struct due d;

	if (ns <= 0)
		return;
	mp = enter();
	if (unlikely(!sched.sysmon_started))
		goro_sysmon_start();
	d.when = goro_when(ns);
	d.what = (uintptr_t)mp->curg | 1;
	/* Held over the switch: nobody may fire it before we are parked. */
	lock(&mp->p->timer_lock);
	heap_push(mp->p, d);
	mp = goro_park(mp, GORO_REASON_SLEEP, NULL, &mp->p->timer_lock);
	leave(mp);
}
