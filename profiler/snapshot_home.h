/* SPDX-License-Identifier: MIT */
/*
 * snapshot_home.h - where snapshots go that nobody needs any more.
 *
 * A new look at a program differs little from the one before, so the reader makes it out of an old
 * snapshot: with its memory, which the kernel need not clear again, and with its contents. One that
 * is freed goes back to the home of its scope and waits there.
 */
#ifndef GORO_SNAPSHOT_HOME_H
#define GORO_SNAPSHOT_HOME_H

#include "profiler.h"

struct snapshot_home;

/* What a reader remembers with a snapshot that can be renewed; it embeds this. */
struct snapshot_past {
	struct snapshot_home *home;
	void (*free)(struct snapshot_past *past);
	/* Of the builder. */
	size_t g_cap, waits_cap, rlocks_cap, stacks_cap, pcs_cap;
	uint32_t *stack_table;
	size_t stack_table_size;
};

/* NULL: out of memory. */
struct snapshot_home *snapshot_home_new(void);

/* Close it: what is there is freed, and so is what comes later. */
void snapshot_home_close(struct snapshot_home *home);

/* A snapshot that is out there and will come back. */
void snapshot_home_lend(struct snapshot_home *home);

/* The youngest of those that came back, or NULL. It is the caller's. */
struct goro_snapshot *snapshot_home_take(struct snapshot_home *home);

/* A snapshot with a past is not needed any more. False: free it. Any thread may call this. */
bool snapshot_home_keep(struct goro_snapshot *snap);

/* Free the past of a snapshot; what remains is one like any other. */
void snapshot_forget(struct goro_snapshot *snap);

#endif /* GORO_SNAPSHOT_HOME_H */
