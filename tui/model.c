/* SPDX-License-Identifier: MIT */
/*
 * model.c - from frames to rows.
 *
 * Everything derived (groups, list, counts) is computed when a frame arrives or a choice changes,
 * never while drawing. Of 100,000 rows only indices are sorted; text is made by the views, for the
 * lines on the screen.
 */
#define _GNU_SOURCE
#include "model.h"
#include "groups.h"
#include "util.h"
#include "view.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void model_init(struct model *m, bool ascii)
{
	memset(m, 0, sizeof(*m));
	m->ascii = ascii;
	m->interval_ns = NSEC_PER_SEC;
	m->group_key = GORO_BY_SPAWN;
	views_begin(m);
}

void model_free(struct model *m)
{
	views_end(m);
	groups_free(m);
	listing_free(m->listing);
	goro_filter_free(m->filter);
	goro_error_free(m->explain);
	source_free(&m->source);
	free(m->read_error);
	free(m->target);
	free(m->switch_rates);
	free(m->keep);
	free(m->marks);
	mark_free(&m->mark);
	mark_free(&m->mark_filtered);
	free(m->tracks);
	free(m->list);
}

const char *group_key_name(enum goro_group_key key)
{
	static const char *const names[] = { "spawn", "stack", "state", "none" };

	return names[key];
}

/* ---- list ------------------------------------------------------------------------------------ */

uint64_t finding_key(const struct frame *f, const struct goro_finding *finding)
{
	const struct goro_info *first = &f->snap->g[finding->members[0]];
	const struct goro_stack_names *s = goro_names_stack(f->names, first);
	uint64_t key = finding->site * 0x9e3779b97f4a7c15u ^ (s ? s->hash : first->id);

	/* The members of a cycle stay together, those of a site come and go. */
	if (finding->proof == GORO_PROOF_CYCLE)
		key ^= first->id;
	return key * 0xff51afd7ed558ccdu + ((uint64_t)finding->verdict << 8 | finding->proof);
}

/* By place: does it wait for that object? */
static bool *waiters_of(const struct model *m, uint64_t object)
{
	struct goro_waits *waits = or_die(goro_waits(m->frame->snap, NULL));
	bool *yes = xcalloc(m->frame->n, sizeof(*yes));

	for (size_t i = 0; i < waits->n; i++)
		if (waits->w[i].object == object)
			yes[waits->w[i].place] = true;
	goro_waits_free(waits);
	return yes;
}

static bool member(const struct model *m, uint32_t place, const struct goro_info *g,
		   const bool *waiters)
{
	const struct goro_verdicts *v = m->frame->verdicts;
	const struct goro_stack_names *s;

	if (!m->in_group)
		return true;
	if (m->in_group_of == OF_OBJECT)
		return waiters[place];
	if (m->in_group_of == OF_FINDING)
		return v && g->finding < v->n &&
		       finding_key(m->frame, &v->findings[g->finding]) == m->in_group_key;
	if (m->in_group_kind != GORO_BY_STACK)
		return goro_group_key_of(m->frame->snap, g, m->in_group_kind) == m->in_group_key;
	s = goro_names_stack(m->frame->names, g);
	return (s ? s->hash : 0) == m->in_group_key;
}

static int by_column(const void *ctx, int column, const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	const struct model *m = ctx;
	struct goro_info a_room, b_room;

	return goro_field_compare(m->frame->names, goro_snapshot_at(m->frame->snap, *x, &a_room),
				  goro_snapshot_at(m->frame->snap, *y, &b_room),
				  list_field(column));
}

static void forget_list(struct model *m)
{
	free(m->list);
	m->list = NULL;
	view_table(m, VIEW_LIST)->n = 0;
}

void model_list(struct model *m)
{
	struct table *t = view_table(m, VIEW_LIST);
	const struct goro_info *g;
	size_t n = 0;

	if (m->list || !m->frame)
		return;
	struct goro_walk w = { .snap = m->frame->snap };
	bool *waiters = m->in_group && m->in_group_of == OF_OBJECT ? waiters_of(m, m->in_group_key)
								   : NULL;
	m->list = xcalloc(m->frame->n, sizeof(*m->list));
	while ((g = goro_snapshot_next(&w))) {
		uint32_t place = goro_walk_place(&w);

		if ((!m->keep || m->keep[place]) && member(m, place, g, waiters))
			m->list[n++] = place;
	}
	free(waiters);
	t->n = n;
	/* The walk was by rising id already. */
	if (!(list_field(t->sort) == GORO_F_GID && table_rising(t)))
		table_sort(t, m->list, sizeof(*m->list), by_column, NULL, m);
	table_follow(t, list_key, m);
}

