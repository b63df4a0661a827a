/* SPDX-License-Identifier: MIT */
/*
 * view_profile.c - where the time goes: functions, go statements, or stacks as a tree, of the last
 * half minute, sampled while this screen is on show (prof.c).
 *
 * AVG is time over time: how many goroutines were there on average, or how many cores computed.
 */
#include "prof.h"
#include "profile_rows.h"
#include "util.h"
#include "view_box.h"

#include <stdlib.h>
#include <string.h>

enum { C_SELF, C_TOTAL, C_AVG, C_WHERE, C_FUNCTION, NCOLUMNS };

static const struct column columns[NCOLUMNS] = {
	[C_SELF] = { "self", "SELF%", 6, 0, true, false },
	[C_TOTAL] = { "total", "TOTAL%", 7, 0, true, false },
	[C_AVG] = { "avg", "AVG", 9, 70, true, false },
	[C_WHERE] = { "line", "LINE", 24, 100, false, true },
	[C_FUNCTION] = { "function", "FUNCTION", 0, 0, false, true },
};

struct state {
	enum goro_profile_mode mode;
	enum profile_shape shape;
	struct picture *picture;
	char *error;
	struct profile_rows rows;
};

static struct state *the(const struct model *m)
{
	return view_state(m, VIEW_PROFILE);
}

/* They point into the picture. */
static void drop_rows(struct model *m)
{
	profile_rows_clear(&the(m)->rows);
	view_table(m, VIEW_PROFILE)->n = 0;
}

static void drop(struct model *m)
{
	struct state *st = the(m);

	drop_rows(m);
	picture_free(st->picture);
	st->picture = NULL;
	free(st->error);
	st->error = NULL;
	st->rows.nfolded = 0;
}

static void end(struct model *m)
{
	drop(m);
	profile_rows_free(&the(m)->rows);
}

