/* SPDX-License-Identifier: MIT */
/*
 * view_groups.c - the landing screen: goroutines that share a spawn site, a stack or a state, as
 * one row each, and a closer look at the selected group below. A flat list says nothing when there
 * are 100,000; a few groups always do.
 */
#include "groups.h"
#include "util.h"
#include "view_box.h"

#include <stdlib.h>
#include <string.h>

enum {
	C_COUNT,
	C_MARK,
	C_RATE,
	C_STATES,
	C_WAIT,
	C_OLDEST,
	C_MEM,
	C_HEAP,
	C_VERDICT,
	C_TREND,
	C_SITE,
	NCOLUMNS
};

enum { BAR = 8, TREND = 24 };

#define COLUMNS(site)                                                                              \
	{                                                                                          \
		[C_COUNT] = { "count", "COUNT", 9, 0, true, false }, [C_MARK] = { "mark", "+MARK", \
										  8,	  66,      \
										  true,	  false }, \
		[C_RATE] = { "rate", "/S", 7, 100, true, false }, [C_STATES] = { NULL,	"STATES",  \
										 BAR,	80,        \
										 false, false },   \
		[C_WAIT] = { "wait", "WAIT50", 7, 0, true, false }, [C_OLDEST] = { "oldest",       \
										   "OLDEST",       \
										   7,              \
										   0,              \
										   true,           \
										   false },        \
		[C_MEM] = { "mem", "STACK", 6, 90, true, false },                                  \
		[C_HEAP] = { "heap", "HEAP", 6, 90, true, false },                                 \
		[C_VERDICT] = { "verdict", "VERDICT", 8, 0, false, false }, [C_TREND] = { NULL,    \
											  "TREND", \
											  TREND,   \
											  140,     \
											  false,   \
											  false }, \
		[C_SITE] = { "site", site, 0, 0, false, true },                                    \
	}

static const struct column by_spawn[NCOLUMNS] = COLUMNS("SPAWN SITE");
static const struct column by_stack[NCOLUMNS] = COLUMNS("STACK AT");
static const struct column by_state[NCOLUMNS] = COLUMNS("STATE");

/* The column of the heap is there when it is counted. */
static void show_heap(struct model *m, bool known)
{
	view_table(m, VIEW_GROUPS)->hidden = known ? 0 : 1u << C_HEAP;
}

static void begin(struct model *m)
{
	show_heap(m, false);
}

static void new_frame(struct model *m, const struct frame *before)
{
	(void)before;
	show_heap(m, m->frame->snap->heap);
}

uint64_t groups_key(const void *ctx, size_t row)
{
	const struct model *m = ctx;

	return m->groups[row].key;
}

static int compare_names(const struct model *m, const struct group_row *a,
			 const struct group_row *b)
{
	static const enum goro_info_field by[] = {
		[GORO_BY_SPAWN] = GORO_F_SPAWN,
		[GORO_BY_STACK] = GORO_F_WHERE,
		[GORO_BY_STATE] = GORO_F_STATE,
		[GORO_BY_NONE] = GORO_F_GID,
	};
	const struct goro_info *g = m->frame->snap->g;

	return goro_field_compare(m->frame->names, &g[a->g->members[0]], &g[b->g->members[0]],
				  by[m->group_key]);
}

int groups_compare(const void *ctx, int column, const void *x, const void *y)
{
	const struct model *m = ctx;
	const struct group_row *a = x, *b = y;

	switch (column) {
	case C_MARK:
		return (a->since_mark > b->since_mark) - (a->since_mark < b->since_mark);
	case C_RATE:
		return (a->rate > b->rate) - (a->rate < b->rate);
	case C_WAIT:
		return compare_u64(a->g->median_wait_ns, b->g->median_wait_ns);
	case C_OLDEST:
		return compare_u64(a->g->oldest_wait_ns, b->g->oldest_wait_ns);
	case C_MEM:
		return compare_u64(a->g->stack_resident, b->g->stack_resident);
	case C_HEAP:
		return compare_u64(a->g->heap.bytes, b->g->heap.bytes);
	case C_VERDICT:
		return compare_u64(a->g->verdict, b->g->verdict);
	case C_SITE:
		return compare_names(m, a, b);
	default:
		return compare_u64(a->g->n, b->g->n);
	}
}

/* Which state the next letter of the bar is for: one each first, then by d'Hondt's method. */
static int next_share(const uint32_t *counts, const int *letters)
{
	double greatest = 0;
	int best = -1;

	for (int a = 0; a < GORO_NACTIVITIES; a++) {
		double share = (double)counts[a] / (letters[a] + 1);

		if (counts[a] && !letters[a])
			share += UINT32_MAX;
		if (share > greatest) {
			greatest = share;
			best = a;
		}
	}
	return best;
}

