/* SPDX-License-Identifier: MIT */
/*
 * globalq.c - the global queue: runnable goroutines that are no P's. First in, first out; all of it
 * under sched.lock.
 *
 * It holds pointers to records, in blocks. Links through the records were rejected: whoever took a
 * batch of 128 waited for memory 128 times in a row, because the next address was in the record
 * before, and did so with the lock held. That was a quarter of the time of starting many
 * goroutines, and most of it when another core had touched them last.
 */
#include "schedule.h"

enum {
	BLOCK_SIZE = 16 * 1024,
	BLOCK_LEN = (BLOCK_SIZE - 2 * sizeof(void *)) / sizeof(void *),
	SPARE_MAX = 32, /* empty blocks that are kept */
};

struct g_block {
	struct g_block *next;
	uint32_t head, tail; /* what is in use; in between, none is empty */
	struct g *entry[BLOCK_LEN];
};

_Static_assert(sizeof(struct g_block) == BLOCK_SIZE, "whole pages");

static struct {
	struct g_block *first, *last; /* NULL: never used; else there is always one */
	struct g_block *spare;
	uint32_t nspare;
} queue;

static void set_len(uint64_t len)
{
	/* Relaxed: the lock orders it; who looks without it wants a hint. */
	atomic_store_explicit(&sched.runq_len, len, memory_order_relaxed);
	goro_introspect.sched_runq_len = len;
}

static struct g_block *block_new(void)
{
	struct g_block *b = queue.spare;

	if (b) {
		queue.spare = b->next;
		queue.nspare--;
	} else {
		b = os_reserve(sizeof(*b));
		if (!b)
			goro_throw("out of memory: the queue of %lu goroutines that can run",
				   (unsigned long)sched.runq_len);
	}
	b->next = NULL;
	b->head = b->tail = 0;
	return b;
}

static void block_done(struct g_block *b)
{
	if (queue.nspare == SPARE_MAX) {
		os_unreserve(b, sizeof(*b));
		return;
	}
	b->next = queue.spare;
	queue.spare = b;
	queue.nspare++;
}

static void append(struct g_block *first, struct g_block *last)
{
	if (queue.last)
		queue.last->next = first;
	else
		queue.first = first;
	queue.last = last;
}

static void put(struct g *gp)
{
	struct g_block *b = queue.last;

	if (unlikely(!b || b->tail == BLOCK_LEN)) {
		b = block_new();
		append(b, b);
	}
	b->entry[b->tail++] = gp;
}

void goro_global_put(struct g *first, struct g *last, uint32_t n)
{
	uint64_t len = atomic_load_explicit(&sched.runq_len, memory_order_relaxed);

	last->link = NULL;
	for (struct g *gp = first, *next; gp; gp = next) {
		next = gp->link;
		put(gp);
	}
	set_len(len + n);
}

void goro_global_put_all(struct g *const *gs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		put(gs[i]);
	set_len(atomic_load_explicit(&sched.runq_len, memory_order_relaxed) + n);
}

/* ---- piles: see offers.h ---------------------------------------------------------------------
 */

static noinline void pile_grow(struct g_pile *pile)
{
	struct g_block *b;

	lock_always(&sched.lock);
	b = block_new();
	unlock_always(&sched.lock);
	b->head = b->tail = BLOCK_LEN;
	b->next = pile->first;
	if (!pile->first)
		pile->last = b;
	pile->first = b;
}

void goro_pile_add(struct g_pile *pile, struct g *gp)
{
	if (g_set_runnable(gp)) {
		goro_ready_locked(gp);
		return;
	}
	if (pile->n++ < PILE_FEW) {
		pile->few[PILE_FEW - pile->n] = gp;
		return;
	}
	if (!pile->first || !pile->first->head)
		pile_grow(pile);
	pile->first->entry[--pile->first->head] = gp;
}

void goro_global_put_pile(const struct g_pile *pile)
{
	uint32_t nfew = pile->n < PILE_FEW ? pile->n : PILE_FEW;

	if (pile->first) {
		struct g_block *was = queue.last;

		/* That was the last one, so the only one; empty ones do not go in between. */
		if (was && was->head == was->tail) {
			queue.first = queue.last = NULL;
			block_done(was);
		}
		append(pile->first, pile->last);
		set_len(atomic_load_explicit(&sched.runq_len, memory_order_relaxed) + pile->n -
			nfew);
	}
	goro_global_put_all(pile->few + PILE_FEW - nfew, nfew);
}

/* ---- taking ----------------------------------------------------------------------------------
 */

static struct g *first(void)
{
	return queue.first->entry[queue.first->head];
}

static struct g *take(void)
{
	struct g_block *b = queue.first;
	struct g *gp = b->entry[b->head++];

	if (b->head < b->tail)
		return gp;
	if (b == queue.last) {
		b->head = b->tail = 0;
	} else {
		queue.first = b->next;
		block_done(b);
	}
	return gp;
}

struct g *goro_global_take(void)
{
	uint64_t len = atomic_load_explicit(&sched.runq_len, memory_order_relaxed);

	if (!len)
		return NULL;
	set_len(len - 1);
	return take();
}

/* A fair share for pp: one is returned, the rest goes to its ring. */
struct g *goro_global_get(struct p *pp)
{
	uint64_t len = atomic_load_explicit(&sched.runq_len, memory_order_relaxed);
	uint64_t n = len / (uint64_t)atomic_load_explicit(&sched.nprocs, memory_order_relaxed) + 1;
	uint32_t tail = atomic_load_explicit(&pp->runq_tail, memory_order_relaxed);
	uint32_t room =
		RUNQ_LEN - (tail - atomic_load_explicit(&pp->runq_head, memory_order_acquire));
	struct g *gp;

	if (!len)
		return NULL;
	n = n < len ? n : len;
	n = n < RUNQ_LEN / 2 ? n : RUNQ_LEN / 2;
	n = n < room + 1 ? n : room + 1;
	gp = take();
	for (uint64_t i = 1; i < n; i++) {
		/* One that is locked to a thread is never in a P's own queue: see locked.c. */
		if (g_is_locked(first())) {
			n = i;
			break;
		}
		runq_put(pp, take());
	}
	set_len(len - n);
	return gp;
}
