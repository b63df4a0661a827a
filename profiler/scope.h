/* SPDX-License-Identifier: MIT */
/*
 * scope.h - one look into one target: what is kept from snapshot to snapshot.
 *
 * Private to the library. Everything in it is guarded by `lock`.
 */
#ifndef GORO_SCOPE_H
#define GORO_SCOPE_H

#include <pthread.h>
#include "profiler.h"
#include "elf.h"
#include "reader.h"
#include "symbolize.h"
#include "target.h"
#include "unwind.h"

struct goro_scope {
	pthread_mutex_t lock;

	/* A recording: then all of the following is NULL, but for the names. */
	struct record *record;
	size_t tick;				   /* where it stands, from 0 */
	bool chosen;				   /* somebody wanted that tick */
	bool summarize, members, objects, thrifty; /* see struct snapshot_builder */
	bool confirm;				   /* likewise */
	bool many;				   /* there were, at the last look */
	uint64_t single_out;

	struct target *target;
	struct modules modules;
	struct reader *reader;
	struct unwinder *unwinder;
	struct symbolizer *symbolizer;

	/* The previous snapshot's time and processor use. */
	int64_t last_time;
	uint64_t last_cpu_ns;

	struct spawns *spawns; /* which return addresses are one go statement */

	/* What verdicts remember of earlier snapshots; whoever sets it says how it is freed. */
	void *memory;
	void (*memory_free)(void *memory);
	struct proof *begun;	 /* by proof_begin(), or NULL */
	struct proof_rest *rest; /* of the last proof: proof_end_rest() */
	struct proved *proved;	 /* what was unreachable when somebody last asked; or NULL */
};

/* Open any kind of target; takes it over, also when it fails. */
struct goro_error *goro_scope_open_target(struct goro_scope **ret, struct target *target);

/*
 * A second (n = 1) and a third (n = 2) look to confirm what a first one seemed to show. Of a
 * recording they are the ticks next to it, all on one side. *ret NULL: there is none.
 */
struct goro_error *scope_look_again(struct goro_scope *scope, const struct goro_snapshot *first,
				    size_t n, struct goro_snapshot **ret);

/* Read a snapshot of another view of the same target; scope->lock held. */
struct goro_error *scope_read(struct goro_scope *scope, struct target *t,
			      struct goro_snapshot **ret);

#endif /* GORO_SCOPE_H */
