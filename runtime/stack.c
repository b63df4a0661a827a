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
 * A goroutine may ask for another size. Sizes are powers of two, a class each: with a depot and an
 * arena of its own, but only the default has a cache by P.
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
	NCLASSES = 16, /* 32 KiB to 1 GiB */
};

#define SLOT_MIN ((size_t)2 * GUARD_SIZE)

#if GORO_ASAN || GORO_TSAN
enum { DEFAULT_SIZE = 512 * 1024 }; /* instrumented frames are several times as big */
#else
enum { DEFAULT_SIZE = 128 * 1024 };
#endif

struct stack_class {
	uint32_t lock;
	uintptr_t arena, arena_end; /* what is left of the newest arena */
	struct stack_cache depot;
};

static struct {
	size_t slot_size; /* the default's */
	uint32_t class;
	struct stack_class classes[NCLASSES];
} stacks;

static size_t slot_of(uint32_t class)
{
	return SLOT_MIN << class;
}

void goro_stack_init(size_t size)
{
	if (!size)
		size = DEFAULT_SIZE;
	while (slot_of(stacks.class) < size)
		stacks.class ++;
	stacks.slot_size = slot_of(stacks.class);
}

/* The classes that a goroutine may ask for are numbered from 1: 0 is the default. */
uint32_t goro_stack_class(size_t size)
{
	uint32_t class = 0;

	if (!size)
		return 0;
	if (size > slot_of(NCLASSES - 1) - GUARD_SIZE)
		goro_panic("goro_go_with: a stack of %zu bytes; the biggest has %zu", size,
			   slot_of(NCLASSES - 1) - GUARD_SIZE);
	while (slot_of(class) - GUARD_SIZE < size)
		class ++;
	return class == stacks.class ? 0 : class + 1;
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

/* c->lock held. */
static uintptr_t carve(struct stack_class *c, size_t slot_size)
{
	uintptr_t slot;

	if (c->arena == c->arena_end) {
		size_t size = slot_size > ARENA_SIZE ? slot_size : ARENA_SIZE;
		void *arena = os_reserve(size);

		if (!arena)
			return 0;
		os_no_huge_pages(arena, size);
		san_root_region(arena, size);
		c->arena = (uintptr_t)arena;
		c->arena_end = c->arena + size;
	}
	slot = c->arena;
	c->arena += slot_size;
	os_guard((void *)slot, GUARD_SIZE);
	san_stack_new(slot + GUARD_SIZE, slot + stacks.slot_size);
	return slot + slot_size;
}

GORO_NORETURN static void goro_stack_none(size_t slot_size)
{
	goro_throw("out of memory: no address space for another stack of %zu bytes", slot_size);
}

static noinline uintptr_t refill(struct p *pp)
{
	struct stack_class *c = &stacks.classes[stacks.class];
	uintptr_t hi;

	lock_always(&c->lock);
	if (c->depot.n) {
		while (c->depot.n && pp->stacks.n < CACHE_BATCH)
			chain_push(&pp->stacks, chain_pop(&c->depot));
		hi = chain_pop(&pp->stacks);
	} else {
		/* A fresh one is not put on a chain: that would touch its page before its time. */
		hi = carve(c, stacks.slot_size);
	}
	unlock_always(&c->lock);
	if (!hi)
		goro_stack_none(stacks.slot_size);
	return hi;
}

static noinline void alloc_special(struct g *gp, uint32_t class)
{
	struct stack_class *c = &stacks.classes[class];
	uintptr_t hi;

	lock_always(&c->lock);
	hi = c->depot.n ? chain_pop(&c->depot) : carve(c, slot_of(class));
	unlock_always(&c->lock);
	if (!hi)
		goro_stack_none(slot_of(class));
	gp->stack_hi = hi;
	gp->stack_lo = hi - slot_of(class) + GUARD_SIZE;
}

static noinline void free_special(uintptr_t hi, size_t slot_size)
{
	struct stack_class *c = stacks.classes;

	for (size_t slot = SLOT_MIN; slot < slot_size; slot *= 2)
		c++;
	lock_always(&c->lock);
	chain_push(&c->depot, hi);
	unlock_always(&c->lock);
}

void goro_stack_alloc(struct p *pp, struct g *gp)
{
	uintptr_t hi;

	if (unlikely(gp->ext && gp->ext->stack_class)) {
		alloc_special(gp, gp->ext->stack_class - 1);
		return;
	}
	hi = likely(pp->stacks.n) ? chain_pop(&pp->stacks) : refill(pp);
	gp->stack_hi = hi;
	gp->stack_lo = hi - stacks.slot_size + GUARD_SIZE;
	san_stack_reuse(gp->stack_lo, gp->stack_hi);
}

void goro_stack_free(struct p *pp, struct g *gp)
{
	struct stack_class *c = &stacks.classes[stacks.class];
	uintptr_t hi = gp->stack_hi;
	size_t slot_size = hi - gp->stack_lo + GUARD_SIZE;

	gp->stack_lo = gp->stack_hi = 0;
	g_set_sp(gp, 0);
	if (unlikely(slot_size != stacks.slot_size)) {
		free_special(hi, slot_size);
		return;
	}
	chain_push(&pp->stacks, hi);
	if (likely(pp->stacks.n <= CACHE_MAX))
		return;
	lock_always(&c->lock);
	while (pp->stacks.n > CACHE_BATCH)
		chain_push(&c->depot, chain_pop(&pp->stacks));
	unlock_always(&c->lock);
}

bool goro_stack_guard_hit(const struct g *gp, uintptr_t addr)
{
	return gp->stack_lo && addr < gp->stack_lo && addr >= gp->stack_lo - GUARD_SIZE;
}
