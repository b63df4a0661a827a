/* SPDX-License-Identifier: MIT */
/*
 * runq.h - the run queue of a P: a slot for the goroutine that runs next, and a ring of 256.
 *
 * Single producer (the owner), many consumers (the owner and thieves). The algorithm is that of
 * Go's runq* in proc.go: the owner publishes an entry with a release store of the tail; whoever
 * takes entries moves the head by compare-and-swap. A full ring never blocks a push: half of it
 * goes to the global queue. Chase-Lev was rejected: it is last in, first out for the owner, which
 * starves, and a thief takes one at a time.
 *
 * Where many wait that are over soon, the owner takes HAND_LEN at once, and runs them from its hand
 * with plain loads and stores. What is there, as what is in the slot in front, thieves must ask
 * for: see retake.c. They do when its goroutine runs for long.
 *
 * One thing is its: the owner may take the newest back, see runq_take_child(). Thieves take several
 * at once, so that one who has read the tail before may be about to take that one, too. Hence what
 * takers compare and swap is the head and, above it, a count of entries taken at the tail.
 */
#ifndef GORO_RUNQ_H
#define GORO_RUNQ_H

#include "runtime.h"

void goro_runq_put_slow(struct p *pp, struct g *gp, uint32_t head, uint32_t tail);
struct g *goro_runq_take_of_many(struct p *pp, uint64_t top);
struct g *goro_runq_steal(struct p *to, struct p *from, bool take_next);

enum {
	/* How long a goroutine and those that it starts may keep all
	 * others of the queue waiting. */
	BRANCH_NS = 1000 * 1000,
	MANY = 10, /* wait: the owner looks ahead, and may fill its hand */
};

/* The head, and with it the number that all who take must find unchanged: see above. */
static inline uint64_t runq_top(struct p *pp)
{
	/* Acquire: a thief's move of the head comes after its reads of the entries. */
	return atomic_load_explicit(&pp->runq_top, memory_order_acquire);
}

/* Take the first n, if nobody has taken any since *top was read; else read it anew. */
static inline bool runq_claim(struct p *pp, uint64_t *top, uint32_t n)
{
	uint64_t to = *top + n; /* a carry is one more taken back: different is all it must be */

	/*
	 * All of it also where the head alone would do: a load of eight bytes of which four were
	 * just stored has to wait until these are in the cache, behind all stores before them.
	 */
	if (sched.solo) {
		atomic_store_explicit(&pp->runq_top, to, memory_order_relaxed);
		return true;
	}
	/* Release: our reads of the entries come before their slots may be filled again. */
	return atomic_compare_exchange_strong_explicit(&pp->runq_top, top, to, memory_order_acq_rel,
						       memory_order_acquire);
}

/* At the tail. Only the owner. */
static inline void runq_put(struct p *pp, struct g *gp)
{
	/* Acquire: a thief's move of the head comes after its reads of the entries. */
	uint32_t head = atomic_load_explicit(&pp->runq_head, memory_order_acquire);
	uint32_t tail = atomic_load_explicit(&pp->runq_tail, memory_order_relaxed);

	if (unlikely(tail - head >= RUNQ_LEN)) {
		goro_runq_put_slow(pp, gp, head, tail);
		return;
	}
	atomic_store_explicit(&pp->runq[tail % RUNQ_LEN], gp, memory_order_relaxed);
	/* Release: the entry comes before the tail that publishes it. */
	atomic_store_explicit(&pp->runq_tail, tail + 1, memory_order_release);
}

/*
 * In the slot in front; returns what was there. Only the owner. A thief that wants what is in it
 * sees to it that the owner is not in the runtime, see retake.c: so the owner needs no exchange,
 * unless there is no membarrier.
 */
static inline struct g *runq_set_next(struct p *pp, struct g *gp)
{
	struct g *old = atomic_load_explicit(&pp->runnext, memory_order_relaxed);

	if (likely(sched.own_next) || !old) {
		/* Only the owner fills an empty slot. Release: gp's record before gp. */
		atomic_store_explicit(&pp->runnext, gp, memory_order_release);
		return old;
	}
	return atomic_exchange_explicit(&pp->runnext, gp, memory_order_acq_rel);
}

static inline struct g *runq_take_next(struct p *pp)
{
	struct g *gp = atomic_load_explicit(&pp->runnext, memory_order_relaxed);

	if (!gp)
		return NULL;
	if (likely(sched.own_next))
		atomic_store_explicit(&pp->runnext, NULL, memory_order_relaxed);
	else if (!atomic_compare_exchange_strong_explicit(
			 &pp->runnext, &gp, NULL, memory_order_acquire, memory_order_relaxed))
		return NULL; /* a thief was faster; only it could be */
	return gp;
}

/* With what is in its hand. */
static inline bool runq_ring_empty(struct p *pp)
{
	return !atomic_load_explicit(&pp->nhand, memory_order_relaxed) &&
	       atomic_load_explicit(&pp->runq_head, memory_order_relaxed) ==
		       atomic_load_explicit(&pp->runq_tail, memory_order_relaxed);
}

