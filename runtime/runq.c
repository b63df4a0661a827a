/* SPDX-License-Identifier: MIT */
/*
 * runq.c - the slow paths of the run queue: overflow, many that wait, and stealing.
 */
#include "schedule.h"

enum { HAND_MIN = 64 /* so many wait: thieves have enough, too */ };

/* The ring is full: half of it and gp go to the global queue, in order. */
void goro_runq_put_slow(struct p *pp, struct g *gp, uint32_t head, uint32_t tail)
{
	struct g *batch[RUNQ_LEN / 2 + 1];
	uint64_t top = runq_top(pp);
	uint32_t n = (tail - head) / 2;

	if (n != RUNQ_LEN / 2 || (uint32_t)top != head) {
		runq_put(pp, gp); /* thieves made room meanwhile */
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		batch[i] = atomic_load_explicit(&pp->runq[(head + i) % RUNQ_LEN],
						memory_order_relaxed);
	if (!runq_claim(pp, &top, n)) {
		runq_put(pp, gp);
		return;
	}
	batch[n] = gp;
	lock_always(&sched.lock);
	goro_global_put_all(batch, n + 1);
	unlock_always(&sched.lock);
}

/*
 * Take as many as a hand holds, if there still are; the first is returned, the rest is in the hand.
 * Nobody but us puts others where they were in the ring, so they are read when they are ours.
 */
static struct g *runq_take_more(struct p *pp)
{
	uint32_t tail = atomic_load_explicit(&pp->runq_tail, memory_order_relaxed);
	uint64_t top = runq_top(pp);
	uint32_t head, n;

	do {
		head = (uint32_t)top;
		n = tail - head < HAND_LEN ? tail - head : HAND_LEN;
		if (n == 0)
			return NULL;
	} while (!runq_claim(pp, &top, n));
	for (uint32_t i = 1; i < n; i++) {
		struct g *gp = atomic_load_explicit(&pp->runq[(head + i) % RUNQ_LEN],
						    memory_order_relaxed);

		atomic_store_explicit(&pp->hand[n - 1 - i], gp, memory_order_relaxed);
	}
	pp->hand_at = head + 1;
	/* Release: each before the number that says it is there. */
	atomic_store_explicit(&pp->nhand, n - 1, memory_order_release);
	return atomic_load_explicit(&pp->runq[head % RUNQ_LEN], memory_order_relaxed);
}

/*
 * With many goroutines each switch would wait for memory: for the record, and for the stack behind
 * it. So those of the next but a few are asked for now: first the record, as far as to where the
 * stack is, then what a parked goroutine mostly has on its stack. Waking 100,000 takes a third of
 * the time. Only a hint: an entry may be stolen meanwhile. One that has no stack yet needs none;
 * and no prefetch of nothing, for which the core would walk the page table.
 */
static void runq_prefetch(struct p *pp, uint32_t head)
{
	struct g *soon, *later;
	uintptr_t sp;

	soon = atomic_load_explicit(&pp->runq[(head + 4) % RUNQ_LEN], memory_order_relaxed);
	later = atomic_load_explicit(&pp->runq[(head + 9) % RUNQ_LEN], memory_order_relaxed);
	sp = __atomic_load_n(&soon->sp, __ATOMIC_RELAXED);
	if (sp)
		for (size_t i = 0; i < 6 * CACHE_LINE; i += CACHE_LINE)
			__builtin_prefetch((const char *)sp + i, 1);
	__builtin_prefetch(later, 1);
	__builtin_prefetch((const char *)later + CACHE_LINE, 1);
}

/* Where `len` wait: are they so many, and all over so soon, that the owner takes HAND_LEN? */
static bool runq_by_hand(struct p *pp, uint32_t len)
{
	return unlikely(len >= HAND_MIN) && !sched.solo && sched.own_next &&
	       !atomic_load_explicit(&pp->spread, memory_order_relaxed);
}

/* Where there is something in its hand, or many wait, or thieves are about: `top` was read. */
struct g *goro_runq_take_of_many(struct p *pp, uint64_t top)
{
	uint32_t tail = atomic_load_explicit(&pp->runq_tail, memory_order_relaxed);
	uint32_t in_hand = atomic_load_explicit(&pp->nhand, memory_order_relaxed);

	if (in_hand) {
		uint32_t head = pp->hand_at++;

		if (tail - head >= MANY)
			runq_prefetch(pp, head);
		return runq_take_hand(pp, in_hand);
	}
	for (;;) {
		uint32_t head = (uint32_t)top, len = tail - head;
		struct g *gp;

		if (len == 0)
			return NULL;
		if (len >= MANY)
			runq_prefetch(pp, head);
		if (runq_by_hand(pp, len))
			return runq_take_more(pp);
		gp = atomic_load_explicit(&pp->runq[head % RUNQ_LEN], memory_order_relaxed);
		if (runq_claim(pp, &top, 1))
			return gp;
	}
}

static struct g *steal_next(struct p *from)
{
	struct g *gp = atomic_load_explicit(&from->runnext, memory_order_relaxed);

	if (!gp && !atomic_load_explicit(&from->nhand, memory_order_relaxed))
		return NULL;
	if (likely(sched.own_next))
		return goro_take_next_of(from);
	if (gp && !atomic_compare_exchange_strong_explicit(
			  &from->runnext, &gp, NULL, memory_order_acq_rel, memory_order_relaxed))
		return NULL;
	return gp;
}

/*
 * Move half of `from`'s ring to the thief's own and return one of them. take_next: if the ring is
 * empty take from its hand, or the slot in front; the caller has made sure that its owner let it
 * lie for a while.
 */
struct g *goro_runq_steal(struct p *to, struct p *from, bool take_next)
{
	uint32_t tail = atomic_load_explicit(&to->runq_tail, memory_order_relaxed);
	uint64_t top = runq_top(from);

	for (;;) {
		uint32_t head = (uint32_t)top;
		/* Acquire: the entries that the tail publishes come with it. */
		uint32_t n = atomic_load_explicit(&from->runq_tail, memory_order_acquire) - head;
		struct g *gp = NULL;

		if ((int32_t)n < 0)
			n = 0; /* its owner is about to find that nothing is left: runq_take_back()
				*/
		n -= n / 2;
		if (n == 0) {
			return take_next ? steal_next(from) : NULL;
		}
		if (n > RUNQ_LEN / 2) { /* head and tail are of different moments */
			top = runq_top(from);
			continue;
		}
		for (uint32_t i = 0; i < n; i++) {
			gp = atomic_load_explicit(&from->runq[(head + i) % RUNQ_LEN],
						  memory_order_relaxed);
			atomic_store_explicit(&to->runq[(tail + i) % RUNQ_LEN], gp,
					      memory_order_relaxed);
		}
		if (!runq_claim(from, &top, n))
			continue;
		/* The last one is ours to run; the rest is published. */
		atomic_store_explicit(&to->runq_tail, tail + n - 1, memory_order_release);
		return gp;
	}
}
