/* SPDX-License-Identifier: MIT */
/*
 * park_memo.c - see park_memo.h. It holds copies, because a snapshot is its owner's to free.
 */
#include "park_memo.h"

#include <goro_introspect.h>
#include <stdlib.h>
#include <string.h>

void park_memo_rewind(struct park_memo *m)
{
	m->cursor = 0;
	m->looks++;
	m->last_steady = 0;
	if (m->nobjects)
		memset(m->steady, 0, m->nobjects * sizeof *m->steady);
	for (size_t i = 0; i < m->nstacks; i++)
		m->now[i] = GORO_NO_STACK;
}

const struct parked *park_memo_find(struct park_memo *m, const struct goro_info *g)
{
	const struct parked *p;

	while (m->cursor < m->n && m->v[m->cursor].record < g->record)
		m->cursor++;
	if (m->cursor == m->n)
		return NULL;
	p = &m->v[m->cursor];
	if (p->record != g->record || g->state != GORO_STATE_WAITING || p->id != g->id ||
	    p->park_seq != g->park_seq || p->sp != g->sp || p->reason != g->reason ||
	    p->wait_object != g->wait_object)
		return NULL;
	return p;
}

/* Stacks that lie close to each other take turns together: their pages are looked up in one go. */
static bool is_due(const struct park_memo *m, const struct goro_info *g)
{
	return ((g->stack_lo >> 24) + m->looks) % PARK_MEMO_LOOKS == 0;
}

static const struct goro_object *find_object(const struct park_memo *m, uint64_t address)
{
	const struct goro_object *lo = m->objects, *end = m->objects + m->nobjects;

	while (lo < end) {
		const struct goro_object *mid = lo + (end - lo) / 2;

		if (mid->address == address)
			return mid;
		if (mid->address < address)
			lo = mid + 1;
		else
			end = mid;
	}
	return NULL;
}

static void mark_steady(struct park_memo *m, const struct goro_wait *w)
{
	const struct goro_object *o;

	if (w->wait_class != GORO_CLASS_CHAN || w->object == m->last_steady)
		return;
	m->last_steady = w->object;
	o = find_object(m, w->object);
	if (o)
		m->steady[o - m->objects] = true;
}

void park_memo_objects(struct park_memo *m, struct goro_snapshot *snap)
{
	size_t at = 0;

	for (size_t i = 0; i < snap->nobjects; i++) {
		struct goro_object *o = &snap->objects[i];
		uint32_t nwaiters = o->nwaiters;

		while (at < m->nobjects && m->objects[at].address < o->address)
			at++;
		if (at == m->nobjects)
			return;
		if (m->objects[at].address != o->address || !m->steady[at] ||
		    o->wait_class != GORO_CLASS_CHAN)
			continue;
		*o = m->objects[at];
		o->nwaiters = nwaiters;
	}
}

void park_memo_reuse(struct park_memo *m, const struct parked *p, struct snapshot_builder *b,
		     uint32_t g)
{
	uint32_t *now = &m->now[p->stack];

	if (*now == GORO_NO_STACK)
		*now = snapshot_intern_stack(b, &m->stacks[p->stack],
					     m->pcs + m->stacks[p->stack].first);
	b->snap->g[g].stack_id = *now;
	if (!is_due(m, &b->snap->g[g]))
		b->snap->g[g].stack_resident = p->stack_resident;
	for (uint32_t i = 0; i < p->nwaits; i++) {
		snapshot_add_wait(b, g, &m->waits[p->waits_first + i]);
		mark_steady(m, &m->waits[p->waits_first + i]);
	}
}

static void *copy(const void *from, size_t n, size_t size)
{
	void *to = malloc(n * size + 1);

	if (to && n)
		memcpy(to, from, n * size);
	return to;
}

static bool save_objects(struct park_memo *m, const struct goro_snapshot *snap)
{
	m->objects = calloc(snap->nobjects + 1, sizeof *m->objects);
	m->steady = calloc(snap->nobjects + 1, sizeof *m->steady);
	if (!m->objects || !m->steady)
		return false;
	for (size_t i = 0; i < snap->nobjects; i++) {
		if (snap->objects[i].valid && snap->objects[i].wait_class == GORO_CLASS_CHAN)
			m->objects[m->nobjects++] = snap->objects[i];
	}
	return true;
}

/* Without memory there is no memo, and everything is read again. */
void park_memo_save(struct park_memo *m, const struct goro_snapshot *snap)
{
	unsigned looks = m->looks;
	bool objects;

	park_memo_free(m);
	m->looks = looks;
	m->v = calloc(snap->ng + 1, sizeof *m->v);
	m->stacks = copy(snap->stacks, snap->nstacks, sizeof *m->stacks);
	m->pcs = copy(snap->pcs, snap->npcs, sizeof *m->pcs);
	m->waits = copy(snap->waits, snap->nwaits, sizeof *m->waits);
	m->now = calloc(snap->nstacks + 1, sizeof *m->now);
	objects = save_objects(m, snap);
	if (!m->v || !m->stacks || !m->pcs || !m->waits || !m->now || !objects) {
		park_memo_free(m);
		return;
	}
	m->nstacks = snap->nstacks;
	for (size_t i = 0; i < snap->ng; i++) {
		const struct goro_info *g = &snap->g[i];

		if (!g->id || g->state != GORO_STATE_WAITING || g->torn ||
		    g->stack_id == GORO_NO_STACK || !snap->stacks[g->stack_id].complete)
			continue;
		m->v[m->n++] = (struct parked){
			.record = g->record,
			.id = g->id,
			.sp = g->sp,
			.wait_object = g->wait_object,
			.park_seq = g->park_seq,
			.stack = g->stack_id,
			.waits_first = g->waits_first,
			.nwaits = g->nwaits,
			.stack_resident = g->stack_resident,
			.reason = g->reason,
		};
	}
}

void park_memo_free(struct park_memo *m)
{
	free(m->v);
	free(m->stacks);
	free(m->pcs);
	free(m->waits);
	free(m->objects);
	free(m->steady);
	free(m->now);
	*m = (struct park_memo){ 0 };
}