/* Who asks for it (see retake.c) or the owner: the oldest of its hand, which is not empty. */
static inline struct g *runq_take_hand(struct p *pp, uint32_t n)
{
	atomic_store_explicit(&pp->nhand, n - 1, memory_order_relaxed);
	return atomic_load_explicit(&pp->hand[n - 1], memory_order_relaxed);
}

/* What many wait for is in runq.c, as is what to do where thieves were faster. */
static inline struct g *runq_take_ring(struct p *pp)
{
	uint64_t top = runq_top(pp);
	uint32_t head = (uint32_t)top;
	uint32_t len = atomic_load_explicit(&pp->runq_tail, memory_order_relaxed) - head;
	struct g *gp;

	if (unlikely(atomic_load_explicit(&pp->nhand, memory_order_relaxed) || len >= MANY))
		return goro_runq_take_of_many(pp, top);
	if (len == 0)
		return NULL;
	gp = atomic_load_explicit(&pp->runq[head % RUNQ_LEN], memory_order_relaxed);
	return likely(runq_claim(pp, &top, 1)) ? gp : goro_runq_take_of_many(pp, top);
}

/*
 * Take the entry before `tail` back. The new tail comes first: a thief that finds our number in the
 * top finds that tail with it (release, and its acquire), and one that had read the top before
 * finds it changed. Only then is the entry ours. If thieves were faster it is gone, with all else.
 */
static inline bool runq_take_back(struct p *pp, uint32_t tail)
{
	uint64_t top = runq_top(pp);

	atomic_store_explicit(&pp->runq_tail, tail - 1, memory_order_relaxed);
	while ((uint32_t)top != tail)
		if (atomic_compare_exchange_strong_explicit(
			    &pp->runq_top, &top, top + ((uint64_t)1 << 32), memory_order_acq_rel,
			    memory_order_acquire))
			return true;
	atomic_store_explicit(&pp->runq_tail, tail, memory_order_relaxed);
	return false;
}

/*
 * The newest of the ring, if `parent` has started it and it did not run yet. Its record is looked
 * at before it is ours: it may be another's meanwhile, and then we do not get it.
 */
static inline struct g *runq_take_child(struct p *pp, const struct g *parent)
{
	uint32_t tail = atomic_load_explicit(&pp->runq_tail, memory_order_relaxed);
	struct g *gp;
	uint64_t now;

	if (tail == atomic_load_explicit(&pp->runq_head, memory_order_relaxed))
		return NULL;
	gp = atomic_load_explicit(&pp->runq[(tail - 1) % RUNQ_LEN], memory_order_relaxed);
	if (__atomic_load_n(&gp->sp, __ATOMIC_RELAXED) ||
	    __atomic_load_n(&gp->parent, __ATOMIC_RELAXED) != parent->id)
		return NULL;
	now = coarse_now();
	if (unlikely(now - pp->children_since > BRANCH_NS)) {
		pp->children_since = now;
		return NULL;
	}
	if (sched.solo)
		atomic_store_explicit(&pp->runq_tail, tail - 1, memory_order_relaxed);
	else if (!runq_take_back(pp, tail))
		return NULL;
	pp->nrunnext = 0;
	pp->branch = true;
	return gp;
}

/*
 * The next goroutine of this P: the slot in front, then the ring. A pair that hand the slot to each
 * other would starve the ring, so after 64 turns in a row it goes to the back.
 *
 * When `parent` (or NULL) waits, perhaps it does for those that it has started: of the ring they
 * come first, the newest foremost, whose record is still in the cache. So a tree of goroutines is
 * gone through branch by branch, and no more of it lives at a time than a branch. In the order of
 * the queue it was level by level, each on a stack of its own, and most of the time went into
 * waiting for those. Thieves take the oldest, whose branches are the biggest.
 */
static __always_inline struct g *runq_get_for(struct p *pp, const struct g *parent)
{
	struct g *gp = runq_take_next(pp);

	if (gp) {
		if (likely(++pp->nrunnext < 64) || runq_ring_empty(pp))
			return gp;
		runq_put(pp, gp);
	} else if (parent) {
		gp = runq_take_child(pp, parent);
		if (gp)
			return gp;
	}
	pp->nrunnext = 0;
	return runq_take_ring(pp);
}

static inline struct g *runq_get(struct p *pp)
{
	return runq_get_for(pp, NULL);
}

static inline uint32_t runq_ring_len(struct p *pp)
{
	return atomic_load_explicit(&pp->runq_tail, memory_order_relaxed) -
	       atomic_load_explicit(&pp->runq_head, memory_order_relaxed);
}

static inline bool runq_entangled(struct p *pp)
{
	return atomic_load_explicit(&pp->entangled, memory_order_relaxed);
}

/*
 * Is what waits here worth another worker's while? Few goroutines with tiny slices are not, nor any
 * that would wait for each other's locks.
 */
static inline bool runq_worth_stealing(struct p *pp)
{
	if (runq_entangled(pp))
		return false;
	return atomic_load_explicit(&pp->spread, memory_order_relaxed) || runq_ring_len(pp) >= 8;
}

static inline bool runq_empty(struct p *pp)
{
	return runq_ring_empty(pp) && !atomic_load_explicit(&pp->runnext, memory_order_relaxed);
}

#endif /* GORO_RUNQ_H */
