/* SPDX-License-Identifier: MIT */
/* view_list.c - one goroutine a row: all of them, or the members of one group. */
#include "util.h"
#include "view_box.h"

#include <inttypes.h>
#include <string.h>

enum {
	C_GID,
	C_STATE,
	C_FOR,
	C_ON,
	C_HELD,
	C_MEM,
	C_HEAP,
	C_WORKER,
	C_VERDICT,
	C_NAME,
	C_SPAWN,
	C_WHERE,
	NCOLUMNS
};

static const struct column columns[NCOLUMNS] = {
	[C_GID] = { "gid", "GID", 10, 0, true, true },
	[C_STATE] = { "state", "STATE", 6, 0, false, true },
	[C_FOR] = { "for", "FOR", 6, 0, true, false },
	[C_ON] = { "on", "WAITS ON", 34, 110, false, true },
	[C_HELD] = { "held", "HELD", 5, 70, true, false },
	[C_MEM] = { "mem", "STACK", 6, 76, true, false },
	[C_HEAP] = { "heap", "HEAP", 6, 76, true, false },
	[C_WORKER] = { "worker", "W", 4, 120, false, true },
	[C_VERDICT] = { "verdict", "VERDICT", 8, 0, false, false },
	[C_NAME] = { "name", "NAME", 20, 96, false, true },
	[C_SPAWN] = { "spawn", "SPAWN SITE", 40, 150, false, true },
	[C_WHERE] = { "where", "WHERE", 0, 0, false, true },
};

/* The heap has a column when it is counted, names when there are any. */
static void show(struct model *m, bool heap, bool names)
{
	view_table(m, VIEW_LIST)->hidden = (heap ? 0 : 1u << C_HEAP) | (names ? 0 : 1u << C_NAME);
}

static void begin(struct model *m)
{
	show(m, false, false);
}

static bool any_is_labelled(const struct goro_snapshot *snap)
{
	for (size_t i = 0; i < snap->ng; i++)
		if (snap->g[i].labelled)
			return true;
	return false;
}

static void new_frame(struct model *m, const struct frame *before)
{
	const struct goro_snapshot *snap = m->frame->snap;

	(void)before;
	show(m, snap->heap, any_is_labelled(snap));
}

static const struct goro_info *at(const struct model *m, size_t row, struct goro_info *room)
{
	return goro_snapshot_at(m->frame->snap, m->list[row], room);
}

uint64_t list_key(const void *ctx, size_t row)
{
	struct goro_info room;

	return at(ctx, row, &room)->id;
}

enum goro_info_field list_field(int column)
{
	static const enum goro_info_field of[] = {
		[C_GID] = GORO_F_GID,	      [C_STATE] = GORO_F_STATE, [C_FOR] = GORO_F_FOR,
		[C_ON] = GORO_F_ON,	      [C_HELD] = GORO_F_HELD,	[C_MEM] = GORO_F_MEM,
		[C_WORKER] = GORO_F_WORKER,   [C_SPAWN] = GORO_F_SPAWN, [C_WHERE] = GORO_F_WHERE,
		[C_VERDICT] = GORO_F_VERDICT, [C_HEAP] = GORO_F_HEAP,	[C_NAME] = GORO_F_NAME,
	};

	return of[column];
}

/* What it has set itself: a name, labels, or both. */
static void put_own(const struct model *m, const struct goro_info *g, struct cell_text *out)
{
	size_t n = strlen(out->text);

	if (n && n + 1 < sizeof(out->text))
		out->text[n++] = ' ';
	goro_field_text(m->frame->names, g, GORO_F_LABEL, out->text + n, sizeof(out->text) - n);
}

static void cell(const void *ctx, size_t row, int column, struct cell_text *out)
{
	const struct model *m = ctx;
	struct goro_info room;
	const struct goro_info *g = at(m, row, &room);

	goro_field_text(m->frame->names, g, list_field(column), out->text, sizeof(out->text));
	if (column == C_STATE)
		out->role = (enum role)activity_roles[goro_activity_of(g->letter)];
	else if (column == C_VERDICT)
		out->role = verdict_role(g->verdict);
	else if (column == C_NAME)
		put_own(m, g, out);
	if (column == C_WHERE && g->torn)
		strcpy(out->text, "(ran while it was read)");
	else if (column == C_WHERE && !goro_names_where(m->frame->names, g))
		strcpy(out->text, g->letter == 'r'   ? "(running)"
				  : g->letter == 'n' ? "(has not run yet)"
						     : "?");
}

static void refresh(struct model *m)
{
	model_list(m);
}

static void layout(struct model *m, int w, int h)
{
	(void)w;
	table_fit(view_table(m, VIEW_LIST), h - 1);
}

static void draw(const struct model *m, struct screen *s, int y, int h)
{
	const struct table *t = &m->tables[VIEW_LIST];

	table_draw(t, s, y, h, cell, m);
	if (t->n)
		return;
	screen_put(s, y + 1, 2, s->w - 2, ROLE_DIM,
		   m->filter	 ? "no goroutine matches the filter: \\ clears it"
		   : m->in_group ? "all of this group have ended"
				 : "no goroutines");
}

static void status(const struct model *m, char *buf, size_t size)
{
	struct text shown, all;
	char rest[256];

	sort_and_filter(m, rest, sizeof(rest));
	snprintf(buf, size, "%s of %s G%s", fmt_count(&shown, m->tables[VIEW_LIST].n),
		 fmt_count(&all, m->frame->n), rest);
}

static void title(const struct model *m, char *buf, size_t size)
{
	if (m->in_group)
		snprintf(buf, size, "in: %s", m->in_group_name);
}

static void row_text(const struct model *m, size_t row, char *buf, size_t size)
{
	static const enum goro_info_field parts[] = { GORO_F_STATE, GORO_F_ON,	  GORO_F_VERDICT,
						      GORO_F_NAME,  GORO_F_LABEL, GORO_F_WHERE,
						      GORO_F_SPAWN };
	struct goro_info room;
	const struct goro_info *g = at(m, row, &room);
	size_t used = (size_t)snprintf(buf, size, "%" PRIu64, g->id);

	for (size_t i = 0; i < ARRAY_LEN(parts) && used + 2 < size; i++) {
		buf[used++] = ' ';
		goro_field_text(m->frame->names, g, parts[i], buf + used, size - used);
		used += strlen(buf + used);
	}
}

static void open_row(struct model *m, size_t row)
{
	model_open_goroutine(m, list_key(m, row));
}

const struct view_ops list_ops = {
	.tab = "List",
	.begin = begin,
	.new_frame = new_frame,
	.columns = columns,
	.ncolumns = NCOLUMNS,
	.sort = C_GID,
	.cell = cell,
	.key = list_key,
	.row_text = row_text,
	.open = open_row,
	.title = title,
	.refresh = refresh,
	.layout = layout,
	.draw = draw,
	.status = status,
};
