/* SPDX-License-Identifier: MIT */
/*
 * g.c - the records of goroutines, and the first frame on a new stack.
 *
 * Records lie in chunks that are never unmapped and never move, so that anybody (an observer, a
 * crash handler, a debugger) may look at any of them at any time. Free ones are kept per P.
 */
#include <string.h>

#include "stack.h"
#include "switch.h"

uint64_t g_chunks[G_CHUNKS_MAX];

extern char goro_entry_start[];

/*
 * Chunks lie side by side in blocks of the size of a huge page. From the second block on they are
 * huge pages: who looks at a hundred thousand records pays most for finding 4,700 pages (a look of
 * 7.1 ms takes 4.4 so), while a program of few goroutines shall not have a whole one. Behind its
 * chunks a block has what is to be known of each.
 *
 * Free records age as stacks do (see stack.h): young in sched.gfree,
 * then old, then in their chunk; and when all of a chunk are there its memory is given back. They
 * are then as if never used, which the contract allows. One that ended while it held a lock stays,
 * for an observer to say so. All of it under sched.lock.
 */
struct chunk_end {
	struct g *cold;
	uint32_t ncold;
	bool bare, keep, listed;
	struct chunk_end *next; /* with cold records */
};

enum {
	CHUNK_BYTES = sizeof(struct g) * G_CHUNK_LEN,
	BLOCK = 2 * 1024 * 1024,
	CHUNKS_OF_BLOCK = (BLOCK - 1) / CHUNK_BYTES,
	RETURN_BATCH = 64, /* with the lock held */
	BATCHES_A_TURN = 16,
};

_Static_assert(CHUNKS_OF_BLOCK *(CHUNK_BYTES + sizeof(struct chunk_end)) <= BLOCK,
	       "chunks and their ends");
_Static_assert(CHUNK_BYTES % (64 * 1024) == 0, "given back in whole pages of any system");

static struct g *gfree_old, *gfree_limbo; /* chains; see push_chain() */
static struct g *limbo_chain;
static struct chunk_end *chunks_cold;

static uintptr_t block_of(uintptr_t at)
{
	return at & ~(uintptr_t)(BLOCK - 1);
}

static struct chunk_end *ends_of(uintptr_t block)
{
	return (struct chunk_end *)(block + CHUNKS_OF_BLOCK * CHUNK_BYTES);
}

static struct chunk_end *end_of(uintptr_t record)
{
	uintptr_t block = block_of(record);

	return ends_of(block) + (record - block) / CHUNK_BYTES;
}

static struct g *records_of(struct chunk_end *end)
{
	uintptr_t block = block_of((uintptr_t)end);

	return (struct g *)(block + (uintptr_t)(end - ends_of(block)) * CHUNK_BYTES);
}

struct g *goro_g_by_index(uint64_t i)
{
	return (struct g *)g_chunks[i / G_CHUNK_LEN] + i % G_CHUNK_LEN;
}

uint64_t goro_g_count(void)
{
	return (uint64_t)__atomic_load_n(&goro_introspect.g_nchunks, __ATOMIC_ACQUIRE) *
	       G_CHUNK_LEN;
}

/*
 * Free records go from hand to hand by the chain, through g.link, and the head of a chain says how
 * long it is and which chain comes next. So whoever takes or gives a batch touches one record and
 * not all: each might be a wait for memory, with the lock held, and the next address only in it.
 */
static void push_chain(struct g **list, struct g *head, uint32_t n)
{
	head->chain.next = *list;
	head->chain.n = n;
	*list = head;
}

static struct g *pop_chain(struct g **list)
{
	struct g *head = *list;

	*list = head->chain.next;
	return head;
}

/* In order: a report that goes through the table then mostly shows first who was started first. */
static void chain_chunk(struct g *chunk)
{
	for (uint32_t i = 0; i < G_CHUNK_LEN; i++)
		chunk[i].link = (i + 1) % GFREE_BATCH ? &chunk[i + 1] : NULL;
	for (uint32_t i = G_CHUNK_LEN; i; i -= GFREE_BATCH)
		push_chain(&sched.gfree, &chunk[i - GFREE_BATCH], GFREE_BATCH);
}

/* The n-th. */
static struct g *reserve_chunk(uint32_t n)
{
	static char *block;

	if (n % CHUNKS_OF_BLOCK == 0) {
		block = os_reserve_aligned(BLOCK, BLOCK);
		if (block && n)
			os_huge_pages(block, BLOCK);
	}
	return block ? (struct g *)(block + n % CHUNKS_OF_BLOCK * CHUNK_BYTES) : NULL;
}

/* sched.lock held. */
void goro_g_chunk_add(void)
{
	uint32_t n = goro_introspect.g_nchunks;
	struct g *chunk = n < G_CHUNKS_MAX ? reserve_chunk(n) : NULL;

	if (!chunk)
		goro_throw("out of memory: no room for another %u goroutines (there are %lu)",
			   G_CHUNK_LEN, (unsigned long)goro_g_count());
	chain_chunk(chunk);
	g_chunks[n] = (uint64_t)(uintptr_t)chunk;
	/* Release: the pointer comes before the count that makes observers read it. */
	__atomic_store_n(&goro_introspect.g_nchunks, n + 1, __ATOMIC_RELEASE);
}

