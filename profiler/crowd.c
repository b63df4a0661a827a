/* SPDX-License-Identifier: MIT */
/*
 * crowd.c - see crowd.h.
 */
#include "crowd.h"
#include "member.h"

#include <goro_introspect.h>
#include <stdlib.h>
#include <string.h>
#include "order.h"
#include "proved.h"

static bool can_join(const struct snapshot_builder *b, const struct goro_info *g)
{
	const struct goro_snapshot *s = b->snap;

	if (g->id == b->single_out || proved_has(b->proved, g->id) ||
	    (b->members && !member_fits(s, g)))
		return false;
	return g->state == GORO_STATE_WAITING && g->wait_class != GORO_CLASS_NEVER &&
	       g->wait_class != GORO_CLASS_MUTEX && g->wait_class != GORO_CLASS_RWMUTEX &&
	       !g->flags && !g->labelled && !g->held_locks && !g->nrlocks && !g->rlocks_more &&
	       !g->torn && !g->lost && g->stack_id != GORO_NO_STACK &&
	       s->stacks[g->stack_id].complete;
}

static bool same_crowd(const struct snapshot_builder *s, const struct goro_info *a,
		       const struct goro_info *b)
{
	return a->spawn_pc == b->spawn_pc && a->stack_id == b->stack_id && a->entry == b->entry &&
	       a->reason == b->reason && a->wait_class == b->wait_class && a->letter == b->letter &&
	       (!s->members || member_near(s->snap, a, b));
}

static size_t hash(const struct goro_info *g)
{
	uint64_t h = (g->spawn_pc ^ g->stack_id) * 0x9e3779b97f4a7c15ull;

	return ((h >> 29 ^ h ^ g->entry) * 0x9e3779b97f4a7c15ull + g->reason) >> 32;
}

static bool rehash(struct snapshot_builder *b)
{
	size_t size = b->crowd_table_size ? b->crowd_table_size * 2 : 256;
	uint32_t *table = calloc(size, sizeof *table);

	if (!table) {
		b->no_memory = true;
		return false;
	}
	for (size_t i = 0; i < b->crowd_table_size; i++) {
		size_t at;

		if (!b->crowd_table[i])
			continue;
		at = hash(&b->snap->g[b->crowd_table[i] - 1]) & (size - 1);
		while (table[at])
			at = (at + 1) & (size - 1);
		table[at] = b->crowd_table[i];
	}
	free(b->crowd_table);
	b->crowd_table = table;
	b->crowd_table_size = size;
	return true;
}

/* Where g's crowd is, or would be. */
static uint32_t *find(struct snapshot_builder *b, const struct goro_info *g)
{
	size_t at;

	if (b->crowd_table_used * 2 >= b->crowd_table_size && !rehash(b))
		return NULL;
	for (at = hash(g) & (b->crowd_table_size - 1); b->crowd_table[at];
	     at = (at + 1) & (b->crowd_table_size - 1)) {
		if (same_crowd(b, &b->snap->g[b->crowd_table[at] - 1], g))
			break;
	}
	return &b->crowd_table[at];
}

static void add(struct snapshot_builder *b, const struct goro_info *g, uint32_t crowd)
{
	if (b->members) {
		struct goro_member m = member_of(g, &b->snap->crowds[crowd - 1], crowd);

		snapshot_add_member(b, &m);
	} else {
		snapshot_add_crowd_id(b, g->id);
	}
}

/* What g waits for, in the place of what the other one did. False: there is no room. */
static bool take_waits(struct goro_snapshot *s, struct goro_info *g, const struct goro_info *one)
{
	if (g->nwaits > one->nwaits)
		return false;
	memmove(s->waits + one->waits_first, s->waits + g->waits_first,
		g->nwaits * sizeof *s->waits);
	g->waits_first = one->waits_first;
	return true;
}

/*
 * The oldest, whose id is the lowest, stands for all. True: it was g that was put in its place, and
 * with its waits.
 */
