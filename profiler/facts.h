/* SPDX-License-Identifier: MIT */
/*
 * facts.h - what a reader knows of its runtime that a search for pointers must know.
 */
#ifndef GORO_FACTS_H
#define GORO_FACTS_H

#include "profiler.h"

struct facts_range {
	uint64_t lo, hi;
};

/* A worker thread's own stack, on which no goroutine runs. */
struct facts_worker {
	uint32_t id, tid;
	uint64_t lo, hi;
	uint64_t sp;   /* where it was left for a goroutine's stack */
	uint64_t curg; /* the record of the goroutine on it */
};

struct facts {
	/* The runtime's own memory: pointers in it count only as far as the rest says. */
	struct facts_range *opaque;
	size_t nopaque;
	struct facts_range *roots; /* scan these, whatever they lie in */
	size_t nroots;
	struct facts_worker *workers;
	size_t nworkers;

	uint64_t sleep_entry; /* of the function that a goroutine sleeps in; 0: not known */
	uint64_t exit_entry;  /* of exit(); 0: not known */
	uint32_t machine;     /* ELF e_machine */

	/* By index in the snapshot. */
	bool *queued;	      /* it is in the queue of each object that it waits for */
	uint64_t *locals;     /* its own values: a pointer, or 0 */
	uint32_t record_size; /* bytes of a goroutine's record, of which every word may be a pointer
			       */
	uint32_t record_wait; /* but the one here, once the wait is over: nobody reads it again */
};

void facts_free(struct facts *f);

#endif /* GORO_FACTS_H */