/* A letter for each share of the group, the commonest first; what is there gets at least one. */
static void states_bar(const struct group_row *row, struct cell_text *out)
{
	int letters[GORO_NACTIVITIES] = { 0 }, used = 0;

	for (int i = 0, a; i < BAR && (a = next_share(row->counts, letters)) >= 0; i++)
		letters[a]++;
	out->roles = out->role_room;
	for (;;) {
		int best = 0;

		for (int a = 1; a < GORO_NACTIVITIES; a++)
			if (letters[a] && (!letters[best] || row->counts[a] > row->counts[best]))
				best = a;
		if (!letters[best])
			break;
		for (; letters[best]; letters[best]--) {
			out->role_room[used] = (uint8_t)activity_roles[best];
			out->text[used++] = goro_activities[best].letter;
		}
	}
	out->text[used] = '\0';
}

static void wait_cell(uint64_t ns, struct cell_text *out)
{
	struct text t;

	strcpy(out->text, ns ? fmt_duration(&t, ns) : "-");
}

static void cell(const void *ctx, size_t row, int column, struct cell_text *out)
{
	const struct model *m = ctx;
	const struct group_row *r = &m->groups[row];
	struct text t;

	switch (column) {
	case C_COUNT:
		strcpy(out->text, fmt_count(&t, r->g->n));
		break;
	case C_MARK:
		strcpy(out->text, fmt_delta(&t, r->since_mark));
		out->role = r->since_mark > 0 ? ROLE_LIKELY : ROLE_DIM;
		break;
	case C_RATE:
		strcpy(out->text, fmt_rate(&t, r->rate));
		out->role = r->rate >= 0.05 ? ROLE_LIKELY : ROLE_DIM;
		break;
	case C_STATES:
		states_bar(r, out);
		break;
	case C_WAIT:
		wait_cell(r->g->median_wait_ns, out);
		break;
	case C_OLDEST:
		wait_cell(r->g->oldest_wait_ns, out);
		break;
	case C_MEM:
		strcpy(out->text, fmt_size(&t, r->g->stack_resident));
		break;
	case C_HEAP:
		strcpy(out->text, fmt_size(&t, r->g->heap.bytes));
		break;
	case C_VERDICT:
		strcpy(out->text, goro_verdict_name(r->g->verdict));
		out->role = verdict_role(r->g->verdict);
		break;
	case C_TREND:
		if (r->track)
			fmt_sparkline(out->text, sizeof(out->text), r->track->counts, r->track->n,
				      TREND, m->ascii);
		out->role = ROLE_RUN;
		break;
	case C_SITE:
		model_group_name(m, r, out->text, sizeof(out->text));
		break;
	}
}

/* ---- the selected group ---------------------------------------------------------------------- */

/* The most frequent stacks of the group; a goroutine without a stack counts by itself. */
static void top_stacks(struct model *m, const struct goro_group *g)
{
	struct group_detail *d = &m->detail;
	const struct goro_snapshot *snap = m->frame->snap;
	size_t none = snap->nstacks;
	uint32_t *count = xcalloc(none + 1, sizeof(*count));
	uint32_t *example = xcalloc(none + 1, sizeof(*example));

	for (size_t i = 0; i < g->nmembers; i++) {
		uint32_t id = snap->g[g->members[i]].stack_id;
		size_t slot = id < none ? id : none;

		if (!count[slot]) {
			d->nstacks++;
			example[slot] = g->members[i];
		}
		count[slot] += g->weights[i];
	}
	for (size_t k = 0; k < TOP_STACKS; k++) {
		size_t best = 0;

		for (size_t i = 1; i <= none; i++)
			if (count[i] > count[best])
				best = i;
		if (!count[best])
			break;
		d->stacks[k].example = &snap->g[example[best]];
		d->stacks[k].n = count[best];
		count[best] = 0;
	}
	free(count);
	free(example);
}

static void refresh(struct model *m)
{
	static const struct column *const columns[] = {
		[GORO_BY_SPAWN] = by_spawn,
		[GORO_BY_STACK] = by_stack,
		[GORO_BY_STATE] = by_state,
		[GORO_BY_NONE] = by_spawn,
	};
	const struct group_row *row;
	const struct goro_info *worst = NULL;

	view_table(m, VIEW_GROUPS)->columns = columns[m->group_key];
	memset(&m->detail, 0, sizeof(m->detail));
	row = model_selected_group(m);
	if (!row || !m->frame)
		return;
	top_stacks(m, row->g);
	for (size_t i = 0; i < row->g->nmembers; i++) {
		const struct goro_info *g = &m->frame->snap->g[row->g->members[i]];

		if (!worst || g->verdict > worst->verdict)
			worst = g;
	}
	if (worst && worst->verdict && m->frame->verdicts && worst->finding < m->frame->verdicts->n)
		m->detail.finding = &m->frame->verdicts->findings[worst->finding];
}

