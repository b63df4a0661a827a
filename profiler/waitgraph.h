/* SPDX-License-Identifier: MIT */
/*
 * waitgraph.h - who waits for whom, and which of them can never go on.
 *
 * Private to the library. Works on snapshots alone: no target, no names.
 */
#ifndef GORO_WAITGRAPH_H
#define GORO_WAITGRAPH_H

#include "profiler.h"

#define WAIT_NONE UINT32_MAX

/* What is proved of one goroutine. */
struct stuck {
	enum goro_proof proof; /* NONE, NEVER, CYCLE or ORPHAN */
	bool self_lock;	       /* NEVER: it holds what it waits for */
	uint32_t cause;	       /* index of the stuck goroutine that it needs, or WAIT_NONE */
	uint64_t dead_owner;   /* ORPHAN: the owner that has ended, or 0: see cause */
	uint32_t dead_readers; /* ORPHAN: read locks whose holders have ended, or 0 */
	uint32_t cycle;	       /* CYCLE: equal for the goroutines of one cycle */
};

/*
 * Prove what can be proved of snap, which `again`, taken at another time, must confirm; the same
 * pointer twice asks what is worth a second look. Fills stuck[0 .. snap->ng) and returns how many
 * are proved, or -1: out of memory.
 */
long waitgraph_prove(const struct goro_snapshot *snap, const struct goro_snapshot *again,
		     struct stuck *stuck);

/*
 * The same of a view in which nothing moves. leaked[], by index: proved by other means to never run
 * again; then nobody else can unlock what they hold, and who waits for that is stuck as well. These
 * have the proof UNREACHABLE in stuck[].
 */
long waitgraph_prove_with(const struct goro_snapshot *snap, const bool *leaked,
			  struct stuck *stuck);

/*
 * Was there a lock that readers took with them when they ended? That takes a third look, later than
 * `again`; without one nothing of that kind is proved.
 */
bool waitgraph_wants_third(const struct goro_snapshot *snap, const struct stuck *stuck);
long waitgraph_prove_thrice(const struct goro_snapshot *snap, const struct goro_snapshot *again,
			    const struct goro_snapshot *last, struct stuck *stuck);

#endif /* GORO_WAITGRAPH_H */
