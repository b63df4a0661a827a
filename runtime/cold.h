/* SPDX-License-Identifier: MIT */
/*
 * cold.h - cold stacks: what cold.c, cold_back.c, cold_pass.c and cold_store.c share.
 */
#ifndef GORO_COLD_H
#define GORO_COLD_H

#include "stack.h"

enum {
	COLD_PAGES = 4, /* of a stack; what is deeper is left alone */
	COLD_ARENAS = 32768,
	COLD_LATE = 65536,
	COLD_WALKS = 4,
};

/* What tells where stacks are lies in memory of the runtime's own: it is not what keeps anybody. */
/*
 * Somebody who touches one stack after another, as they lie in memory: see cold_back.c.
 */
struct cold_walk {
	uintptr_t next; /* the slot that it will touch */
	int64_t step;	/* the size of a slot, or less than 0: downwards; 0: not known yet */
	uint32_t n;	/* to bring back before it comes there */
	uint64_t last;	/* when it did last, by the coarse clock */
};

struct cold_notes {
	struct goro_cold_stack moving; /* the one that is being taken away */
	struct os_faults faults;
	_Atomic uint64_t *late[COLD_LATE]; /* brought back, but the copy is still there */
	uint32_t nlate;
	struct cold_walk walks[COLD_WALKS]; /* the handler's */
	uint32_t newest;
};

struct cold {
	int64_t after; /* ns; 0: off */
	bool dropped;  /* it was on in the process that we were forked from */
	uint32_t tid;
	uint32_t lock;	    /* entries and copies */
	uint32_t fork_lock; /* to take pages away, or to fork; comes before the other */
	bool forking;	    /* lock */
	uint64_t next_seq;
	size_t page;
	unsigned char *stage, *zero, *room; /* room: to put a page together */
	size_t staged;			    /* pages in use there */
	struct cold_notes *notes;
	struct goro_cold_arena *arenas;
	struct arena **arena_of; /* the same, as stack.c knows them */

	/* sysmon's notes of its pass */
	uint64_t at, count, seen_nswitch;
	int64_t next_pass, due, cost;
	int taken;
};

extern struct cold goro_cold __attribute__((visibility("hidden")));

/* ---- entries ---------------------------------------------------------------------------------
 */

/* An entry: 0, the address of a copy, or a note that is odd. */
enum { COLD_NOTE_TIME = 1, COLD_NOTE_PARK = 3, COLD_NOTE_BITS = 2 };

static inline bool cold_is_copy(uint64_t entry)
{
	return entry && !(entry & 1);
}

static inline struct arena *cold_arena_at(uintptr_t addr)
{
	return (struct arena *)(addr & ~(uintptr_t)(ARENA_SIZE - 1));
}

/* Of the slot that contains addr, in an arena that is watched; else NULL. */
static inline _Atomic uint64_t *cold_entry_of(struct arena *a, uintptr_t addr)
{
	_Atomic uint64_t *copies = __atomic_load_n(&a->copies, __ATOMIC_ACQUIRE);
	uintptr_t first = (uintptr_t)a + a->slot_size;

	return copies && addr >= first ? &copies[(addr - first) / a->slot_size] : NULL;
}

static inline struct goro_cold_stack *cold_copy_of(uint64_t entry)
{
	return (struct goro_cold_stack *)(uintptr_t)entry;
}

static inline uint64_t cold_note_until(int64_t when)
{
	return (uint64_t)(when / GORO_MILLISECOND) << COLD_NOTE_BITS | COLD_NOTE_TIME;
}

static inline uint64_t cold_note_park(uint32_t seq)
{
	return (uint64_t)seq << COLD_NOTE_BITS | COLD_NOTE_PARK;
}

static inline void cold_set_entry(_Atomic uint64_t *entry, uint64_t to)
{
	atomic_store_explicit(entry, to, memory_order_release);
}

/*
 * Words of stacks pass through one register, which is used again at once. memcpy() would leave them
 * in those for vectors, where whoever looks for pointers would take them for ours.
 */
static inline void cold_copy_words(void *to, const void *from, size_t bytes)
{
	const volatile uint64_t *w = from;

	for (size_t i = 0; i < bytes / sizeof(*w); i++)
		((volatile uint64_t *)to)[i] = w[i];
}

/* ---- cold_back.c -----------------------------------------------------------------------------
 */

void goro_cold_handler(void *unused);
/* The program's forks wait for whom sysmon is about to take, and sysmon for them. */
void goro_cold_before_fork(void);
void goro_cold_after_fork(void);
void goro_cold_in_child(void);

/* ---- cold_store.c ----------------------------------------------------------------------------
 */

/* Room for a header and `bytes` behind it, or NULL: no memory. Only sysmon asks for some. */
struct goro_cold_stack *goro_cold_alloc(size_t bytes);
/* Anybody may give it back. Touches no goroutine's stack. */
void goro_cold_free(struct goro_cold_stack *c);

#endif /* GORO_COLD_H */