/* Put into sched.gfree what is colder, or new. sched.lock held. */
static void find_free(void)
{
	struct chunk_end *end = chunks_cold;

	if (gfree_old) {
		sched.gfree = pop_chain(&gfree_old);
		sched.gfree->chain.next = NULL;
		return;
	}
	if (!end) {
		goro_g_chunk_add();
		return;
	}
	chunks_cold = end->next;
	end->listed = false;
	if (end->bare)
		chain_chunk(records_of(end));
	else
		push_chain(&sched.gfree, end->cold, end->ncold);
	end->cold = NULL;
	end->ncold = 0;
	end->bare = false;
}

/* sched.lock held. */
static struct g *take_chain(void)
{
	if (!sched.gfree)
		find_free();
	return pop_chain(&sched.gfree);
}

/* One, for who has no P. sched.lock held. */
struct g *goro_g_take(void)
{
	struct g *gp = take_chain();

	if (gp->link)
		push_chain(&sched.gfree, gp->link, gp->chain.n - 1);
	gp->link = NULL;
	return gp;
}

void goro_g_refill(struct p *pp)
{
	if (pp->gspare) {
		pp->gfree = pp->gspare;
		pp->ngfree = pp->ngspare;
		pp->gspare = NULL;
		return;
	}
	lock_always(&sched.lock);
	pp->gfree = take_chain();
	unlock_always(&sched.lock);
	pp->ngfree = pp->gfree->chain.n;
}

/* It has a batch: that is put aside, and what was put aside before is given to all. */
void goro_g_flush(struct p *pp)
{
	if (pp->gspare) {
		lock_always(&sched.lock);
		push_chain(&sched.gfree, pp->gspare, pp->ngspare);
		unlock_always(&sched.lock);
	}
	pp->gspare = pp->gfree;
	pp->ngspare = pp->ngfree;
	pp->gfree = NULL;
	pp->ngfree = 0;
}

void goro_g_flush_locked(struct p *pp)
{
	if (pp->gfree)
		push_chain(&sched.gfree, pp->gfree, pp->ngfree);
	if (pp->gspare)
		push_chain(&sched.gfree, pp->gspare, pp->ngspare);
	pp->gfree = pp->gspare = NULL;
	pp->ngfree = 0;
}

/* ---- free records grow old: sysmon only, see scavenge.c -------------------------------------- */

/* True: there are some. */
bool goro_g_age(void)
{
	bool any;

	lock_always(&sched.lock);
	any = sched.gfree || gfree_old;
	gfree_limbo = gfree_old;
	gfree_old = sched.gfree;
	sched.gfree = NULL;
	unlock_always(&sched.lock);
	return any;
}

static void return_record(struct g *gp)
{
	struct chunk_end *end = end_of((uintptr_t)gp);

	gp->link = end->cold;
	end->cold = gp;
	end->keep |= gp->held_locks != 0;
	if (!end->listed) {
		end->listed = true;
		end->next = chunks_cold;
		chunks_cold = end;
	}
	if (++end->ncold == G_CHUNK_LEN && !end->keep) {
		os_discard(records_of(end), CHUNK_BYTES);
		end->cold = NULL;
		end->bare = true;
	}
}

/* From the chain that is being returned, or the first of the next one. */
static struct g *limbo_pop(void)
{
	struct g *gp = limbo_chain;

	if (!gp && gfree_limbo)
		gp = pop_chain(&gfree_limbo);
	limbo_chain = gp ? gp->link : NULL;
	return gp;
}

/* True: there is more to do. */
bool goro_g_return(void)
{
	struct g *gp;

	if (!gfree_limbo && !limbo_chain)
		return false;
	for (int n = 0; n < BATCHES_A_TURN && (gfree_limbo || limbo_chain); n++) {
		lock_always(&sched.lock);
		for (int i = 0; i < RETURN_BATCH && (gp = limbo_pop()); i++)
			return_record(gp);
		unlock_always(&sched.lock);
	}
	return true;
}

/* ---- the first frame ------------------------------------------------------------------------- */

/* Make `gp` look as if it had switched away just before it calls fn on an empty stack. */
void goro_g_prepare_stack(struct g *gp, uintptr_t top, void (*fn)(void *))
{
	struct switch_frame *frame;

	top = (top & ~(uintptr_t)15) - sizeof(struct stack_owner);
	frame = (struct switch_frame *)(top - sizeof(*frame));
	*(struct stack_owner *)top = (struct stack_owner){ 0 };
	switch_frame_init(frame, fn, (uintptr_t)goro_entry_start);
	g_set_sp(gp, (uintptr_t)frame);
}

/*
 * The top of a stack is not always the same address modulo a page: else the hottest lines of all
 * stacks would fall into the same few sets of the cache. It is the same for all who get this stack:
 * what lies above it would otherwise be frames of one that had it before, and their pointers would
 * keep alive what nobody has any more. A multiplication by the golden ratio, whose upper bits are
 * different for neighbours at any power of two (Knuth, 6.4).
 */
uintptr_t goro_g_stack_colour(const struct g *gp)
{
	uint64_t slot = gp->stack_hi % ARENA_SIZE / SLOT_MIN;
	uint64_t spread = slot * UINT64_C(0x9e3779b97f4a7c15);

	return (spread >> 60) * CACHE_LINE;
}

void goro_g_give_stack(struct p *pp, struct g *gp)
{
	goro_stack_alloc(pp, gp);
	san_fiber_create(&gp->san);
	goro_g_prepare_stack(gp, gp->stack_hi - goro_g_stack_colour(gp), goro_main);
}
