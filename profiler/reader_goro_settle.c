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

/* Stacks that lie close to each other take turns together: their pages are looked up in one go. */
static bool is_due(const struct past *p, const struct goro_info *g)
{
	return ((g->stack_lo >> 24) + p->looks) % RENEW_LOOKS == 0;
}

static void pass_time(struct scan *s, uint32_t *ask, size_t *nask)
{
	struct renewal *r = s->renewal;
	struct goro_info *g = s->b->snap->g;

	for (size_t i = 0; i < s->b->snap->ng; i++) {
		if (i < r->old_ng && !r->read[i]) {
			g[i].wait_ns += r->passed;
			g[i].verdict = g[i].proof = 0;
			g[i].finding = UINT32_MAX;
			g[i].queued = false;
			if (is_due(r->past, &g[i]))
				g[i].stack_resident = 0;
		}
		if (!g[i].stack_resident)
			ask[(*nask)++] = (uint32_t)i;
	}
}

/* Goroutines ended, or there are new ones: bring all in order, and note where they are now. */
static void reorder(struct scan *s, uint32_t *ask, size_t *nask)
{
	struct past *p = s->renewal->past;
	uint32_t *to = malloc((s->b->snap->ng + 1) * sizeof *to);
	size_t n = 0;

	if (!to) {
		s->b->no_memory = true;
		return;
	}
	if (!snapshot_merge(s->b, s->renewal->old_ng, to)) {
		s->renewal->odd = true;
		for (size_t i = 0; i < s->b->snap->ng; i++)
			ask[n++] = (uint32_t)i;
		*nask = n;
		free(to);
		return;
	}
	for (size_t i = 0; i < *nask; i++) {
		if (to[ask[i]] != UINT32_MAX)
			ask[n++] = to[ask[i]];
	}
	*nask = n;
	for (size_t i = 0; i < p->nchunks; i++) {
		for (uint32_t k = 0; k < p->chunk_len; k++) {
			struct seen *e = &p->chunks[i].v[k];

			if (e->place)
				e->place = to[e->place - 1] + 1; /* none: 0 */
		}
	}
	for (size_t i = 0; i < s->renewal->n; i++)
		s->renewal->v[i].g = to[s->renewal->v[i].g];
	free(to);
}

void renew_end(struct scan *s)
{
	struct renewal *r = s->renewal;
	struct goro_snapshot *snap = s->b->snap;
	uint32_t *ask = malloc((snap->ng + 1) * sizeof *ask);
	size_t nask = 0;

	if (!ask || s->b->no_memory) {
		s->b->no_memory = true;
		free(ask);
		return;
	}
	r->past->looks++;
	r->past->time = (int64_t)s->now;
	settle(s);
	pass_time(s, ask, &nask);
	if (r->gaps || snap->ng > r->old_ng)
		reorder(s, ask, &nask);
	scan_add_resident(s, ask, nask);
	renew_objects(s);
	free(ask);
	if (r->odd)
		snapshot_forget(snap);
}
