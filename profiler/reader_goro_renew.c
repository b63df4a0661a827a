/* SPDX-License-Identifier: MIT */
/*
 * reader_goro_renew.c - the records of a program that was looked at before.
 *
 * Where a record still says what was seen there, nothing is done: only the time grows that it says
 * it for. The others are read as in a first look, each into its old place; new goroutines are added
 * behind, to be merged at the end, which is near it.
 */
#include "reader_goro_past.h"

#include <stddef.h>
#include <stdlib.h>

#define SEEN_STATUS 0xffffffu /* state, reason and those flags that a snapshot has */

#define AHEAD 12 /* records from fetching a goroutine to comparing it */

_Static_assert(offsetof(struct goro_info, lost) < 64,
	       "what a look compares is no more than fetched");

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

static bool is_same(const struct scan *s, const uint8_t *rec, const struct goro_info *g)
{
	uint32_t status = (uint32_t)g->state | (uint32_t)g->reason << 8 | (uint32_t)g->flags << 16;

	return scan_get(s, rec, GORO_FIELD_g_id) == g->id &&
	       (scan_get(s, rec, GORO_FIELD_g_status) & SEEN_STATUS) == status &&
	       scan_get(s, rec, GORO_FIELD_g_park_seq) == g->park_seq &&
	       scan_get(s, rec, GORO_FIELD_g_sp) == g->sp &&
	       scan_get(s, rec, GORO_FIELD_g_wait_object) == g->wait_object;
}

/* Nor did anything change that can although it does not run. Who holds no lock lists none. */
static bool is_plain(const struct scan *s, const uint8_t *rec, const struct seen *e)
{
	return e->plain && scan_get(s, rec, GORO_FIELD_g_stack_peak) == e->peak &&
	       !scan_get(s, rec, GORO_FIELD_g_held_locks) && !scan_get(s, rec, GORO_FIELD_g_name);
}

/*
 * Records come by address and goroutines by id: without this half of the time were spent in waiting
 * for memory.
 */
static inline void fetch(const struct goro_snapshot *snap, const struct seen *e)
{
	const struct goro_info *g;

	if (!e->place)
		return;
	g = &snap->g[e->place - 1];
	__builtin_prefetch(&g->id, 1);
	__builtin_prefetch(&g->lost, 1);
}

/* Only its time went on, and what was judged of it is void. */
static void pass_time(struct renewal *r, const struct seen *e, struct goro_info *g)
{
	g->wait_ns += r->passed;
	g->verdict = g->proof = 0;
	g->finding = UINT32_MAX;
	g->queued = false;
	if (e->turn == r->turn)
		g->stack_resident = 0;
	if (!g->stack_resident)
		r->ask[r->nask++] = e->place - 1;
}

static bool is_free(const struct scan *s, const uint8_t *rec)
{
	unsigned state = GORO_STATUS_STATE((uint32_t)scan_get(s, rec, GORO_FIELD_g_status));

	return state == GORO_STATE_FREE || state == GORO_STATE_DEAD;
}

void renew_classify(struct scan *s, uint64_t address, uint32_t n, size_t *used)
{
	const uint32_t g_size = s->r->contract.raw.g_size;
	struct seen *e = past_at(s->renewal->past, address);

	for (uint32_t i = 0; i < n && !s->b->no_memory; i++, e++, address += g_size) {
		if (i + AHEAD < n)
			fetch(s->b->snap, &e[AHEAD]);
		const uint8_t *rec = s->before + (size_t)i * g_size;
		struct goro_info *g = e->place ? &s->b->snap->g[e->place - 1] : NULL;

		if (e->place && e->still && is_same(s, rec, g)) {
			if (is_plain(s, rec, e))
				pass_time(s->renewal, e, g);
			else
				look_again(s, e, address, i * g_size);
		} else if (e->place || !is_free(s, rec)) {
			read_again(s, e, address, i * g_size, used);
		}
	}
}

void renew_unreadable(struct scan *s, uint64_t address, uint32_t n)
{
	struct seen *e = past_at(s->renewal->past, address);

	for (uint32_t i = 0; i < n; i++) {
		if (e[i].place)
			drop(s, &e[i]);
	}
}