static bool join(struct snapshot_builder *b, struct goro_info *one, const struct goro_info *g)
{
	bool older = g->id < one->id, waits_kept = false;
	struct goro_crowd *crowd;
	uint32_t number;

	if (!one->crowd) {
		one->crowd = snapshot_add_crowd(b, &(struct goro_crowd){
							   .n = 1,
							   .g = UINT32_MAX,
							   .oldest_wait_ns = one->wait_ns,
							   .stack_resident = one->stack_resident,
							   .id = one->id,
							   .record = one->record,
							   .stack_lo = one->stack_lo,
							   .wait_object = one->wait_object,
						   });
		if (!one->crowd)
			return false;
	}
	number = one->crowd;
	add(b, older ? one : g, number);
	crowd = &b->snap->crowds[number - 1];
	crowd->n++;
	crowd->stack_resident += g->stack_resident;
	if (g->wait_ns > crowd->oldest_wait_ns)
		crowd->oldest_wait_ns = g->wait_ns;
	if (older) {
		struct goro_info oldest = *g;

		waits_kept = !take_waits(b->snap, &oldest, one);
		oldest.crowd = number;
		*one = oldest;
	}
	return waits_kept;
}

void crowd_join(struct snapshot_builder *b, size_t first, size_t first_wait)
{
	struct goro_snapshot *s = b->snap;
	bool waits_kept = false;
	size_t to = first;

	for (size_t i = first; i < s->ng && !b->no_memory; i++) {
		const struct goro_info g = s->g[i];
		uint32_t *place;

		if (!g.id)
			continue;
		place = can_join(b, &g) ? find(b, &g) : NULL;
		if (place && *place) {
			waits_kept |= join(b, &s->g[*place - 1], &g);
			continue;
		}
		s->g[to++] = g;
		waits_kept = true;
		if (place) {
			*place = (uint32_t)to;
			b->crowd_table_used++;
		}
	}
	s->ng = to;
	if (!waits_kept)
		s->nwaits = first_wait;
}

static uint64_t id_of(const void *ctx, const void *id)
{
	(void)ctx;
	return *(const uint64_t *)id;
}

/* Only owners of locks are asked for. */
static bool is_asked(const struct goro_snapshot *s)
{
	for (size_t i = 0; i < s->nobjects; i++) {
		if (s->objects[i].wait_class == GORO_CLASS_MUTEX ||
		    s->objects[i].wait_class == GORO_CLASS_RWMUTEX)
			return true;
	}
	return false;
}

/* What damaged memory says twice is there once, and who stood for others, too. */
static void drop_odd(struct goro_snapshot *s)
{
	size_t kept = 0, g = 0;
	uint64_t last = 0;

	for (size_t i = 0; i < s->nmembers; i++) {
		const struct goro_member *m = &s->members[i];
		uint64_t id = member_id(s, m);

		while (g < s->ng && s->g[g].id < id)
			g++;
		if ((kept && last == id) || (g < s->ng && s->g[g].id == id) ||
		    s->crowds[m->crowd - 1].g == UINT32_MAX) {
			s->crowds[m->crowd - 1].n--;
			s->bad_records++;
		} else {
			s->members[kept++] = *m;
			last = id;
		}
	}
	s->nmembers = kept;
}

void crowd_end(struct snapshot_builder *b)
{
	struct goro_snapshot *s = b->snap;

	if (!s->ncrowds)
		return; /* a look that is to be quick need not walk over all */
	for (size_t i = 0; i < s->ng; i++) {
		if (s->g[i].crowd)
			s->crowds[s->g[i].crowd - 1].g = (uint32_t)i;
	}
	if (s->ncrowd_ids && !b->no_memory && is_asked(s))
		order_in_place(s->crowd_ids, sizeof *s->crowd_ids, s->ncrowd_ids, id_of, NULL);
	if (s->nmembers && !b->no_memory)
		order_in_place(s->members, sizeof *s->members, s->nmembers, member_id, s);
	drop_odd(s);
}

bool crowd_has(const struct goro_snapshot *snap, uint64_t id)
{
	size_t lo = 0, hi = snap->ncrowd_ids;

	if (snap->nmembers)
		return member_exists(snap, id) || goro_snapshot_find(snap, id);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (snap->crowd_ids[mid] < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (lo < snap->ncrowd_ids && snap->crowd_ids[lo] == id) || goro_snapshot_find(snap, id);
}
