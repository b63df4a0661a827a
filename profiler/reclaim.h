/* SPDX-License-Identifier: MIT */
/*
 * reclaim.h - asking a program that was started with GORO_RECLAIM to unwind goroutines: whom, and
 * how to tell it.
 */
#ifndef GORO_RECLAIM_H
#define GORO_RECLAIM_H

#include "goro_introspect.h"
#include "profiler.h"

/* Some goroutines of a snapshot: chosen[i] for snap->g[i]. */
enum reclaim_stage {
	RECLAIM_FIRST,	/* who needs nobody else's lock and waits for no group */
	RECLAIM_CYCLES, /* the youngest of each cycle of locks */
	RECLAIM_REST,
	RECLAIM_STAGES
};

/*
 * Whom to unwind at this stage, of those that are LEAKED. Returns how many. A goroutine that ends
 * may unlock, or count down, what others wait for: then they can go on and ought to. So they come
 * later, when another proof has shown that it did not help.
 */
size_t reclaim_choose(const struct goro_snapshot *snap, enum reclaim_stage stage, bool *chosen);

/*
 * A connection to the program's socket; `name` is the contract's. It is the program's if that is
 * who listens: pid, or 0 for whoever. Fails with GORO_PERMISSION or GORO_NO_TARGET. Waits until it
 * is our turn.
 */
struct goro_error *reclaim_connect(const char *name, int pid, int *fd);

/* Ask for n entries and wait until it is done; fills in their results. */
struct goro_error *reclaim_ask(int fd, struct goro_reclaim_entry *entries, size_t n);

#endif /* GORO_RECLAIM_H */
