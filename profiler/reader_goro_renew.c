/* SPDX-License-Identifier: MIT */
/*
 * reader_goro_renew.c - the records of a program that was looked at before.
 *
 * Where a record still says what was seen there, nothing is done: see reader_goro_skim.c. The
 * others are read as in a first look, each into its old place; new goroutines are added behind, to
 * be merged at the end, which is near it.
 */
#include "reader_goro_past.h"

#include <stdlib.h>

void *renew_grow(struct scan *s, void *v, size_t n, size_t *cap, size_t size)
{
	size_t bigger = *cap ? *cap * 2 : 256;
	void *moved;

	if (n < *cap)
		return v;
	moved = realloc(v, bigger * size);
	if (!moved) {
		s->b->no_memory = true;
		return NULL;
	}
	*cap = bigger;
	return moved;
}

/* Nothing is left of what it waited for. */
static void leave(struct scan *s, const struct goro_info *g)
{
	struct renewal *r = s->renewal;

	for (uint32_t i = 0; i < g->nwaits; i++) {
		struct goro_wait *v =
			renew_grow(s, r->left, r->nleft, &r->left_cap, sizeof *r->left);

		if (!v)
			return;
		r->left = v;
		r->left[r->nleft++] = s->b->snap->waits[g->waits_first + i];
	}
}

static bool note_changed(struct scan *s, const struct changed *c)
{
	struct renewal *r = s->renewal;
	struct changed *v = renew_grow(s, r->v, r->n, &r->cap, sizeof *r->v);

	if (!v)
		return false;
	r->v = v;
	r->v[r->n++] = *c;
	return true;
}

static void drop(struct scan *s, struct seen *e)
{
	struct goro_info *g = &s->b->snap->g[e->place - 1];

	leave(s, g);
	s->renewal->past->wasted_waits += g->nwaits;
	s->renewal->gaps = true;
	g->id = 0;
	g->nwaits = 0;
	*e = (struct seen){ 0 };
}

static void read_again(struct scan *s, struct seen *e, uint64_t address, uint32_t slot,
		       size_t *used)
{
	struct goro_snapshot *snap = s->b->snap;
	struct changed c = { .seen = e };
	struct goro_info g;

	if (!scan_decode_new(s, slot, address, &g)) {
		if (e->place)
			drop(s, e);
		return;
	}
	if (e->place && snap->g[e->place - 1].id != g.id)
		drop(s, e);
	if (e->place) {
		struct goro_info *old = &snap->g[e->place - 1];

		leave(s, old);
		c.g = e->place - 1;
		c.waits_first = old->waits_first;
		c.nwaits = old->nwaits;
		*old = g;
	} else {
		c.g = snapshot_add_g(s->b, &g);
	}
	if (c.g == UINT32_MAX || !note_changed(s, &c))
		return;
	e->place = c.g + 1;
	e->still = false;
	scan_want_stack(s, address, slot, c.g, used);
}

/* It did not run, but something else about it may have changed. */
static void look_again(struct scan *s, struct seen *e, uint64_t address, uint32_t slot)
{
	struct goro_info *old = &s->b->snap->g[e->place - 1], g;

	if (!scan_decode_new(s, slot, address, &g))
		return;
	g.stack_id = old->stack_id;
	g.stack_used = g.stack_hi - g.sp;
	g.stack_resident = g.stack_peak == old->stack_peak ? old->stack_resident : 0;
	g.waits_first = old->waits_first;
	g.nwaits = old->nwaits;
	*old = g;
	if (!g.stack_resident)
		s->renewal->ask[s->renewal->nask++] = e->place - 1;
	scan_add_rlocks(s, e->place - 1, s->before + slot);
	past_see(e, s->b->snap, e->place - 1);
}

void renew_look(struct scan *s, uint32_t number, uint32_t slot, size_t *used)
{
	const uint64_t address = renew_address(s, number);
	struct seen *e = past_by_number(s->renewal->past, number);

	if (e->place && e->still &&
	    renew_is_same(s, s->before + slot, &s->b->snap->g[e->place - 1]))
		look_again(s, e, address, slot);
	else
		read_again(s, e, address, slot, used);
}
