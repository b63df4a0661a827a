/* SPDX-License-Identifier: MIT */
/*
 * kernel.h - for the programs of this directory: one bug each that leaves goroutines stuck, and the
 * same without the bug.
 *
 *	prog          the bug
 *	prog fixed    its twin: `fixed` is true, and every goroutine but main ends
 *	prog bug 100  a hundred at once
 *
 * kernel() is a goroutine too, one for each of the hundred; main does nothing but sleep, so that
 * nothing is a deadlock of all. The order in which the bug happens is forced, by meet() and by
 * looking whether somebody waits, and never by sleeping: each run shows all of it.
 *
 * What is expected stands in the head comment of each program, a line for each kind of goroutine,
 * and run_kernels.py reads it from there:
 *
 *	expect: FUNCTION, REASON: PROOF [COUNT]
 *
 * PROOF is never, cycle, orphan or unreachable. An orphan in a program in which others are
 * unreachable may be called unreachable too: both are true. "alive" waits, and nobody may call it
 * LEAKED, be it because it can be woken or because that cannot be proved.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdlib.h>
#include <string.h>

#include "goro.h"

extern bool fixed;
void kernel(void *unused);

/* Zeroed memory that nobody gives back: who would, is stuck. */
static inline void *make(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		abort();
	return p;
}

#define NEW(type) ((type *)make(sizeof(type)))

/* Everybody who is counted in `all` goes on when all are here. */
static inline void meet(goro_waitgroup *all)
{
	goro_waitgroup_done(all);
	goro_waitgroup_wait(all);
}

/* Until somebody waits in this queue: the first waiter of a lock, condition or waitgroup. */
static inline void until_waited(struct goro_waiter *const *first)
{
	while (!__atomic_load_n(first, __ATOMIC_ACQUIRE))
		goro_yield();
}

#define UNTIL_WAITED(object) until_waited(&(object)->first_)

/* A call behind a goroutine's last wait, so that its frame is there to be seen. */
void after(void);

#endif /* KERNEL_H */
