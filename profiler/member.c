/* SPDX-License-Identifier: MIT */
/*
 * member.c - see member.h.
 *
 * Goroutines that wait for one reason at one place differ in who they are, since when they wait and
 * what for, and in their stack: that is 56 bytes, as addresses are told from one of their crowd and
 * the parent from the id. What is too big or too odd for them, such as a stack of more than 256 MB,
 * is no member.
 *
 * Rejected: the same for all goroutines of all snapshots. A monitor changes few of them from look
 * to look where they are, and finds one by its index; a list is made, written and thrown away.
 */
#include "member.h"

#define PAGE 4096u
#define WORD 8u

_Static_assert(sizeof(struct goro_member) == 56, "a million of them are 56 MB");

static bool is_pages(uint64_t bytes)
{
	return bytes % PAGE == 0 && bytes / PAGE <= UINT16_MAX;
}

/* What it waits for, and nothing else. */
static bool waits_for_one(const struct goro_snapshot *snap, const struct goro_info *g)
{
	return g->nwaits == 0 ||
	       (g->nwaits == 1 && snap->waits[g->waits_first].object == g->wait_object);
}

/* Can it be told by a number of that many bytes each? */
static bool is_near(uint64_t to, uint64_t from, uint64_t unit)
{
	int64_t by = (int64_t)(to - from);

	return by % (int64_t)unit == 0 && by / (int64_t)unit == (int32_t)(by / (int64_t)unit);
}

bool member_fits(const struct goro_snapshot *snap, const struct goro_info *g)
{
	return waits_for_one(snap, g) && g->stack_hi > g->stack_lo &&
	       is_pages(g->stack_hi - g->stack_lo) && is_pages(g->stack_resident) &&
	       is_pages(g->stack_peak) && g->stack_used == g->stack_hi - g->sp &&
	       g->stack_used % WORD == 0 && g->stack_used / WORD <= UINT16_MAX &&
	       g->m_id <= UINT16_MAX && g->parent != g->id &&
	       (!g->parent || is_near(g->parent, g->id, 1));
}

/* By how many, and by which kind of wait. */
static bool waits_alike(const struct goro_snapshot *snap, const struct goro_info *a,
			const struct goro_info *b)
{
	const struct goro_wait *v = &snap->waits[a->waits_first], *w = &snap->waits[b->waits_first];

	return a->nwaits == b->nwaits &&
	       (!a->nwaits || (v->reason == w->reason && v->wait_class == w->wait_class));
}

bool member_near(const struct goro_snapshot *snap, const struct goro_info *one,
		 const struct goro_info *g)
{
	const struct goro_crowd *crowd = one->crowd ? &snap->crowds[one->crowd - 1] : NULL;

	return waits_alike(snap, one, g) &&
	       is_near(g->record, crowd ? crowd->record : one->record, WORD) &&
	       is_near(g->stack_lo, crowd ? crowd->stack_lo : one->stack_lo, PAGE);
}

struct goro_member member_of(const struct goro_info *g, const struct goro_crowd *crowd,
			     uint32_t number)
{
	return (struct goro_member){
		.id = g->id,
		.parent = g->parent ? (int32_t)(g->parent - g->id) : 0,
		.wait_ns = g->wait_ns,
		.wait_object = g->wait_object,
		.record = (int32_t)((int64_t)(g->record - crowd->record) / (int64_t)WORD),
		.stack_lo = (int32_t)((int64_t)(g->stack_lo - crowd->stack_lo) / (int64_t)PAGE),
		.crowd = number,
		.park_seq = g->park_seq,
		.stack_words = (uint16_t)(g->stack_used / WORD),
		.stack_pages = (uint16_t)((g->stack_hi - g->stack_lo) / PAGE),
		.resident_pages = (uint16_t)(g->stack_resident / PAGE),
		.peak_pages = (uint16_t)(g->stack_peak / PAGE),
		.m_id = (uint16_t)g->m_id,
	};
}

static void tell(const struct goro_snapshot *snap, const struct goro_member *m,
		 struct goro_info *ret)
{
	const struct goro_crowd *crowd = &snap->crowds[m->crowd - 1];

	*ret = snap->g[crowd->g];
	ret->crowd = 0;
	ret->member = true;
	ret->id = m->id;
	ret->parent = m->parent ? m->id + (uint64_t)(int64_t)m->parent : 0;
	ret->wait_ns = m->wait_ns;
	ret->wait_object = m->wait_object;
	ret->record = crowd->record + (uint64_t)((int64_t)m->record * (int64_t)WORD);
	ret->park_seq = m->park_seq;
	ret->m_id = m->m_id;
	ret->stack_lo = crowd->stack_lo + (uint64_t)((int64_t)m->stack_lo * (int64_t)PAGE);
	ret->stack_hi = ret->stack_lo + (uint64_t)m->stack_pages * PAGE;
	ret->stack_used = (uint64_t)m->stack_words * WORD;
	ret->sp = ret->stack_hi - ret->stack_used;
	ret->stack_resident = (uint64_t)m->resident_pages * PAGE;
	ret->stack_peak = (uint64_t)m->peak_pages * PAGE;
}

const struct goro_info *goro_snapshot_at(const struct goro_snapshot *snap, uint32_t place,
					 struct goro_info *room)
{
	if (place >= snap->ng) {
		tell(snap, &snap->members[place - snap->ng], room);
		return room;
	}
	if (!snap->g[place].crowd)
		return &snap->g[place];
	*room = snap->g[place];
	room->crowd = 0;
	return room;
}

struct goro_wait goro_snapshot_wait(const struct goro_snapshot *snap, const struct goro_info *g,
				    uint32_t k)
{
	struct goro_wait w = snap->waits[g->waits_first + k];

	if (g->member)
		w.object = g->wait_object;
	return w;
}

const struct goro_info *member_like(const struct goro_snapshot *snap, uint32_t place)
{
	if (place >= snap->ng)
		place = snap->crowds[snap->members[place - snap->ng].crowd - 1].g;
	return &snap->g[place];
}

uint64_t member_id_at(const struct goro_snapshot *snap, uint32_t place)
{
	return place < snap->ng ? snap->g[place].id : snap->members[place - snap->ng].id;
}

const struct goro_info *goro_snapshot_next(struct goro_walk *w)
{
	const struct goro_snapshot *s = w->snap;
	const struct goro_info *g = w->g < s->ng ? &s->g[w->g] : NULL;
	const struct goro_member *m = s->g && w->member < s->nmembers ? &s->members[w->member]
								      : NULL;

	if (!g && !m)
		return NULL;
	if (m && (!g || m->id < g->id))
		w->place = (uint32_t)(s->ng + w->member++);
	else
		w->place = (uint32_t)w->g++;
	return goro_snapshot_at(s, w->place, &w->info);
}

uint32_t goro_walk_place(const struct goro_walk *w)
{
	return w->place;
}

uint64_t member_id(const void *members, size_t i)
{
	return ((const struct goro_member *)members)[i].id;
}

const struct goro_member *member_find(const struct goro_snapshot *snap, uint64_t id)
{
	size_t lo = 0, hi = snap->nmembers;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (snap->members[mid].id == id)
			return &snap->members[mid];
		if (snap->members[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}
