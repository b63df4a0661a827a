/* SPDX-License-Identifier: MIT */
/*
 * proof.h - the proof by reachability, from a scope: which view, and what comes of it.
 *
 * Private to the library.
 */
#ifndef GORO_PROOF_H
#define GORO_PROOF_H

#include "scope.h"
#include "waitgraph.h"

/*
 * Prove what of snap nothing can reach, and set stuck[] of those that have no proof yet; snap's
 * goroutines must still stand as they did. The result says what was looked at, or why nothing is
 * known. An error means that the target is gone.
 */
struct goro_error *proof_reach(struct goro_scope *scope, const struct goro_snapshot *snap,
			       const struct goro_verdict_options *opt, struct stuck *stuck,
			       struct goro_reach *ret);
void proof_reach_free(struct goro_reach *r);

/*
 * Begin to read the heap of a target that runs, before the snapshot is taken with which
 * proof_reach() will be called: it goes on from there. No more than a hint.
 */
void proof_begin(struct goro_scope *scope);
/* What was begun, or NULL: nothing of the target is read for it any more once this returns. */
void proof_wait(struct proof *begun);
/* There will be no proof. */
void proof_forget(struct proof *begun);
/* What is still to be given back of the last one is. */
void proof_end_rest(struct goro_scope *scope);

#endif /* GORO_PROOF_H */
