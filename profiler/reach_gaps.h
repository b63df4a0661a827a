/* SPDX-License-Identifier: MIT */
/*
 * reach_gaps.h - memory that a process had and a core file of it has not.
 *
 * A pointer in it would not be found. So all that is searched must be there, and what may be
 * missing is argued for one by one, in reach_gaps.c.
 */
#ifndef GORO_REACH_GAPS_H
#define GORO_REACH_GAPS_H

#include "reach_roots.h"

/* Is this map the guard below a thread's stack, which glibc made and nobody ever wrote to? */
bool gaps_is_guard(struct target *t, const struct target_maps *maps, size_t i);

/* GORO_PARTIAL when a root, a stack in use or an object may be missing. */
struct goro_error *gaps_check(const struct reach_view *view, const struct roots *roots,
			      const struct heap *heap);

#endif /* GORO_REACH_GAPS_H */
