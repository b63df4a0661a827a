/* SPDX-License-Identifier: MIT */
/*
 * record.h - what the scheduler writes down for those who look from outside, and for nobody else.
 *
 * The scheduler itself reads none of it (trim.c does; without, it finds nobody parked and rests).
 * So there can be a build without: tests/bench/no_record.h has the same functions, empty, and the
 * benchmark `recording_cost` compares the two. Part of runtime.h.
 *
 * All of it is plain stores to the line of the record that the switch touches anyway, and a load of
 * the coarse clock; the orders that observers rely on cost nothing on x86 and a barrier elsewhere.
 *
 * Stores are what a switch waits for: it has some forty, and the next lock is taken only when all
 * of them are in the cache. So state and time are one word. (To compare the time first, and store
 * it where it changed, was 2% of a message more, and a count of those made runnable 1 to 4%.) And
 * the worker, which mostly stays as it is, is compared first.
 */
#ifndef GORO_RECORD_H
#define GORO_RECORD_H

/* State and reason, as G_STATE() packs them. */
static inline void g_set_packed(struct g *gp, uint32_t packed)
{
	/* Release: an observer that sees the new state sees the registers saved before it. */
	atomic_store_explicit(&gp->since, coarse_now() | packed, memory_order_release);
}

/* A new goroutine, and where it was started. (By whom is a queue's to know: g_set_parent().) */
static inline void record_new(struct g *gp, uintptr_t pc)
{
	gp->wait_object = NULL;
	gp->waiting = NULL;
	gp->spawn_pc = pc;
	atomic_store_explicit(&gp->flags, 0, memory_order_relaxed);
	g_set_packed(gp, GORO_STATE_NEW);
}

/* The time stays: that of being made runnable is as good, and the store was most of 1%. */
static inline void record_running(struct m *mp, struct g *gp)
{
	if (unlikely(gp->m_id != mp->id))
		goro_record_moved(mp, gp);
	atomic_store_explicit(&gp->state, GORO_STATE_RUNNING, memory_order_release);
	/* An observer that sees what it writes to its stack from now on sees that it runs. */
	store_fence();
}

static inline void count_park(struct g *gp)
{
	/* An observer that sees an unchanged number knows that the goroutine did not run. */
	count_release(&gp->park_seq);
}

/* Before it leaves its stack. */
static inline void record_park(struct g *gp, void *object)
{
	gp->wait_object = object;
}

/* When it has, and its registers are saved. (To count before the switch took 1% of a message.) */
static inline void record_parked(struct g *gp, uint32_t packed)
{
	count_park(gp);
	g_set_packed(gp, packed);
}

static inline void record_yield(struct p *pp)
{
	pp->nyield++;
}

/* The next one that is made runnable is the one to goro_mark_ready(). */
static inline void record_mark_due(struct p *pp)
{
	atomic_store_explicit(&pp->mark_due, 1, memory_order_relaxed);
}

#endif /* GORO_RECORD_H */
