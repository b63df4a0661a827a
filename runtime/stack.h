/* SPDX-License-Identifier: MIT */
/*
 * stack.h - where free stacks are: shared by stack.c, which hands them out, and scavenge.c, which
 * gives their memory back.
 *
 * A free stack is on its way from hot to nothing:
 *
 *   P's cache   a chain through the top words of the stacks; last in, first out; no lock
 *   young, old  the class's depot: two chains, by age. Every period what is still in `old` is cold,
 *               and `young` becomes `old`
 *   limbo       cold ones that scavenge.c has taken: nobody else touches them
 *   cold        a bit in the arena: guarded, without memory
 *   fresh       a run, all of whose slots were cold: no guards, no page table
 *
 * Slots of more than a run have no bits: instead of cold they are bare, with a top page.
 */
#ifndef GORO_STACK_H
#define GORO_STACK_H

#include "runtime.h"

enum {
	ARENA_SIZE = 64 * 1024 * 1024,
	RUN_SIZE = 2 * 1024 * 1024, /* what one page of a page table maps */
	RUNS = ARENA_SIZE / RUN_SIZE,
	NCLASSES = 16, /* slots of 32 KiB to 1 GiB */
};

#define SLOT_MIN ((size_t)2 * GUARD_SIZE)

/*
 * Lies in the lowest page of its arena, aligned to its size; the first slot is not used. Under the
 * lock of its class, but for what is scavenge.c's alone.
 */
struct arena {
	struct arena *next; /* with something to take */
	bool listed;
	uint32_t cold_runs;   /* a bit for each run with cold slots */
	uint32_t fresh_runs;  /* never used, or given back whole */
	uint32_t mapped_runs; /* whose guards are mappings */
	uint64_t cold[RUNS];  /* a bit for each slot */

	struct arena *limbo_next;
	uint32_t limbo_runs;
	uint64_t limbo[RUNS];

	/* cold.c's: an entry for each slot but the first, once the arena is watched; or NULL. */
	_Atomic uint64_t *copies;
	size_t slot_size;
	enum cold_state { COLD_NOT_YET, COLD_WATCHED, COLD_NEVER } watch;
};

struct stack_class {
	uint32_t lock;
	struct stack_chain young, old, limbo;
	uint32_t returning;   /* from limbo, and not there yet */
	struct arena *arenas; /* with something to take */
	struct stack_run run; /* the class's own; P's have theirs for the default */
	/* More than a run each: what is left of the newest arena, and who has only its top page. */
	uintptr_t big, big_end;
	struct stack_chain bare;
};

extern struct stack_class goro_stack_classes[NCLASSES];

static inline size_t stack_slot(uint32_t class)
{
	return SLOT_MIN << class;
}

/* All slots of a run; the arena's first one holds struct arena. */
static inline uint64_t stack_run_slots(size_t slot_size, uint32_t run)
{
	uint64_t n = RUN_SIZE / slot_size;
	uint64_t all = n == 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1;

	return run ? all : all & ~(uint64_t)1;
}

void goro_stack_unmapped(uint64_t slots); /* their guards are no mappings any more */

static inline uint32_t stack_chain_len(const struct stack_chain *c)
{
	return __atomic_load_n(&c->n, __ATOMIC_RELAXED);
}

static inline void stack_chain_set(struct stack_chain *c, struct stack_chain to)
{
	c->top = to.top;
	__atomic_store_n(&c->n, to.n, __ATOMIC_RELAXED);
}

static inline void stack_chain_push(struct stack_chain *c, uintptr_t hi)
{
	((uintptr_t *)hi)[-1] = c->top;
	c->top = hi;
	__atomic_store_n(&c->n, c->n + 1, __ATOMIC_RELAXED);
}

static inline uintptr_t stack_chain_pop(struct stack_chain *c)
{
	uintptr_t hi = c->top;

	c->top = ((uintptr_t *)hi)[-1];
	__atomic_store_n(&c->n, c->n - 1, __ATOMIC_RELAXED);
	return hi;
}

/* Class's lock held. */
static inline void stack_arena_list(struct stack_class *c, struct arena *a)
{
	if (a->listed)
		return;
	a->listed = true;
	a->next = c->arenas;
	c->arenas = a;
}

#endif /* GORO_STACK_H */
