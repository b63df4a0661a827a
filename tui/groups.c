/* SPDX-License-Identifier: MIT */
/*
 * groups.c - groups as rows: what a filter leaves of them, how they changed since the mark and over
 * the last ticks, in which order they stand.
 */
#define _GNU_SOURCE
#include "groups.h"
#include "util.h"
#include "view.h"

#include <stdlib.h>
#include <string.h>

void groups_free(struct model *m)
{
	goro_groups_free(m->raw_groups, m->nraw_groups);
	free(m->groups);
	m->raw_groups = NULL;
	m->groups = NULL;
	m->nraw_groups = view_table(m, VIEW_GROUPS)->n = 0;
}

/* A stack's index changes from frame to frame, its hash does not. */
static uint64_t stable_key(const struct frame *f, enum goro_group_key kind,
			   const struct goro_group *g)
{
	const struct goro_stack_names *s;

	if (kind != GORO_BY_STACK || !g->n)
		return g->key;
	s = goro_names_stack(f->names, &f->snap->g[g->members[0]]);
	return s ? s->hash : 0;
}

static int by_wait(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* What the filter leaves of a group; the sums are made again. */
static void thin_out(const struct frame *f, struct goro_group *g, const bool *keep)
{
	size_t n = 0;
	uint64_t *waits;

	for (size_t i = 0; i < g->n; i++)
		if (keep[g->members[i]])
			g->members[n++] = g->members[i];
	if (n == g->n)
		return;
	g->n = n;
	g->oldest_wait_ns = g->median_wait_ns = g->stack_resident = 0;
	g->verdict = GORO_VERDICT_OK;
	g->heap = (struct goro_heap){ 0 };
	waits = xcalloc(n, sizeof(*waits));
	for (size_t i = 0; i < n; i++) {
		const struct goro_info *info = &f->snap->g[g->members[i]];

		waits[i] = info->wait_ns;
		g->stack_resident += info->stack_resident;
		if (f->snap->heap)
			goro_heap_add(&g->heap, &f->snap->heap[g->members[i]]);
		if (info->verdict > g->verdict)
			g->verdict = info->verdict;
	}
	if (n) {
		qsort(waits, n, sizeof(*waits), by_wait);
		g->oldest_wait_ns = waits[n - 1];
		g->median_wait_ns = waits[n / 2];
	}
	free(waits);
}

static int by_key(const void *a, const void *b)
{
	const struct mark_row *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

/* Count the marked frame's groups by the key and the filter that hold now. */
void groups_count_mark(struct model *m)
{
	struct goro_group *groups;
	bool *keep = NULL;
	size_t n;

	free(m->marks);
	m->marks = NULL;
	m->nmarks = 0;
	if (!m->mark)
		return;
	if (m->filter) {
		keep = xcalloc(m->mark->snap->ng, sizeof(*keep));
		goro_filter_apply(m->filter, m->mark->names, keep);
	}
	groups = goro_groups(m->mark->snap, m->group_key, &n);
	m->marks = xcalloc(n, sizeof(*m->marks));
	for (size_t i = 0; i < n; i++) {
		uint64_t key = stable_key(m->mark, m->group_key, &groups[i]);

		if (keep)
			thin_out(m->mark, &groups[i], keep);
		m->marks[m->nmarks++] = (struct mark_row){ key, groups[i].n };
	}
	qsort(m->marks, m->nmarks, sizeof(*m->marks), by_key);
	goro_groups_free(groups, n);
	free(keep);
}

static size_t marked(const struct model *m, uint64_t key)
{
	const struct mark_row want = { .key = key }, *r;

	if (!m->nmarks)
		return 0;
	r = bsearch(&want, m->marks, m->nmarks, sizeof(want), by_key);
	return r ? r->n : 0;
}

static int by_track_key(const void *a, const void *b)
{
	const struct track *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

static struct track *find_track(struct model *m, uint64_t key)
{
	struct track want = { .key = key };

	if (!m->ntracks)
		return NULL;
	return bsearch(&want, m->tracks, m->ntracks, sizeof(want), by_track_key);
}

void ring_push(uint32_t *ring, uint32_t *n, uint32_t value)
{
	if (*n == HISTORY)
		memmove(ring, ring + 1, (HISTORY - 1) * sizeof(*ring));
	else
		++*n;
	ring[*n - 1] = value;
}

/* One more tick for the biggest groups; a group that has gone drops to zero and then out. */
void groups_track(struct model *m)
{
	enum { MOST = 4096 };
	size_t known = m->ntracks, kept = 0, n = m->tables[VIEW_GROUPS].n;

	if (n > MOST)
		n = MOST;
	for (size_t i = 0; i < n; i++) {
		const struct group_row *row = &m->groups[i];
		struct track *t;

		m->ntracks = known;
		t = find_track(m, row->key);
		if (t) {
			ring_push(t->counts, &t->n, (uint32_t)row->g->n);
			t->seen = m->ticks;
			continue;
		}
		m->tracks = xrealloc(m->tracks, known + kept + 1, sizeof(*m->tracks));
		m->tracks[known + kept++] = (struct track){
			.key = row->key, .counts = { (uint32_t)row->g->n }, .n = 1, .seen = m->ticks
		};
	}
	m->ntracks = known + kept;
	kept = 0;
	for (size_t i = 0; i < m->ntracks; i++) {
		struct track *t = &m->tracks[i];

		if (t->seen + TRACK_TICKS < m->ticks)
			continue;
		if (t->seen != m->ticks)
			ring_push(t->counts, &t->n, 0);
		m->tracks[kept++] = *t;
	}
	m->ntracks = kept;
	if (kept)
		qsort(m->tracks, kept, sizeof(*m->tracks), by_track_key);
}

/* Change per second of a series whose last value is the newest tick's. */
double ring_rate(const struct model *m, const uint32_t *counts, uint32_t n)
{
	uint32_t span = n < TRACK_TICKS ? n : TRACK_TICKS;
	int64_t time;

	if (span < 2 || m->nhistory < span)
		return 0;
	time = m->times[m->nhistory - 1] - m->times[m->nhistory - span];
	if (time <= 0)
		return 0;
	return ((double)counts[n - 1] - (double)counts[n - span]) * (double)NSEC_PER_SEC /
	       (double)time;
}

/* Among equals the worst is on top. */
static int worst_first(const void *ctx, int column, const void *a, const void *b)
{
	const struct group_row *x = a, *y = b;
	int order = compare_u64(y->g->verdict, x->g->verdict);

	(void)ctx;
	(void)column;
	return order ? order : compare_u64(x->key, y->key);
}

void groups_sort(struct model *m)
{
	struct table *t = view_table(m, VIEW_GROUPS);

	table_sort(t, m->groups, sizeof(*m->groups), groups_compare, worst_first, m);
	/* On the landing screen nobody has asked for the group that came first. */
	t->keyed = t->chosen;
	table_follow(t, groups_key, m);
}

void groups_fill(struct model *m)
{
	struct frame *f = m->frame;
	size_t used = 0;

	groups_free(m);
	if (!f)
		return;
	m->raw_groups = goro_groups(f->snap, m->group_key, &m->nraw_groups);
	m->groups = xcalloc(m->nraw_groups, sizeof(*m->groups));
	for (size_t i = 0; i < m->nraw_groups; i++) {
		struct goro_group *g = &m->raw_groups[i];
		struct group_row *row = &m->groups[used];

		row->key = stable_key(f, m->group_key, g);
		if (m->keep)
			thin_out(f, g, m->keep);
		if (!g->n)
			continue;
		row->g = g;
		for (size_t k = 0; k < g->n; k++)
			row->counts[goro_activity_of(f->snap->g[g->members[k]].letter)]++;
		row->since_mark = (int64_t)g->n - (int64_t)marked(m, row->key);
		used++;
	}
	m->tables[VIEW_GROUPS].n = used;
}

void groups_rates(struct model *m)
{
	for (size_t i = 0; i < m->tables[VIEW_GROUPS].n; i++) {
		struct group_row *row = &m->groups[i];

		row->track = find_track(m, row->key);
		row->rate = row->track ? ring_rate(m, row->track->counts, row->track->n) : 0;
	}
}
