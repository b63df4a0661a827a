/* SPDX-License-Identifier: MIT */
/*
 * reader_goro_settle.c - the end of a look that was made out of an earlier one.
 *
 * What was read again is remembered for the next look, and its waits go where the old ones were if
 * there is room.
 */
#include "reader_goro_past.h"

#include <stdlib.h>

/* ---- the end: what was read is seen, and waits in its old place where there is room ------------
 */

static void settle_waits(struct scan *s)
{
	struct renewal *r = s->renewal;
	struct goro_snapshot *snap = s->b->snap;
	size_t n = snap->nwaits - r->old_nwaits, end = r->old_nwaits;
	struct goro_wait *fresh = malloc((n + 1) * sizeof *fresh);

	if (!fresh)
		return; /* they stay where they are */
	if (n)
		memcpy(fresh, snap->waits + r->old_nwaits, n * sizeof *fresh);
	for (size_t i = 0; i < r->n; i++) {
		const struct changed *c = &r->v[i];
		struct goro_info *g = &snap->g[c->g];
		const struct goro_wait *from;
		bool room = g->nwaits <= c->nwaits;

		r->past->wasted_waits += c->nwaits - (room ? g->nwaits : 0);
		if (!g->nwaits)
			continue;
		from = fresh + (g->waits_first - r->old_nwaits);
		g->waits_first = room ? c->waits_first : (uint32_t)end;
		end += room ? 0 : g->nwaits;
		memcpy(snap->waits + g->waits_first, from, g->nwaits * sizeof *from);
	}
	snap->nwaits = end;
	free(fresh);
}

static void settle(struct scan *s)
{
	struct renewal *r = s->renewal;
	struct goro_snapshot *snap = s->b->snap;

	settle_waits(s);
	for (size_t i = 0; i < r->n; i++) {
		struct changed *c = &r->v[i];

		if (!snap->g[c->g].id)
			r->gaps = true;
		past_see(c->seen, snap, c->g);
	}
}

/* Was it odd, all are asked. */
static void ask_all(struct scan *s)
{
	struct renewal *r = s->renewal;
	uint32_t *ask = realloc(r->ask, (s->b->snap->ng + 1) * sizeof *ask);

	r->odd = true;
	r->nask = 0;
	if (!ask) {
		s->b->no_memory = true;
		return;
	}
	r->ask = ask;
	for (size_t i = 0; i < s->b->snap->ng; i++)
		r->ask[r->nask++] = (uint32_t)i;
}

/* Goroutines ended, or there are new ones: bring all in order, and note where they are now. */
static void reorder(struct scan *s)
{
	struct renewal *r = s->renewal;
	struct past *p = r->past;
	uint32_t *to = malloc((s->b->snap->ng + 1) * sizeof *to);
	size_t n = 0;

	if (!to) {
		s->b->no_memory = true;
		return;
	}
	if (!snapshot_merge(s->b, r->old_ng, to)) {
		ask_all(s);
		free(to);
		return;
	}
	for (size_t i = 0; i < r->nask; i++) {
		if (to[r->ask[i]] != UINT32_MAX)
			r->ask[n++] = to[r->ask[i]];
	}
	r->nask = n;
	for (size_t i = 0; i < p->nchunks; i++) {
		for (uint32_t k = 0; k < p->chunk_len; k++) {
			struct seen *e = &p->chunks[i].v[k];

			if (e->place)
				e->place = to[e->place - 1] + 1; /* none: 0 */
		}
	}
	for (size_t i = 0; i < r->n; i++)
		r->v[i].g = to[r->v[i].g];
	free(to);
}

/* What ran may have another part of its stack in RAM, and what is new has one. */
static bool ask_changed(struct renewal *r)
{
	uint32_t *ask = realloc(r->ask, (r->nask + r->n + 1) * sizeof *ask);

	if (!ask)
		return false;
	r->ask = ask;
	for (size_t i = 0; i < r->n; i++)
		r->ask[r->nask++] = r->v[i].g;
	return true;
}

void renew_end(struct scan *s)
{
	struct renewal *r = s->renewal;
	struct goro_snapshot *snap = s->b->snap;

	if (s->b->no_memory || !ask_changed(r)) {
		s->b->no_memory = true;
		return;
	}
	r->past->time = (int64_t)s->now;
	settle(s);
	if (r->gaps || snap->ng > r->old_ng)
		reorder(s);
	scan_add_resident(s, r->ask, r->nask);
	renew_objects(s);
	if (r->odd)
		snapshot_forget(snap);
}