/* ---- frames ---------------------------------------------------------------------------------- */

static void fill_keep(struct model *m)
{
	free(m->keep);
	m->keep = NULL;
	if (!m->frame)
		return;
	m->nkept = m->frame->n;
	if (!m->filter)
		return;
	m->keep = xcalloc(m->frame->n, sizeof(*m->keep));
	m->nkept = goro_filter_apply(m->filter, m->frame->names, m->keep);
}

static void fill_switch_rates(struct model *m, const struct frame *old)
{
	const struct goro_snapshot *snap = m->frame->snap;
	double seconds = 0;

	if (old)
		seconds = (double)(snap->time - old->snap->time) / (double)NSEC_PER_SEC;
	m->switch_rates = xrealloc(m->switch_rates, snap->nprocs, sizeof(*m->switch_rates));
	for (size_t i = 0; i < snap->nprocs; i++) {
		m->switch_rates[i] = 0;
		if (!old || seconds <= 0 || i >= old->snap->nprocs ||
		    snap->procs[i].nswitch < old->snap->procs[i].nswitch)
			continue;
		m->switch_rates[i] =
			(double)(snap->procs[i].nswitch - old->snap->procs[i].nswitch) / seconds;
	}
}

static void push_history(struct model *m)
{
	uint32_t n = m->nhistory;

	ring_push(m->history, &m->nhistory, (uint32_t)m->frame->n);
	if (n == HISTORY)
		memmove(m->times, m->times + 1, (HISTORY - 1) * sizeof(*m->times));
	m->times[m->nhistory - 1] = m->frame->snap->time;
	m->rate = ring_rate(m, m->history, m->nhistory);
}

struct frame *model_frame(struct model *m, struct frame *f)
{
	struct frame *old = m->frame;

	m->frame = f;
	forget_list(m);
	m->version++;
	m->ticks++;
	free(m->read_error);
	m->read_error = NULL;
	if (old && f->snap->time < old->snap->time) { /* a recording was stepped back */
		m->nhistory = 0;
		m->ntracks = 0;
	}
	fill_switch_rates(m, old);
	push_history(m);
	views_frame(m, old);
	return old;
}

void model_rows(struct model *m)
{
	fill_keep(m);
	if (!m->mark.set)
		groups_set_mark(m);
	else if (!groups_mark(m)->set)
		groups_filter_mark(m);
	groups_fill(m);
	groups_track(m);
	groups_rates(m);
	groups_sort(m);
	forget_list(m);
	view_new_frame(m);
}

struct frame *model_drop_frame(struct model *m)
{
	struct frame *f = m->frame;

	m->frame = NULL;
	mark_free(&m->mark);
	mark_free(&m->mark_filtered);
	m->version++;
	views_drop(m);
	groups_free(m);
	forget_list(m);
	free(m->keep);
	m->keep = NULL;
	free(m->marks);
	m->marks = NULL;
	m->nmarks = 0;
	m->ntracks = 0;
	m->nhistory = 0;
	m->in_group = m->paused = m->proving = false;
	table_home(view_table(m, VIEW_GROUPS));
	table_home(view_table(m, VIEW_LIST));
	m->gid = 0;
	free(m->read_error);
	m->read_error = NULL;
	return f;
}

void model_refresh(struct model *m)
{
	m->version++;
	fill_keep(m);
	groups_fill(m);
	groups_rates(m);
	groups_sort(m);
	forget_list(m);
	view_new_frame(m);
}

void model_set_filter(struct model *m, struct goro_filter *f)
{
	goro_filter_free(m->filter);
	m->filter = f;
	m->ntracks = 0;
	fill_keep(m);
	groups_filter_mark(m);
	model_refresh(m);
}

void model_set_group_key(struct model *m, enum goro_group_key key)
{
	m->group_key = key;
	m->ntracks = 0;
	table_home(view_table(m, VIEW_GROUPS));
	model_refresh(m);
}

