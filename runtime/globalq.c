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
	BLOCK_LEN = (BLOCK_SIZE - sizeof(void *)) / sizeof(void *),
	SPARE_MAX = 32, /* empty blocks that are kept */
};

struct block {
	struct block *next;
	struct g *entry[BLOCK_LEN];
};

static struct {
	struct block *first, *last; /* NULL: never used */
	uint32_t head, tail;	    /* in the first, and in the last */
	struct block *spare;
	uint32_t nspare;
} queue;

static void set_len(uint64_t len)
{
	/* Relaxed: the lock orders it; who looks without it wants a hint. */
	atomic_store_explicit(&sched.runq_len, len, memory_order_relaxed);
	goro_introspect.sched_runq_len = len;
}

static void block_add(void)
{
	struct block *b = queue.spare;

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
	if (queue.last)
		queue.last->next = b;
	else
		queue.first = b;
	queue.last = b;
	queue.tail = 0;
}

static void block_done(struct block *b)
{
	if (queue.nspare == SPARE_MAX) {
		os_unreserve(b, sizeof(*b));
		return;
	}
	b->next = queue.spare;
	queue.spare = b;
	queue.nspare++;
}

static void put(struct g *gp)
{
	if (!queue.last || queue.tail == BLOCK_LEN)
		block_add();
	queue.last->entry[queue.tail++] = gp;
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

static struct g *first(void)
{
	return queue.first->entry[queue.head];
}

static struct g *take(void)
{
	struct block *b = queue.first;
	struct g *gp = b->entry[queue.head++];

	if (b == queue.last) {
		if (queue.head == queue.tail)
			queue.head = queue.tail = 0;
	} else if (queue.head == BLOCK_LEN) {
		queue.first = b->next;
		queue.head = 0;
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
