/* SPDX-License-Identifier: MIT */
/*
 * proved.h - what was proved unreachable, for looks that prove nothing themselves.
 */
#ifndef GORO_PROVED_H
#define GORO_PROVED_H

#include "profiler.h"
#include "waitgraph.h"

struct proved;

/*
 * Remember what is PROOF_UNREACHABLE in stuck[0 .. snap->ng), instead of what `old` remembers,
 * which is freed. NULL: nothing to remember, or out of memory.
 */
struct proved *proved_keep(struct proved *old, const struct goro_snapshot *snap,
			   const struct stuck *stuck, const struct goro_reach *reach);

/*
 * Say so again of the goroutines that have not run since, and what came of the proof then. Only
 * fills what is not proved otherwise. False: out of memory.
 */
bool proved_recall(const struct proved *p, const struct goro_snapshot *snap, struct stuck *stuck,
		   struct goro_reach *reach);

/* Is it of a goroutine of that id? p may be NULL. */
bool proved_has(const struct proved *p, uint64_t id);

void proved_free(struct proved *p);

#endif /* GORO_PROVED_H */
