/* SPDX-License-Identifier: MIT */
/*
 * member.c - see member.h.
 *
 * Goroutines that wait for one reason at one place differ in who they are, since when they wait and
 * what for, and in their stack: that is 40 bytes, as ids and addresses are told from one of their
 * crowd and the parent from the id. Those who wait with other depths of stack are other crowds.
 * What is too big or too odd, such as a stack of more than 256 MB, is no member.
 *
 * Rejected: the same for all goroutines of all snapshots. A monitor of some thousands changes few
 * of them from look to look where they are; of a million it keeps two looks, the one on show and
 * the next, and has no room for three.
 */
#include "member.h"

#define PAGE 4096u
#define WORD 8u

#define AGE 56 /* bits of a duration: two years */

_Static_assert(sizeof(struct goro_member) == 40, "a million of them are 40 MB");

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
	       g->wait_ns >> AGE == 0 && g->parent != g->id &&
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

	return waits_alike(snap, one, g) && one->stack_used == g->stack_used &&
	       one->stack_hi - one->stack_lo == g->stack_hi - g->stack_lo &&
	       one->m_id >> 8 == g->m_id >> 8 && is_near(g->id, crowd ? crowd->id : one->id, 1) &&
	       is_near(g->record, crowd ? crowd->record : one->record, WORD) &&
	       is_near(g->wait_object, crowd ? crowd->wait_object : one->wait_object, WORD) &&
	       is_near(g->stack_lo, crowd ? crowd->stack_lo : one->stack_lo, PAGE);
}

/* By how many units. */
static int32_t by(uint64_t to, uint64_t from, uint64_t unit)
{
	return (int32_t)((int64_t)(to - from) / (int64_t)unit);
}

static uint64_t from(uint64_t base, int32_t by, uint64_t unit)
{
	return base + (uint64_t)((int64_t)by * (int64_t)unit);
}

struct goro_member member_of(const struct goro_info *g, const struct goro_crowd *crowd,
			     uint32_t number)
{
	return (struct goro_member){
		.wait_ns = g->wait_ns,
		.m_id = (uint8_t)g->m_id,
		.id = by(g->id, crowd->id, 1),
		.record = by(g->record, crowd->record, WORD),
		.stack_lo = by(g->stack_lo, crowd->stack_lo, PAGE),
		.wait_object = by(g->wait_object, crowd->wait_object, WORD),
		.parent = g->parent ? by(g->parent, g->id, 1) : 0,
		.crowd = number,
		.park_seq = g->park_seq,
		.resident_pages = (uint16_t)(g->stack_resident / PAGE),
		.peak_pages = (uint16_t)(g->stack_peak / PAGE),
	};
}

uint64_t member_wait_object(const struct goro_snapshot *snap, const struct goro_member *m)
{
	return from(snap->crowds[m->crowd - 1].wait_object, m->wait_object, WORD);
}

static uint64_t id_of(const struct goro_snapshot *snap, const struct goro_member *m)
{
	return from(snap->crowds[m->crowd - 1].id, m->id, 1);
}

/* Of a crowd that is suspected by age, those are that are old enough. */
static void acquit_young(const struct goro_snapshot *snap, struct goro_info *g)
{
	if (g->proof != GORO_PROOF_AGE || g->wait_ns > snap->suspect_age_ns)
		return;
	g->verdict = GORO_VERDICT_OK;
	g->proof = GORO_PROOF_NONE;
	g->finding = UINT32_MAX;
}

static void tell(const struct goro_snapshot *snap, const struct goro_member *m,
		 struct goro_info *ret)
{
	const struct goro_crowd *crowd = &snap->crowds[m->crowd - 1];
	const struct goro_info *like = &snap->g[crowd->g];

	*ret = *like;
	ret->crowd = 0;
	ret->member = true;
	ret->id = id_of(snap, m);
	ret->parent = m->parent ? from(ret->id, m->parent, 1) : 0;
	ret->wait_ns = m->wait_ns;
	ret->wait_object = member_wait_object(snap, m);
	ret->record = from(crowd->record, m->record, WORD);
	ret->park_seq = m->park_seq;
	ret->m_id = (like->m_id & ~0xffu) | m->m_id;
	ret->stack_lo = from(crowd->stack_lo, m->stack_lo, PAGE);
	ret->stack_hi = ret->stack_lo + (like->stack_hi - like->stack_lo);
	ret->sp = ret->stack_hi - ret->stack_used;
	ret->stack_resident = (uint64_t)m->resident_pages * PAGE;
	ret->stack_peak = (uint64_t)m->peak_pages * PAGE;
	acquit_young(snap, ret);
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
	acquit_young(snap, room);
	return room;
}

size_t goro_snapshot_count(const struct goro_snapshot *snap)
{
	return snap->ng + snap->ncrowd_ids + snap->nmembers;
}

size_t goro_snapshot_weight(const struct goro_snapshot *snap, const struct goro_info *g)
{
	return g->crowd ? snap->crowds[g->crowd - 1].n : 1;
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
	return place < snap->ng ? snap->g[place].id : id_of(snap, &snap->members[place - snap->ng]);
}

const struct goro_info *goro_snapshot_next(struct goro_walk *w)
{
	const struct goro_snapshot *s = w->snap;
	const struct goro_info *g = w->g < s->ng ? &s->g[w->g] : NULL;
	const struct goro_member *m = s->g && w->member < s->nmembers ? &s->members[w->member]
								      : NULL;

	if (!g && !m)
		return NULL;
	if (m && (!g || id_of(s, m) < g->id))
		w->place = (uint32_t)(s->ng + w->member++);
	else
		w->place = (uint32_t)w->g++;
	return goro_snapshot_at(s, w->place, &w->info);
}

uint32_t goro_walk_place(const struct goro_walk *w)
{
	return w->place;
}

uint64_t member_id(const void *snapshot, const void *member)
{
	return id_of(snapshot, member);
}

/* The place of a member, or snap->ng + snap->nmembers. */
static size_t find(const struct goro_snapshot *snap, uint64_t id)
{
	size_t lo = 0, hi = snap->nmembers;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (id_of(snap, &snap->members[mid]) < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < snap->nmembers && id_of(snap, &snap->members[lo]) != id)
		lo = snap->nmembers;
	return snap->ng + lo;
}

bool member_exists(const struct goro_snapshot *snap, uint64_t id)
{
	return find(snap, id) < snap->ng + snap->nmembers;
}

const struct goro_info *goro_snapshot_get(const struct goro_snapshot *snap, uint64_t id,
					  struct goro_info *room)
{
	const struct goro_info *g = goro_snapshot_find(snap, id);
	size_t place = g ? (size_t)(g - snap->g) : find(snap, id);

	return place < snap->ng + snap->nmembers ? goro_snapshot_at(snap, (uint32_t)place, room)
						 : NULL;
}
