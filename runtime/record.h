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
 * of them are in the cache. So what mostly stays as it is, the clock and the worker, is compared
 * first.
 */
#ifndef GORO_RECORD_H
#define GORO_RECORD_H

/* State and reason, as G_STATE() packs them. */
static inline void g_set_packed(struct g *gp, uint32_t packed)
{
	uint64_t now = coarse_now();

	if (unlikely(gp->park_time != now))
		gp->park_time = now;
	/* Release: an observer that sees the new state sees the registers saved before it. */
	atomic_store_explicit(&gp->state, (uint16_t)packed, memory_order_release);
}

/* A new goroutine, and where it was started. (By whom is a queue's to know: g_set_parent().) */
static inline void record_new(struct g *gp, uintptr_t pc)
{
	gp->wait_object = NULL;
	gp->waiting = NULL;
	gp->spawn_pc = pc;
	gp->park_time = coarse_now();
	atomic_store_explicit(&gp->status, GORO_STATE_NEW, memory_order_release);
}

/* park_time stays: that of being made runnable is as good, and the store was most of 1%. */
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

static inline void record_park(struct g *gp, void *object)
{
	gp->wait_object = object;
	count_park(gp);
}

static inline void record_ready(struct p *pp, uint32_t n)
{
	pp->nready += n;
}

/* The next one that is made runnable is the one to goro_mark_ready(). */
static inline void record_mark_due(struct p *pp)
{
	atomic_store_explicit(&pp->mark_due, 1, memory_order_relaxed);
}

#endif /* GORO_RECORD_H */
