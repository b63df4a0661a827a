/* SPDX-License-Identifier: MIT */
/*
 * stack.c - goroutine stacks: fixed slots of address space, of which only touched pages cost
 * memory.
 *
 * Slots are cut from arenas of 64 MiB that are reserved without being committed and without huge
 * pages (one huge page would give each idle stack 2 MiB). The lowest 16 KiB of a slot are a guard:
 * touching them is reported as a stack overflow of that goroutine. Where the kernel can, the guard
 * is a mark in the page table (MADV_GUARD_INSTALL, Linux 6.13), which needs no mapping of its own;
 * else PROT_NONE for as long as the process is far from its limit of mappings, then no guard.
 *
 * The default slot is 128 KiB, musl's size of a thread stack. 256 KiB would do nothing for an idle
 * goroutine but double what its page table costs: a page of it per 2 MiB.
 *
 * Free stacks are kept warm, last in first out: by P without a lock, then in a depot. They are
 * chained through their top word, on a page that was touched before anyway.
 *
 * Rejected: growing by copying (C has pointers into its stack), growing on fault (the address space
 * behind must be reserved all the same), one mmap per stack (two mappings each: 32,000 goroutines
 * and the process is at vm.max_map_count).
 */
#include "runtime.h"

enum {
	ARENA_SIZE = 64 * 1024 * 1024,
	GUARD_SIZE = 16 * 1024,
	CACHE_MAX = 64,
	CACHE_BATCH = 32,
};

#if GORO_ASAN || GORO_TSAN
enum { DEFAULT_SIZE = 512 * 1024 }; /* instrumented frames are several times as big */
#else
enum { DEFAULT_SIZE = 128 * 1024 };
#endif

static struct {
	size_t slot_size;
	uint32_t lock;
	uintptr_t arena, arena_end; /* what is left of the newest arena */
	struct stack_cache depot;
} stacks;

void goro_stack_init(size_t size)
{
	size_t slot = GUARD_SIZE * 2;

	if (!size)
		size = DEFAULT_SIZE;
	while (slot < size)
		slot *= 2;
	stacks.slot_size = slot;
}

size_t goro_stack_size(void)
{
	return stacks.slot_size - GUARD_SIZE;
}

static void chain_push(struct stack_cache *c, uintptr_t hi)
{
	((uintptr_t *)hi)[-1] = c->top;
	c->top = hi;
	c->n++;
}

static uintptr_t chain_pop(struct stack_cache *c)
{
	uintptr_t hi = c->top;

	c->top = ((uintptr_t *)hi)[-1];
	c->n--;
	return hi;
}

/* stacks.lock held. */
static uintptr_t carve(void)
{
	uintptr_t slot;

	if (stacks.arena == stacks.arena_end) {
		size_t size = stacks.slot_size > ARENA_SIZE ? stacks.slot_size : ARENA_SIZE;
		void *arena = os_reserve(size);

		if (!arena)
			return 0;
		os_no_huge_pages(arena, size);
		san_root_region(arena, size);
		stacks.arena = (uintptr_t)arena;
		stacks.arena_end = stacks.arena + size;
	}
	slot = stacks.arena;
	stacks.arena += stacks.slot_size;
	os_guard((void *)slot, GUARD_SIZE);
	return slot + stacks.slot_size;
}

static noinline uintptr_t refill(struct p *pp)
{
	uintptr_t hi;

	lock_always(&stacks.lock);
	if (stacks.depot.n) {
		while (stacks.depot.n && pp->stacks.n < CACHE_BATCH)
			chain_push(&pp->stacks, chain_pop(&stacks.depot));
		hi = chain_pop(&pp->stacks);
	} else {
		/* A fresh one is not put on a chain: that would touch its page before its time. */
		hi = carve();
	}
	unlock_always(&stacks.lock);
	if (!hi)
		goro_throw("out of memory: no address space for another stack of %zu bytes",
			   stacks.slot_size);
	return hi;
}

void goro_stack_alloc(struct p *pp, struct g *gp)
{
	uintptr_t hi = likely(pp->stacks.n) ? chain_pop(&pp->stacks) : refill(pp);

	gp->stack_hi = hi;
	gp->stack_lo = hi - stacks.slot_size + GUARD_SIZE;
}

void goro_stack_free(struct p *pp, struct g *gp)
{
	chain_push(&pp->stacks, gp->stack_hi);
	gp->stack_lo = gp->stack_hi = 0;
	g_set_sp(gp, 0);
	if (likely(pp->stacks.n <= CACHE_MAX))
		return;
	lock_always(&stacks.lock);
	while (pp->stacks.n > CACHE_BATCH)
		chain_push(&stacks.depot, chain_pop(&pp->stacks));
	unlock_always(&stacks.lock);
}

bool goro_stack_guard_hit(const struct g *gp, uintptr_t addr)
{
	return gp->stack_lo && addr < gp->stack_lo && addr >= gp->stack_lo - GUARD_SIZE;
}
