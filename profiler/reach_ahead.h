/* SPDX-License-Identifier: MIT */
/*
 * reach_ahead.h - the heap that a search goes through, read beside other work: see reach_ahead.c.
 */
#ifndef GORO_REACH_AHEAD_H
#define GORO_REACH_AHEAD_H

#include "facts.h"
#include "heap.h"
#include "target.h"
#include "two.h"

struct reach_ahead {
	struct target *t;
	struct target_maps maps;
	struct heap_how how;
	struct heap_search search;
	struct heap heap;
	struct goro_error *err;
	struct two_beside reading;
};

/*
 * Begin to read. `beside`: until reach_ahead_end() others do nothing with the target but read what
 * is not cold, and what target_ops.threads promises is enough; else it is read then.
 */
struct goro_error *reach_ahead_begin(struct reach_ahead **ret, struct target *t,
				     const struct heap_how *how, bool beside);
/* All of the heap, once; free it with heap_free(). */
struct goro_error *reach_ahead_end(struct reach_ahead *a, const struct facts *facts,
				   struct heap *ret);
void reach_ahead_free(struct reach_ahead *a);

#endif /* GORO_REACH_AHEAD_H */