void model_mark(struct model *m)
{
	groups_set_mark(m);
	model_refresh(m);
}

void model_listing(struct model *m, struct listing *l)
{
	struct table *t = view_table(m, VIEW_PICKER);

	listing_free(m->listing);
	m->listing = l;
	t->n = l->n;
	table_follow(t, picker_key, m);
}

/* ---- choices --------------------------------------------------------------------------------- */

struct table *model_table(struct model *m)
{
	return view_traits(m->view) & HAS_TABLE ? view_table(m, m->view) : NULL;
}

void model_note_selection(struct model *m)
{
	struct table *t = model_table(m);

	if (t)
		table_choose(t, view_ops(m->view)->key, m);
	view_new_frame(m);
}

const struct group_row *model_selected_group(const struct model *m)
{
	const struct table *t = &m->tables[VIEW_GROUPS];

	return t->selected < t->n ? &m->groups[t->selected] : NULL;
}

const struct goro_info *model_goroutine(const struct model *m, uint64_t id, struct goro_info *room)
{
	return m->frame ? goro_snapshot_get(m->frame->snap, id, room) : NULL;
}

void model_group_name(const struct model *m, const struct group_row *row, char *buf, size_t size)
{
	const struct goro_info *first = &m->frame->snap->g[row->g->members[0]];

	switch (m->group_key) {
	case GORO_BY_SPAWN:
		goro_spawn_text(goro_names_spawn(m->frame->names, first), buf, size);
		return;
	case GORO_BY_STACK:
		goro_place_text(goro_names_where(m->frame->names, first), buf, size);
		return;
	case GORO_BY_STATE:
		snprintf(buf, size, "%s", goro_state_text(first));
		return;
	case GORO_BY_NONE:
		snprintf(buf, size, "g%" PRIu64, first->id);
		return;
	}
	buf[0] = '\0';
}

void model_open_members(struct model *m, enum members of, uint64_t key, const char *name)
{
	m->in_group = true;
	m->in_group_of = of;
	m->in_group_key = key;
	snprintf(m->in_group_name, sizeof(m->in_group_name), "%s", name);
	table_home(view_table(m, VIEW_LIST));
	forget_list(m);
	model_go(m, VIEW_LIST);
	view_new_frame(m);
}

bool model_open_group(struct model *m)
{
	const struct group_row *row = model_selected_group(m);
	char name[256];

	if (!row)
		return false;
	m->in_group_kind = m->group_key;
	model_group_name(m, row, name, sizeof(name));
	model_open_members(m, OF_GROUP, row->key, name);
	return true;
}

void model_open_goroutine(struct model *m, uint64_t id)
{
	m->gid = id;
	m->frame_selected = 0;
	m->runtime_frames = false;
	model_go(m, VIEW_GOROUTINE);
	view_new_frame(m);
}

void model_go(struct model *m, enum view_id view)
{
	if (m->view == view)
		return;
	if (m->nback == (int)ARRAY_LEN(m->back)) {
		memmove(m->back, m->back + 1, sizeof(m->back) - sizeof(m->back[0]));
		m->nback--;
	}
	m->back[m->nback++] = m->view;
	m->view = view;
	view_new_frame(m);
}

bool model_back(struct model *m)
{
	if (!m->nback)
		return false;
	m->view = m->back[--m->nback];
	view_new_frame(m);
	return true;
}

void model_say(struct model *m, bool bad, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->message, sizeof(m->message), fmt, ap);
	va_end(ap);
	m->message_bad = bad;
}

/* ---- search ---------------------------------------------------------------------------------- */

bool model_search(struct model *m, size_t from, int step)
{
	struct table *t = model_table(m);
	char text[4096];
	size_t row = from;

	if (!t || !t->n || !m->search[0])
		return false;
	for (size_t tries = 0; tries < t->n; tries++) {
		row = (row + t->n) % t->n;
		view_ops(m->view)->row_text(m, row, text, sizeof(text));
		if (goro_text_contains(text, m->search)) {
			t->selected = row;
			model_note_selection(m);
			return true;
		}
		row = step > 0 ? row + 1 : row + t->n - 1;
	}
	return false;
}
