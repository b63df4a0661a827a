/* SPDX-License-Identifier: MIT */
/*
 * reach_roots.h - which memory is searched for pointers from the start, and which is not.
 */
#ifndef GORO_REACH_ROOTS_H
#define GORO_REACH_ROOTS_H

#include "heap.h"
#include "reach.h"

struct roots {
	struct facts_range *v; /* sorted, not overlapping */
	size_t n, cap;

	/* Of each goroutine of the snapshot. */
	uint64_t *
		from; /* its stack in use is [from, stack_hi); 0: none, or it is one of the roots */
	bool *parked; /* it stands where its saved stack pointer says */

	/* Of each thread: a worker that waits for work. Its vector registers hold nothing. */
	bool *idle;

	bool too_big; /* there is too much address space to be looked at: that is the error */
};

/*
 * All memory that may hold a pointer, less what is known better: objects of the heap, the runtime's
 * own memory, stacks. Fails with GORO_PARTIAL when some memory cannot be looked at.
 */
struct goro_error *roots_find(struct roots *ret, const struct reach_view *view,
			      const struct target_maps *maps, const struct heap *heap);
void roots_free(struct roots *r);

#endif /* GORO_REACH_ROOTS_H */
