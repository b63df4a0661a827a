/* SPDX-License-Identifier: MIT */
/*
 * reach_run.h - one search for what nothing can reach: what the files reach*.c share.
 *
 * reach_candidates.c says who waits for what, reach_mark.c marks what a word points to,
 * reach_search.c goes through the words of what was marked (reach_sweep*.c where that
 * is much, reach_stacks.c for goroutines, reach_unaligned.c where they begin at odd addresses),
 * reach_asleep.c finds frames that are out of use,
 * reach_chain.c says why somebody can be woken. reach.c is
 * the order in which they do it, and says why that is a proof.
 */
#ifndef GORO_REACH_RUN_H
#define GORO_REACH_RUN_H

#include "heap.h"
#include "reach.h"
#include "reach_roots.h"
#include "reach_zones.h"

#define REACH_WINDOW (1u << 20) /* bytes of memory that was not copied, read at a time */
#define REACH_SMALL  4096u	/* no address: nothing may be mapped below */

/* A goroutine that waits for an object, under the name by which marking finds it. */
struct watch {
	uint64_t key; /* address of the object's start, or of the stack's lowest byte in use */
	uint32_t g;
};

/* Something that was marked and is to be searched. */
struct todo {
	enum zone_kind kind;
	uint32_t index, granule;
};

/*
 * What a word may have pointed to in the heap, and what is to be searched next: each waits a moment
 * while the processor fetches what will be looked at. Objects lie anywhere, and this is where
 * nearly all of the time would go.
 */
enum { REACH_SEEN = 8, REACH_AHEAD = 8 };

/* So many objects to search at once are worth to go through the heap for. */
enum { REACH_WIDE = 1 << 14 };

struct seen {
	uint64_t address; /* 0: none */
	uint32_t area;
};

/* Of a goroutine that will only sleep: what of its stack is used by
 * nobody, if nothing leads there. */
struct frames {
	uint64_t lo, hi;
	uint32_t g;
	bool marked;
};

/* For the chain: who was marked from where. */
struct origin {
	uint64_t key;
	struct reach_link from;
};

/* Bytes 5 and 4 of pointers to what there is: the first, and from where to where the other is. */
struct reach_top {
	uint8_t fifth, lo, hi;
};

enum { REACH_TOPS = 4 };

struct run {
	const struct reach_view *view;
	struct reach *ret;
	struct heap heap;
	struct zones zones;
	struct reach_top tops[REACH_TOPS]; /* reach_unaligned.c's */
	size_t ntops;
	bool any_top;	    /* there are more */
	uint64_t guard;	    /* of glibc's setjmp(), which disguises pointers by it; 0: not known */
	uint64_t disguise;  /* what the low bits of such a pointer are; beyond 17 bits: none */
	uint64_t **watched; /* of each area: bit of the first granule of what is waited for */
	bool *block_marked;
	uint64_t **live, **suspects; /* reach_guess.c's, of each area; NULL: there is no guess */
	uint64_t **again;	     /* and pages that must be searched again */
	/* reach_back.c's, of each area: what leads to who waits, or NULL: anything may; */
	uint64_t **leads;
	uint64_t **held; /* of the rest, what leaked goroutines lead to and nothing else has */
	size_t nheld, most_held;
	bool too_many_held;
	struct watch *watch; /* sorted by key */
	size_t nwatch, watch_cap;

	/* Of each goroutine. */
	bool *candidate;
	bool *alive;	  /* it runs, or could be woken */
	bool *searched;	  /* its stack and record were */
	uint64_t *from;	  /* lowest address of its stack that is in use; 0: it has none */
	uint32_t *stacks; /* those to be searched, of which the first nsearched were */
	size_t nstacks, nsearched;
	struct reach_batch *batch; /* reach_stacks.c's */
	struct reach_used *used;   /* reach_used.c's; NULL: nothing is known */

	struct frames *frames;
	size_t nframes;

