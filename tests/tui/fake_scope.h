/* SPDX-License-Identifier: MIT */
/*
 * fake_scope.h - profiler.h over made-up data: a shop server that leaks sessions.
 *
 * Snapshot number t (from 0) is taken t seconds after the first and holds, besides a few others,
 * `leaks + t * leaks_per_tick` goroutines of sess.c that wait on a channel of which nobody knows.
 */
#ifndef FAKE_SCOPE_H
#define FAKE_SCOPE_H

#include "profiler.h"

#include <stdatomic.h>

struct fake {
	unsigned leaks, leaks_per_tick;
	bool heap;    /* it runs with goro run --heap: goroutine g holds g KiB */
	bool damaged; /* what it is read from, in two ways */
	bool proved;  /* somebody asked for a proof by reachability: all leaks are LEAKED since */
	atomic_uint ticks;	/* snapshots taken */
	atomic_uint end_after;	/* snapshots, then the target has ended; 0: never */
	atomic_uint fail;	/* every snapshot fails, but the target is still there */
	atomic_uint hang;	/* a snapshot does not return while this is set */
	atomic_uint reverse;	/* the newest goroutines wait longest: sorting by age turns round */
	atomic_uint first_gone; /* the oldest leaked goroutine has ended */
	atomic_uint no_processes;
	atomic_uint no_cpu_profile;		/* there is no permission for it */
	atomic_int open_scopes, live_snapshots; /* must be 0 in the end */
};
extern struct fake fake;

void fake_reset(void);

/* Time of the newest snapshot: what a test's clock shows. */
int64_t fake_clock(void);

/* Ids in the shop. */
enum { FAKE_MAIN = 1, FAKE_FIRST_LEAK = 1000, FAKE_HOG = 77, FAKE_WAITER = 91 };

#endif /* FAKE_SCOPE_H */
