/* SPDX-License-Identifier: MIT */
/*
 * measure.c - how long goroutines run at a time, and how long they wait for a P: histograms in each
 * P, of fixed size, read from outside.
 *
 * Reading a precise clock twice a switch would cost as much as the switch. So about every 61st
 * duration is measured, and at most one each time the coarse clock moves: what it costs is bounded
 * by time, not by the number of switches. (Of a batch that becomes runnable at once, the first is
 * taken.) The countdown to the next one is the one that gives the global queue its turn, so a pick
 * does no more than without it. 61 is odd and a prime: it does not walk in step with programs that
 * take turns. When a slice was measured, the turn of the latencies has come: the next that is made
 * runnable is marked. So is one at each tick of sysmon's where a goroutine of that P makes others
 * runnable but never parks itself: else those that only thieves can run were in no histogram. A
 * ready learns it from the word that it looks at anyway, to see whether it is to wake a worker.
 *
 * A slice begins when a goroutine is picked and ends at the next pick of that P. If that one found
 * nothing to run, the scheduler begins it anew where it does; what is lost is not counted as long.
 *
 * The latency is that of a goroutine, not of a P: a mark in its m_id goes with it through queues
 * and thieves. There, since whoever runs it looks whether that is his own number anyway. The time
 * at which it became runnable is its `since`, precise this once, and what that has no bits for is
 * beside the mark.
 */
#include "pthreads.h"
#include "switch.h"

/* In m_id: the mark, and the end of the time in units of 2 ns. */
#define TIMED	      0x80000000u
#define TIME_END(ns)  ((uint32_t)((ns)&0xffff) >> 1 << 16)
#define TIME_OF(m_id) ((m_id) >> 16 << 1 & 0xffff)

_Static_assert(GORO_WORKER(TIMED | TIME_END(0xffff)) == 0, "observers take it off");
_Static_assert(GORO_WORKER(M_MAX - 1) == M_MAX - 1, "and no worker has so high a number");

void goro_measure_init(struct p *pp)
{
	pp->until_turn = sched.pthreads ? 1 : P_TURN;
}

/* Entry 0 is 0 ns, i is 2^(i-1) to 2^i - 1. */
static void count(uint64_t *histogram, int64_t ns)
{
	unsigned i = ns > 0 ? 64 - (unsigned)__builtin_clzll((uint64_t)ns) : 0;
	uint64_t *n = &histogram[i < P_NBUCKETS ? i : P_NBUCKETS - 1];

	/* Observers read it meanwhile. */
	__atomic_store_n(n, *n + 1, __ATOMIC_RELAXED);
}

void goro_end_slice(struct p *pp)
{
	if (pp->slice_begin)
		count(pp->slices, os_now() - pp->slice_begin);
	pp->slice_begin = 0;
}

void goro_record_moved(struct m *mp, struct g *gp)
{
	if (gp->m_id & TIMED)
		count(mp->p->latencies, os_now() - (int64_t)(g_since(gp) | TIME_OF(gp->m_id)));
	gp->m_id = mp->id;
}

/*
 * A goroutine and those that it starts have a slice of time together, so while such a branch is
 * gone through the global queue waits until that is over.
 */
static bool turn_of_global(struct p *pp, uint64_t clock)
{
	bool branch = pp->branch;

	pp->branch = false;
	if (!atomic_load_explicit(&sched.runq_len, memory_order_relaxed) ||
	    (branch && clock - pp->global_since <= BRANCH_NS))
		return false;
	pp->global_since = clock;
	return true;
}

/* Measure what is due; true: it is the turn of the global queue. */
static bool take_turn(struct p *pp)
{
	uint64_t clock = coarse_now();

	if (pp->slice_begin) {
		goro_end_slice(pp);
		record_mark_due(pp);
		pp->until_turn = P_TURN - 1;
		return false;
	}
	pp->until_turn = P_TURN;
	if (pp->turn_clock != clock) {
		pp->turn_clock = clock;
		pp->slice_begin = os_now();
		pp->until_turn = 1;
	}
	return turn_of_global(pp, clock);
}

struct g *goro_turn(struct p *pp, const struct g *parent)
{
	bool elsewhere = take_turn(pp);

	if (on_signal_stack(getm()))
		goro_wait_in_a_handler();
	if (unlikely(sched.pthreads)) {
		pp->until_turn = 1;
		goro_pthread_look(pp);
	}
	if (elsewhere || atomic_load_explicit(&pp->attention, memory_order_relaxed))
		return NULL;
	return runq_get_for(pp, parent);
}

void goro_mark_ready(struct p *pp, struct g *gp)
{
	uint64_t clock = coarse_now(), now;

	atomic_store_explicit(&pp->mark_due, 0, memory_order_relaxed);
	if (pp->ready_clock == clock)
		return;
	pp->ready_clock = clock;
	now = (uint64_t)os_now();
	atomic_store_explicit(&gp->since, GORO_SINCE(now) | g_status(gp), memory_order_relaxed);
	gp->m_id = GORO_WORKER(gp->m_id) | TIMED | TIME_END(now);
}
