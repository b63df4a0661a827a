/* SPDX-License-Identifier: MIT */
/*
 * reach_candidates.c - who waits for something that another goroutine must do, and for what; see
 * reach.c.
 */
#include "reach_run.h"

#include <stdlib.h>

#include "goro_introspect.h"
#include "order.h"

static bool waits_for_others(const struct goro_info *g)
{
	switch (g->wait_class) {
	case GORO_CLASS_NEVER:
		return true;
	case GORO_CLASS_CHAN:
	case GORO_CLASS_SELECT:
	case GORO_CLASS_MUTEX:
	case GORO_CLASS_RWMUTEX:
	case GORO_CLASS_COND:
	case GORO_CLASS_WAITGROUP:
	case GORO_CLASS_SEMA:
		return g->nwaits != 0;
	default:
		return false;
	}
}

static bool may_be_candidate(const struct run *r, size_t i, const struct roots *roots)
{
	const struct goro_info *g = &r->view->snap->g[i];

	return g->state == GORO_STATE_WAITING && waits_for_others(g) && !g->torn &&
	       !(g->flags & (GORO_FLAG_SYSTEM | GORO_FLAG_IGNORE)) && roots->parked[i] &&
	       (g->wait_class == GORO_CLASS_NEVER || r->view->facts->queued[i]);
}

static bool add_watch(struct run *r, uint64_t key, uint32_t g)
{
	if (r->nwatch == r->watch_cap) {
		size_t cap = r->watch_cap ? r->watch_cap * 2 : 256;
		struct watch *bigger = realloc(r->watch, cap * sizeof *bigger);

		if (!bigger)
			return false;
		r->watch = bigger;
		r->watch_cap = cap;
	}
	r->watch[r->nwatch++] = (struct watch){ key, g };
	return true;
}

/* Watch an object. False: it lies where everything is reachable. */
static bool watch_object(struct run *r, uint64_t object, uint32_t g)
{
	const struct zone *z = zones_find(&r->zones, object);
	uint32_t granule;

	if (!z)
		return false;
	if (z->kind != ZONE_AREA) {
		r->no_memory |= !add_watch(r, z->lo, g);
		return true;
	}
	granule = heap_find(&r->heap.areas[z->index], object);
	/* In a free chunk: the program is wrong, and nothing is sure. */
	if (granule == UINT32_MAX || heap_bit(r->heap.areas[z->index].mark, granule))
		return false;
	heap_set(r->watched[z->index], granule);
	r->no_memory |=
		!add_watch(r, r->heap.areas[z->index].lo + (uint64_t)granule * HEAP_GRANULE, g);
	return true;
}

static bool watch_all(struct run *r, uint32_t g)
{
	const struct goro_info *info = &r->view->snap->g[g];

	for (uint32_t i = 0; i < info->nwaits; i++) {
		uint64_t object = r->view->snap->waits[info->waits_first + i].object;

		if (object && !watch_object(r, object, g))
			return false;
	}
	return true;
}

static uint64_t key_of(const void *watches, size_t i)
{
	const struct watch *v = watches;

	return v[i].key;
}

/* Once the zones are known: everybody else is alive from the start. */
void reach_choose_candidates(struct run *r, const struct roots *roots)
{
	for (size_t i = 0; i < r->view->snap->ng; i++) {
		r->candidate[i] = may_be_candidate(r, i, roots) && watch_all(r, (uint32_t)i);
		r->ret->ncandidates += r->candidate[i];
		if (r->view->never && r->view->never[i])
			continue;
		r->alive[i] = !r->candidate[i];
		if (r->alive[i])
			reach_search_goroutine(r, (uint32_t)i);
	}
	/* Who waits for the same stays in the order of goroutines. */
	r->no_memory |= !order_things(r->watch, sizeof *r->watch, r->nwatch, key_of);
}