	struct todo *todo;
	size_t ntodo, todo_cap;
	size_t nobjects; /* of them in areas */
	struct todo ahead[REACH_AHEAD];
	unsigned first_ahead, nahead;
	struct seen seen[REACH_SEEN];
	unsigned next_seen;
	size_t wide;	     /* so many of them are searched by address */
	struct field *field; /* reach_sweep.c's */
	bool retaining;	     /* the second phase: nobody becomes alive any more */
	bool no_memory;
	uint8_t *window;

	/* The chain. */
	struct origin *origins;
	size_t norigins, origins_cap;
	struct reach_link here; /* what is being searched; `at` is that of its first word */
	uint64_t why_key;
};

/* ---- reach_mark.c -----------------------------------------------------------------------------
 */

/* Have goroutine g's stack and record searched, once. */
void reach_search_goroutine(struct run *r, uint32_t g);
/* Who waits for what begins at key can be woken. */
void reach_wake_watchers(struct run *r, uint64_t key);
/* Have something searched. */
void reach_push(struct run *r, struct todo what);
/* Mark what v points to, if that is anything; it was found at `at`. */
void reach_visit(struct run *r, uint64_t v, uint64_t at);

/* The address that a word is where setjmp() disguised it. */
static inline uint64_t reach_undisguise(const struct run *r, uint64_t word)
{
	return (word >> 17 | word << 47) ^ r->guard;
}

/*
 * The same for a word, and what it may mean as an address. Programs count or keep flags in the 16
 * bits that no address needs. And glibc's setjmp() stores the frame and the stack pointer (the
 * first may be any pointer, with -fomit-frame-pointer) after an exclusive or with a word of the
 * thread's and a rotation by 17.
 */
static inline void reach_word(struct run *r, uint64_t word, uint64_t at)
{
	uint64_t plain = word & 0xffffffffffff;

	if (plain - r->zones.lo < r->zones.span)
		reach_visit(r, plain, at);
	if ((word & 0x1ffff) == r->disguise)
		reach_visit(r, reach_undisguise(r, word), at);
}

/* Mark what still waits for that. False: there was nothing. */
bool reach_mark_seen(struct run *r);
/* All aligned words of some bytes that lie at `at` in the target. */
void reach_search_words(struct run *r, const uint8_t *bytes, size_t size, uint64_t at);

/* Have an object that was marked searched. */
void reach_push_object(struct run *r, uint32_t area, uint32_t granule);
/* Mark the object of an area that v points to. */
void reach_mark_object(struct run *r, uint32_t area, uint64_t v, uint64_t at);

/* ---- reach_sweep.c ----------------------------------------------------------------------------
 */

/* Search the list's objects, and most of what they lead to, by address. */
void reach_sweep(struct run *r);
/* And what reach_back.c has left out. */
void reach_sweep_rest(struct run *r);
void reach_sweep_free(struct run *r);

/* ---- reach_search.c ---------------------------------------------------------------------------
 */

/* What of [lo, hi), which was not copied, is the target's own. */
struct goro_error *reach_search_memory(struct run *r, uint64_t lo, uint64_t hi);
/* The words of [at, at + size) of an area. */
void reach_search_object(struct run *r, const struct heap_area *a, uint64_t at, size_t size);
/* Everything that is a root, then all that was marked and what it leads to. */
struct goro_error *reach_search_roots(struct run *r, const struct roots *roots);
struct goro_error *reach_drain(struct run *r);

/* ---- reach_unaligned.c -------------------------------------------------------------------------
 */

/* Once the zones are known: what all pointers have in common. */
void reach_find_tops(struct run *r);
/* All words of some bytes that lie at `at` in the target, wherever they begin. */
void reach_search_bytes(struct run *r, const uint8_t *bytes, size_t size, uint64_t at);
/* After all: those of marked objects that begin elsewhere than at a multiple of 8. */
struct goro_error *reach_search_unaligned(struct run *r);

