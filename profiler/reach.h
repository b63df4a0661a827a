/* SPDX-License-Identifier: MIT */
/*
 * reach.h - which blocked goroutines nothing can reach that still runs.
 *
 * Works on one view of a target: with a view in which nothing moves (target_ops.freeze) its answer
 * is a proof, with a target that runs it is a hint that one may be worth a stop.
 */
#ifndef GORO_REACH_H
#define GORO_REACH_H

#include "facts.h"
#include "heap.h"
#include "profiler.h"
#include "target.h"

/*
 * What a look at a target that runs found in its heap, and which objects are out of reach. A guess,
 * which makes the proof in a consistent view faster: see reach_guess.c.
 */
struct reach_guess {
	struct heap heap;
	struct reach_guessed {
		uint64_t *used; /* a bit for each object that is not free */
		uint64_t *dead; /* those of them that are out of reach */
		uint64_t *
			odd; /* a bit for each page with words that are no pointers into the area */
	} * areas;	     /* as the heap's */
	size_t nareas;
	uint64_t *blocks; /* addresses of those */
	size_t nblocks;
};

struct reach_view {
	struct target *t;
	const struct target_thread *threads; /* none: nothing is known of registers */
	size_t nthreads;
	const uint64_t *kept; /* words that the kernel keeps for it */
	size_t nkept;
	struct reach_ahead *ahead;	  /* its heap */
	const struct goro_snapshot *snap; /* of this very view */
	const struct facts *facts;
	const bool *never; /* by index: proved already that it can never go on; NULL: none */
	const struct reach_guess *guess; /* or NULL */
	struct sparse_store *store;	 /* for copies, as long as there is a guess; or NULL */
	struct unwinder *unwinder;	 /* NULL: no frames are looked for */
	const struct unwind_layout *layout;
	uint64_t why; /* a goroutine whose chain is wanted, or 0 */
};

/* One step of a chain from a root to what a goroutine waits for. */
struct reach_link {
	enum {
		REACH_MEMORY,	 /* a word of memory that is a root, at `at` */
		REACH_REGISTERS, /* a register of thread `id` */
		REACH_STACK,	 /* a word at `at` on the stack of goroutine `id`; 0: its frames */
		REACH_RECORD,	 /* what goroutine `id` was started with, or its own values */
		REACH_OBJECT,	 /* a word at `at` in the object of `size` bytes at `object` */
		REACH_KERNEL,	 /* a word that the kernel keeps */
	} kind;
	uint64_t at, id, object, size;
};

struct reach {
	bool *leaked;	   /* by index in the snapshot */
	uint64_t *retains; /* bytes of heap that only leaked goroutines reach; see retain_order */
	size_t nleaked, ncandidates;
	uint64_t root_bytes, objects, object_bytes;
	char note[192]; /* memory that was believed to hold pointers, and why; "" for none */
	bool busy;	/* part of that is because the heap was at work */
	struct reach_guess guess; /* for the next; empty where it is of no use */
	struct reach_link *chain; /* from a root to what `why` waits for */
	size_t nchain;
};

struct goro_error *reach_run(const struct reach_view *view, struct reach *ret);
void reach_free(struct reach *r);
void reach_guess_free(struct reach_guess *g);

#endif /* GORO_REACH_H */