static void draw_detail(const struct model *m, struct screen *s, int y, int h)
{
	const struct group_row *row = model_selected_group(m);
	const struct group_detail *d = &m->detail;
	char name[256], title[384], text[1024], label[64];
	struct text t, t2;

	if (!row || h < 4)
		return;
	model_group_name(m, row, name, sizeof(name));
	snprintf(title, sizeof(title), "%.200s: %s G, %s stack%s", name, fmt_count(&t, row->g->n),
		 fmt_count(&t2, d->nstacks), d->nstacks == 1 ? "" : "s");
	struct box b = box_begin(s, y, h, title);
	for (size_t i = 0; i < TOP_STACKS && d->stacks[i].n; i++) {
		snprintf(label, sizeof(label), "%9s %-6s  ", fmt_count(&t, d->stacks[i].n),
			 goro_activities[goro_activity_of(d->stacks[i].example->letter)].name);
		stack_line(m, d->stacks[i].example, text, sizeof(text));
		box_line(&b, ROLE_TEXT, label, text);
	}
	if (d->finding)
		box_text(&b,
			 d->finding->verdict == GORO_VERDICT_LEAKED ? ROLE_LIKELY : ROLE_SUSPECT,
			 goro_verdict_name(d->finding->verdict),
			 d->finding->evidence ? d->finding->evidence : "");
	const struct goro_spawn_name *sp =
		goro_names_spawn(m->frame->names, &m->frame->snap->g[row->g->members[0]]);
	if (m->group_key == GORO_BY_SPAWN && sp && sp->known) {
		goro_place_text(&sp->at, text, sizeof(text));
		box_line(&b, ROLE_TEXT, "spawned  ", text);
	}
	if (row->track) {
		size_t width = b.w > 40 ? (size_t)b.w - 30 : 10;

		fmt_sparkline(text, sizeof(text), row->track->counts, row->track->n, width,
			      s->ascii);
		box_line(&b, ROLE_RUN, "count    ", text);
	}
}

/* How many lines the box can use. */
static int detail_lines(const struct model *m, int w)
{
	const struct goro_finding *f = m->detail.finding;
	int n = 2 + 2;

	for (size_t i = 0; i < TOP_STACKS && m->detail.stacks[i].n; i++)
		n++;
	return n + (f ? box_text_lines(f->evidence, w) : 0);
}

static int table_lines(const struct model *m, int w, int h)
{
	return box_split(m->tables[VIEW_GROUPS].n, detail_lines(m, w), h);
}

static void layout(struct model *m, int w, int h)
{
	table_fit(view_table(m, VIEW_GROUPS), table_lines(m, w, h) - 1);
}

static void draw(const struct model *m, struct screen *s, int y, int h)
{
	const struct table *t = &m->tables[VIEW_GROUPS];
	int lines = table_lines(m, s->w, h);

	table_draw(t, s, y, lines, cell, m);
	if (!t->n)
		screen_put(s, y + 1, 2, s->w - 2, ROLE_DIM,
			   m->filter ? "no goroutine matches the filter: \\ clears it"
				     : "no goroutines");
	if (h > lines)
		draw_detail(m, s, y + lines, h - lines);
}

static void status(const struct model *m, char *buf, size_t size)
{
	struct text shown, all, groups;
	size_t n = m->tables[VIEW_GROUPS].n;
	char rest[256];

	sort_and_filter(m, rest, sizeof(rest));
	snprintf(buf, size, "%s group%s, %s%s%s G%s", fmt_count(&groups, n), n == 1 ? "" : "s",
		 fmt_count(&shown, m->nkept), m->filter ? " of " : "",
		 m->filter ? fmt_count(&all, m->frame->n) : "", rest);
}

static void title(const struct model *m, char *buf, size_t size)
{
	const struct mark *mark = groups_mark(m);
	int64_t ago = m->frame && mark->set ? m->frame->snap->time - mark->time : 0;
	struct text t;

	if (ago < NSEC_PER_SEC)
		snprintf(buf, size, "by: %s  mark: now", group_key_name(m->group_key));
	else
		snprintf(buf, size, "by: %s  mark: %s ago", group_key_name(m->group_key),
			 fmt_duration(&t, (uint64_t)(ago / NSEC_PER_SEC * NSEC_PER_SEC)));
}

static void row_text(const struct model *m, size_t row, char *buf, size_t size)
{
	model_group_name(m, &m->groups[row], buf, size);
}

static void open_row(struct model *m, size_t row)
{
	(void)row;
	model_open_group(m);
}

const struct view_ops groups_ops = {
	.tab = "Groups",
	.begin = begin,
	.new_frame = new_frame,
	.columns = by_spawn,
	.ncolumns = NCOLUMNS,
	.sort = C_COUNT,
	.cell = cell,
	.key = groups_key,
	.row_text = row_text,
	.open = open_row,
	.title = title,
	.refresh = refresh,
	.layout = layout,
	.draw = draw,
	.status = status,
};