enum goro_profile_mode profile_mode(const struct model *m)
{
	return the(m)->mode;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static int by_column(const void *ctx, int column, const void *a, const void *b)
{
	const struct profile_row *x = a, *y = b;

	(void)ctx;
	return column == C_SELF	      ? compare_u64(x->self, y->self)
	       : column == C_FUNCTION ? strcmp(x->node->name, y->node->name)
	       : column == C_WHERE    ? strcmp(x->node->where ? x->node->where : "",
					       y->node->where ? y->node->where : "")
				   : compare_u64(x->total, y->total);
}

static int heaviest_first(const void *ctx, int column, const void *a, const void *b)
{
	const struct profile_row *x = a, *y = b;
	int order = compare_u64(y->total, x->total);

	(void)ctx;
	(void)column;
	return order ? order : strcmp(x->node->name, y->node->name);
}

static uint64_t key(const void *ctx, size_t row)
{
	return the(ctx)->rows.v[row].key;
}

static void refresh(struct model *m)
{
	struct state *st = the(m);
	struct table *t = view_table(m, VIEW_PROFILE);

	drop_rows(m);
	if (st->picture)
		profile_rows_make(&st->rows, st->picture, st->shape, m->ascii);
	t->n = st->rows.n;
	/* A tree has its own order. */
	if (st->shape != PROFILE_TREE)
		table_sort(t, st->rows.v, sizeof(*st->rows.v), by_column, heaviest_first, m);
	table_follow(t, key, m);
}

void profile_show(struct model *m, struct picture *picture)
{
	struct state *st = the(m);

	if (picture->mode != st->mode) {
		picture_free(picture);
		return;
	}
	drop_rows(m);
	picture_free(st->picture);
	st->picture = picture;
	free(st->error);
	st->error = NULL;
	if (m->view == VIEW_PROFILE)
		view_new_frame(m);
}

void profile_failed(struct model *m, struct goro_error *err)
{
	struct state *st = the(m);

	free(st->error);
	st->error = xstrdup(err->message ? err->message : "cannot sample");
	goro_error_free(err);
}

void profile_set_mode(struct model *m, enum goro_profile_mode mode)
{
	struct state *st = the(m);

	if (st->mode == mode)
		return;
	drop(m);
	st->mode = mode;
	if (m->view == VIEW_PROFILE)
		view_new_frame(m);
}

/* ---- drawing --------------------------------------------------------------------------------- */

static void share(uint64_t part, uint64_t all, struct cell_text *out)
{
	double percent = all ? 100.0 * (double)part / (double)all : 0;

	snprintf(out->text, sizeof(out->text), "%.1f", percent);
	out->role = percent >= 0.05 ? ROLE_TEXT : ROLE_DIM;
}

static void cell(const void *ctx, size_t row, int column, struct cell_text *out)
{
	const struct model *m = ctx;
	const struct state *st = the(m);
	const struct profile_row *r = &st->rows.v[row];
	uint64_t all = st->picture->root->total;

	switch (column) {
	case C_SELF:
		share(r->self, all, out);
		break;
	case C_TOTAL:
		share(r->total, all, out);
		break;
	case C_AVG:
		snprintf(out->text, sizeof(out->text), "%.2f",
			 st->picture->ns ? (double)r->total / (double)st->picture->ns : 0);
		break;
	case C_WHERE:
		snprintf(out->text, sizeof(out->text), "%s", r->node->where ? r->node->where : "");
		break;
	case C_FUNCTION:
		snprintf(out->text, sizeof(out->text), "%s%s%s", r->prefix ? r->prefix : "",
			 r->node->name, r->folded ? " ..." : "");
		break;
	}
}

static void row_text(const struct model *m, size_t row, char *buf, size_t size)
{
	const struct goro_profile_node *node = the(m)->rows.v[row].node;

	snprintf(buf, size, "%s %s", node->name, node->where ? node->where : "");
}

static void layout(struct model *m, int w, int h)
{
	(void)w;
	table_fit(view_table(m, VIEW_PROFILE), h - 1);
}

/* Why there is nothing to see (yet). */
static void draw_nothing(const struct model *m, struct screen *s, int y)
{
	const struct state *st = the(m);
	const struct goro_snapshot *snap = m->frame->snap;

	if (snap->source != GORO_LIVE) {
		screen_put(s, y, 2, s->w - 2, ROLE_DIM,
			   snap->source == GORO_CORE
				   ? "a core file is one moment: there is no time to sample"
				   : "a recording has moments and no samples");
		screen_put(s, y + 1, 2, s->w - 2, ROLE_DIM,
			   "the groups (1) by stack count who is where");
	} else if (st->error) {
		for (const char *p = st->error; *p; y++) {
			size_t n = text_line(p, s->w - 4);

			screen_printf(s, y, 2, s->w - 2, ROLE_ALARM, "%.*s", (int)n, p);
			p = text_after(p, n);
		}
	} else if (m->ended) {
		screen_put(s, y, 2, s->w - 2, ROLE_DIM, "it has ended");
	} else if (m->paused) {
		screen_put(s, y, 2, s->w - 2, ROLE_DIM, "paused: Z goes on");
	} else if (!st->picture) {
		screen_printf(s, y, 2, s->w - 2, ROLE_DIM, "sampling %s",
			      goro_profile_mode_name(st->mode));
	} else {
		screen_printf(s, y, 2, s->w - 2, ROLE_DIM, "no %s in the last samples",
			      st->mode == GORO_PROFILE_CPU ? "processor time" : "time");
	}
}

static void draw(const struct model *m, struct screen *s, int y, int h)
{
	const struct table *t = &m->tables[VIEW_PROFILE];
	const struct state *st = the(m);

	table_draw(t, s, y, h, cell, m);
	if (!t->n)
		draw_nothing(m, s, y + 1);
	else if (st->error)
		screen_printf(s, y + h - 1, 2, s->w - 2, ROLE_ALARM, "%s", st->error);
}

static void status(const struct model *m, char *buf, size_t size)
{
	const struct state *st = the(m);
	const struct picture *p = st->picture;
	struct text taken, missed, t;
	char rest[256];

	if (!p)
		return;
	sort_and_filter(m, rest, sizeof(rest));
	snprintf(buf, size, "%s %s in %s%s%s, %s missed%s%s%s", fmt_count(&taken, p->taken),
		 st->mode == GORO_PROFILE_CPU ? "samples" : "looks", fmt_duration(&t, p->ns),
		 p->how[0] ? " by " : "", p->how, fmt_count(&missed, p->missed),
		 p->note[0] ? "; " : "", p->note, st->shape == PROFILE_TREE ? "" : rest);
}

static void title(const struct model *m, char *buf, size_t size)
{
	static const char *const shapes[] = { "function", "spawn site", "tree" };
	const struct state *st = the(m);

	snprintf(buf, size, "%s by %s", goro_profile_mode_name(st->mode), shapes[st->shape]);
}

static void set_shape(struct model *m, enum profile_shape shape)
{
	the(m)->shape = shape;
	table_home(view_table(m, VIEW_PROFILE));
	view_new_frame(m);
}

/* Of a tree: fold what is below, or unfold it. */
static void open_row(struct model *m, size_t row)
{
	struct state *st = the(m);

	if (st->shape != PROFILE_TREE) {
		model_say(m, true, "F5 shows the tree of stacks");
		return;
	}
	profile_rows_fold(&st->rows, row);
	view_new_frame(m);
}

static bool command(struct model *m, enum command c)
{
	switch (c) {
	case CMD_WALL:
		profile_set_mode(m, GORO_PROFILE_WALL);
		return true;
	case CMD_OFFCPU:
		profile_set_mode(m, GORO_PROFILE_OFFCPU);
		return true;
	case CMD_CPU:
		profile_set_mode(m, GORO_PROFILE_CPU);
		return true;
	case CMD_TREE:
		set_shape(m, the(m)->shape == PROFILE_TREE ? PROFILE_BY_FUNCTION : PROFILE_TREE);
		return true;
	case CMD_BY_SPAWN:
		set_shape(m, the(m)->shape == PROFILE_BY_SPAWN ? PROFILE_BY_FUNCTION
							       : PROFILE_BY_SPAWN);
		return true;
	default:
		return false;
	}
}

const struct view_ops profile_ops = {
	.tab = "Profile",
	.state = sizeof(struct state),
	.end = end,
	.drop = drop,
	.refresh = refresh,
	.layout = layout,
	.draw = draw,
	.status = status,
	.title = title,
	.columns = columns,
	.ncolumns = NCOLUMNS,
	.sort = C_SELF,
	.cell = cell,
	.key = key,
	.row_text = row_text,
	.open = open_row,
	.command = command,
};
