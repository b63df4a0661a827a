/* SPDX-License-Identifier: MIT */
/*
 * reach_ahead.c - the heap is read beside what else must be known for a search.
 *
 * To copy a big heap takes as long as to read the goroutines and their queues, and neither needs
 * the other: only which mappings are objects of the heap is asked when the runtime's own are known.
 */
#include "reach_ahead.h"

#include <stdlib.h>

static void read_areas(void *ahead)
{
	struct reach_ahead *a = ahead;

	a->err = heap_read_areas(&a->search, &a->heap, a->t, &a->maps, &a->how);
}

struct goro_error *reach_ahead_begin(struct reach_ahead **ret, struct target *t,
				     const struct heap_how *how, bool beside)
{
	struct reach_ahead *a = calloc(1, sizeof *a);
	struct goro_error *err;
	uint8_t own;

	*ret = NULL;
	if (!a)
		return &goro_enomem;
	a->t = t;
	a->how = *how;
	err = t->ops->maps(t, &a->maps);
	if (err) {
		free(a);
		return err;
	}
	if (beside && t->ops->threads && a->maps.n) {
		/* Several may ask once one has. */
		t->ops->own_pages(t, a->maps.v[0].lo, a->maps.v[0].lo + HEAP_PAGE, &own);
		two_begin(&a->reading, read_areas, a);
	} else {
		a->reading = (struct two_beside){ .work = read_areas, .arg = a };
	}
	*ret = a;
	return NULL;
}

struct goro_error *reach_ahead_end(struct reach_ahead *a, const struct facts *facts,
				   struct heap *ret)
{
	struct goro_error *err;

	two_end(&a->reading);
	err = a->err;
	a->err = NULL;
	if (!err)
		err = heap_read_rest(&a->search, facts->opaque, facts->nopaque);
	if (err)
		return err;
	*ret = a->heap;
	a->heap = (struct heap){ 0 };
	return NULL;
}

void reach_ahead_free(struct reach_ahead *a)
{
	if (!a)
		return;
	if (a->reading.there)
		two_end(&a->reading);
	goro_error_free(a->err);
	heap_free(&a->heap);
	target_maps_free(&a->maps);
	free(a);
}
