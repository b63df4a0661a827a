/* SPDX-License-Identifier: MIT */
/*
 * member.c - see member.h.
 *
 * Goroutines that wait for one reason at one place differ in who they are, since when they wait and
 * what for, and in their stack: that is 64 bytes. What is too big or too odd for them, such as a
 * stack of more than 256 MB, is no member.
 *
 * Rejected: the same for all goroutines of all snapshots. A monitor changes few of them from look
 * to look where they are, and finds one by its index; a list is made, written and thrown away.
 */
#include "member.h"

#define PAGE 4096u

_Static_assert(sizeof(struct goro_member) == 64, "it is a line of a cache");

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

bool member_fits(const struct goro_snapshot *snap, const struct goro_info *g)
{
	return waits_for_one(snap, g) && g->stack_hi > g->stack_lo &&
	       is_pages(g->stack_hi - g->stack_lo) && is_pages(g->stack_resident) &&
	       is_pages(g->stack_peak) && g->stack_used == g->stack_hi - g->sp &&
	       g->stack_used <= UINT32_MAX && g->m_id <= UINT16_MAX;
}

struct goro_member member_of(const struct goro_info *g, uint32_t crowd)
{
	return (struct goro_member){
		.id = g->id,
		.parent = g->parent,
		.wait_ns = g->wait_ns,
		.wait_object = g->wait_object,
		.record = g->record,
		.stack_lo = g->stack_lo,
		.crowd = crowd,
		.stack_used = (uint32_t)g->stack_used,
		.stack_pages = (uint16_t)((g->stack_hi - g->stack_lo) / PAGE),
		.resident_pages = (uint16_t)(g->stack_resident / PAGE),
		.peak_pages = (uint16_t)(g->stack_peak / PAGE),
		.m_id = (uint16_t)g->m_id,
	};
}

static void tell(const struct goro_snapshot *snap, const struct goro_member *m,
		 struct goro_info *ret)
{
	*ret = snap->g[snap->crowds[m->crowd - 1].g];
	ret->crowd = 0;
	ret->id = m->id;
	ret->parent = m->parent;
	ret->wait_ns = m->wait_ns;
	ret->wait_object = m->wait_object;
	ret->waits_first = ret->nwaits = 0;
	ret->record = m->record;
	ret->park_seq = 0;
	ret->m_id = m->m_id;
	ret->stack_lo = m->stack_lo;
	ret->stack_hi = m->stack_lo + (uint64_t)m->stack_pages * PAGE;
	ret->stack_used = m->stack_used;
	ret->sp = ret->stack_hi - m->stack_used;
	ret->stack_resident = (uint64_t)m->resident_pages * PAGE;
	ret->stack_peak = (uint64_t)m->peak_pages * PAGE;
}

const struct goro_info *goro_snapshot_next(struct goro_walk *w)
{
	const struct goro_snapshot *s = w->snap;
	const struct goro_info *g = w->g < s->ng ? &s->g[w->g] : NULL;
	const struct goro_member *m = s->g && w->member < s->nmembers ? &s->members[w->member]
								      : NULL;

	if (m && (!g || m->id < g->id)) {
		tell(s, m, &w->info);
		w->member++;
		return &w->info;
	}
	w->g += g != NULL;
	if (!g || !g->crowd)
		return g;
	w->info = *g;
	w->info.crowd = 0;
	return &w->info;
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
