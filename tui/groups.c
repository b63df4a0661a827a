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
static uint64_t stack_key(const struct frame *f, const struct goro_info *g)
{
	const struct goro_stack_names *s = goro_names_stack(f->names, g);

	return s ? s->hash : 0;
}

static uint64_t stable_key(const struct frame *f, enum goro_group_key kind,
			   const struct goro_group *g)
{
	return kind == GORO_BY_STACK ? stack_key(f, &f->snap->g[g->members[0]]) : g->key;
}

/* ---- the mark -------------------------------------------------------------------------------- */

static int by_all_keys(const void *a, const void *b)
{
	const struct marked *x = a, *y = b;

	for (int k = 0; k < NMARK_KEYS; k++)
		if (x->keys[k] != y->keys[k])
			return x->keys[k] < y->keys[k] ? -1 : 1;
	return 0;
}

/* The frame's goroutines that the filter keeps, counted by all keys at once. */
static void count_all(struct model *m, struct mark *mark)
{
	struct frame *f = m->frame;
	struct goro_group *groups;
	size_t n, used = 0;

	mark_free(mark);
	if (!f)
		return;
	mark->set = true;
	mark->time = f->snap->time;
	/* Those of one stack, apart by where they were started and what they do. */
	groups = goro_groups(f->snap, GORO_BY_STACK, m->keep, &n);
	for (size_t i = 0; i < n; i++)
		used += groups[i].nmembers;
	mark->v = xcalloc(used, sizeof(*mark->v));
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < groups[i].nmembers; k++) {
			const struct goro_info *g = &f->snap->g[groups[i].members[k]];

			mark->v[mark->n++] = (struct marked){
				.keys = { [GORO_BY_SPAWN] =
						  goro_group_key_of(f->snap, g, GORO_BY_SPAWN),
					  [GORO_BY_STACK] = stack_key(f, g),
					  [GORO_BY_STATE] =
						  goro_group_key_of(f->snap, g, GORO_BY_STATE) },
				.n = groups[i].weights[k],
			};
		}
	}
	goro_groups_free(groups, n);
	if (!mark->n)
		return;
	qsort(mark->v, mark->n, sizeof(*mark->v), by_all_keys);
	used = 0;
	for (size_t i = 1; i < mark->n; i++) {
		if (by_all_keys(&mark->v[used], &mark->v[i]) == 0)
			mark->v[used].n += mark->v[i].n;
		else
			mark->v[++used] = mark->v[i];
	}
	mark->n = used + 1;
	mark->v = xrealloc(mark->v, mark->n, sizeof(*mark->v));
}

void mark_free(struct mark *mark)
{
	free(mark->v);
	*mark = (struct mark){ .n = 0 };
}

const struct mark *groups_mark(const struct model *m)
{
	return m->filter ? &m->mark_filtered : &m->mark;
}

void groups_set_mark(struct model *m)
{
	if (m->filter) {
		bool *keep = m->keep;

		count_all(m, &m->mark_filtered);
		m->keep = NULL;
		count_all(m, &m->mark);
		m->keep = keep;
	} else {
		count_all(m, &m->mark);
	}
}

void groups_filter_mark(struct model *m)
{
	if (m->filter)
		count_all(m, &m->mark_filtered);
	else
		mark_free(&m->mark_filtered);
}

static int by_key(const void *a, const void *b)
{
	const struct mark_row *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

/* What was marked, by the key that holds now. */
static void fill_marks(struct model *m)
{
	const struct mark *mark = groups_mark(m);
	size_t used = 0;

	free(m->marks);
	m->marks = xcalloc(mark->n, sizeof(*m->marks));
	for (size_t i = 0; i < mark->n; i++)
		m->marks[i] = (struct mark_row){ mark->v[i].keys[m->group_key], mark->v[i].n };
	if (mark->n)
		qsort(m->marks, mark->n, sizeof(*m->marks), by_key);
	for (size_t i = 1; i < mark->n; i++) {
		if (m->marks[used].key == m->marks[i].key)
			m->marks[used].n += m->marks[i].n;
		else
			m->marks[++used] = m->marks[i];
	}
	m->nmarks = mark->n ? used + 1 : 0;
}

/* How many were marked of one group. */
static size_t marked(const struct model *m, uint64_t key)
{
	const struct mark_row want = { .key = key }, *r;

	if (!m->nmarks)
		return 0;
	r = bsearch(&want, m->marks, m->nmarks, sizeof(want), by_key);
	return r ? r->n : 0;
}

/* ---- the last ticks -------------------------------------------------------------------------- */

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

	groups_free(m);
	if (!f)
		return;
	fill_marks(m);
	m->raw_groups = goro_groups(f->snap, m->group_key, m->keep, &m->nraw_groups);
	m->groups = xcalloc(m->nraw_groups, sizeof(*m->groups));
	for (size_t i = 0; i < m->nraw_groups; i++) {
		struct goro_group *g = &m->raw_groups[i];
		struct group_row *row = &m->groups[i];

		row->key = stable_key(f, m->group_key, g);
		row->g = g;
		for (size_t k = 0; k < g->nmembers; k++) {
			char letter = f->snap->g[g->members[k]].letter;

			row->counts[goro_activity_of(letter)] += g->weights[k];
		}
		row->since_mark = (int64_t)g->n - (int64_t)marked(m, row->key);
	}
	m->tables[VIEW_GROUPS].n = m->nraw_groups;
}

void groups_rates(struct model *m)
{
	for (size_t i = 0; i < m->tables[VIEW_GROUPS].n; i++) {
		struct group_row *row = &m->groups[i];

		row->track = find_track(m, row->key);
		row->rate = row->track ? ring_rate(m, row->track->counts, row->track->n) : 0;
	}
}
