/* SPDX-License-Identifier: MIT */
/*
 * reader_goro.h - what the files of the reader of libgoro programs share.
 */
#ifndef GORO_READER_GORO_H
#define GORO_READER_GORO_H

#include "contract.h"
#include "reader.h"
#include "snapshot_home.h"

/* A thread that the program made, and the goroutine that it is. */
struct reader_thread {
	uint32_t tid;
	struct stack_owner owner;
};

struct reader_goro {
	struct reader base;
	struct modules *modules;
	struct contract contract;
	struct snapshot_home *home; /* NULL: no look is made out of an earlier one */
	bool looked;		    /* it was read before */
	size_t expected;	    /* goroutines, at the next look */
	size_t many;		    /* more are listed if memory is to be saved */
	size_t for_two;		    /* records that are worth a second thread */
	uint32_t piece;		    /* so many in a row cost as much to read as one by itself */
	uint64_t heap;		    /* address of the heap's contract; 0: there is none */
	unsigned heap_modules;	    /* generation of the modules that it was looked for in, + 1 */
	struct goro_info main;	    /* as the last snapshot saw it; id 0: not yet */
	struct reader_thread *threads; /* of the program's own that are goroutines, by rising tid */
	size_t nthreads;
};

/* ---- reader_goro_sample.c: see struct reader_ops --------------------------------------------- */

const struct unwind_layout *reader_goro_layout(const struct reader *base);
bool reader_goro_owner(const struct reader *base, const struct unwind_stack *s,
		       const struct unwind_result *u, uint32_t tid, struct stack_owner *ret);
struct goro_error *reader_goro_threads(struct reader *base, struct target *t);
uint32_t reader_goro_thread_of(struct reader *base, struct target *t, uint32_t worker);
void reader_goro_labels(struct reader *base, struct target *t, uint64_t address, uint64_t id,
			char ret[READER_LABELS]);
struct goro_error *reader_goro_births(struct reader *base, struct target *t, reader_birth_fn *fn,
				      void *arg, uint64_t *count);

/* ---- reader_goro_caught.c -------------------------------------------------------------------- */

/* Give those that run their stacks, in a target whose threads stand still. Before sorting. */
struct goro_error *reader_goro_caught(struct reader_goro *r, struct target *t,
				      struct snapshot_builder *b);

#endif /* GORO_READER_GORO_H */