/* ---- reach_stacks.c ---------------------------------------------------------------------------
 */

/* Before anything is marked. False: no memory. */
bool reach_stacks_room(struct run *r);
void reach_stacks_free(struct run *r);
/* The next of r->stacks, many at once. */
struct goro_error *reach_search_stacks(struct run *r);

/* ---- reach_used.c ------------------------------------------------------------------------------
 */

/* Before anything is marked. False: no memory. */
bool reach_used_room(struct run *r, const struct target_maps *maps);
void reach_used_free(struct run *r);
/* What goroutine g's frames use beside what they have; its stack from r->from[g] on, or NULL. */
void reach_search_used(struct run *r, uint32_t g, const uint8_t *stack);
/* Whether it could read what it wanted, in the end; the caller's. */
struct goro_error *reach_used_error(struct run *r);
/* And a thread's. */
void reach_search_used_by(struct run *r, const struct target_thread *t);

/* ---- reach_beside.c ----------------------------------------------------------------------------
 */

/* The words of a stack, or registers, of code that cannot be followed; `at`: as reach_visit(). */
void reach_search_beside(struct run *r, const uint8_t *bytes, size_t size, uint64_t at);

/* ---- reach_asleep.c ---------------------------------------------------------------------------
 */

/* Before zones are made: take the frames that are out of use away from stacks. False: no memory. */
bool reach_find_asleep(struct run *r, const struct target_maps *maps, const struct roots *roots);
/* Something points there. */
void reach_mark_frames(struct run *r, uint32_t index);
struct goro_error *reach_search_frames(struct run *r, uint32_t index);

/* ---- reach_guess.c ----------------------------------------------------------------------------
 */

/* Before anything is marked, and once all is. False: no memory. */
bool reach_guess_begin(struct run *r);
bool reach_guess_make(struct run *r);
/* In the end: the heap goes with it, less what it does not need. */
void reach_guess_keep(struct run *r);
/* A word of an object at `at`: is its page one that cannot be skipped later? */
static inline void reach_guess_note(struct run *r, size_t area, uint64_t at, uint64_t word)
{
	const struct heap_area *a = &r->heap.areas[area];
	const uint64_t page = (at - a->lo) / HEAP_PAGE;
	uint64_t *odd;

	if (!r->ret->guess.areas || word < REACH_SMALL || word - a->lo < a->hi - a->lo)
		return;
	odd = &r->ret->guess.areas[area].odd[page / 64];
	/* Two threads may be at it: reach_sweep_two.c. */
	if (!(__atomic_load_n(odd, __ATOMIC_RELAXED) >> page % 64 & 1))
		__atomic_fetch_or(odd, UINT64_C(1) << page % 64, __ATOMIC_RELAXED);
}
/* Before candidates are chosen: mark all but what was guessed. False: no memory. */
bool reach_guess_mark(struct run *r);
/* Search what was marked so. */
void reach_guess_search(struct run *r);

/* ---- reach_back.c -----------------------------------------------------------------------------
 */

/* In the filter of a big heap, before anything is searched: which objects marking goes through. */
void reach_look_back(struct run *r);
/* What leads to nobody was reached from a leaked goroutine. False: there is too much of it. */
bool reach_hold(struct run *r, uint32_t area, uint32_t granule);
/* Once it is known who is leaked and what they lead to: what else is dead. */
struct goro_error *reach_back_settle(struct run *r);
void reach_back_free(struct run *r);

/* ---- reach_candidates.c -----------------------------------------------------------------------
 */

/* Once the zones are known: everybody else is alive from the start. */
void reach_choose_candidates(struct run *r, const struct roots *roots);

/* ---- reach_chain.c ----------------------------------------------------------------------------
 */

/* From a root to what view->why waits for. False: no memory. */
bool reach_find_chain(struct run *r);

#endif /* GORO_REACH_RUN_H */
