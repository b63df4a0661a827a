/* SPDX-License-Identifier: MIT */
/*
 * view_profile.c - where the time goes: functions, go statements, or stacks as a tree, of the last
 * half minute, sampled while this screen is on show (prof.c).
 *
 * AVG is time over time: how many goroutines were there on average, or how many cores computed.
 */
#define _GNU_SOURCE
#include "prof.h"
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

enum shape { BY_FUNCTION, BY_SPAWN, TREE };

struct row {
	const struct goro_profile_node *node; /* its name and line */
	uint64_t self, total;
	uint64_t key; /* of the name, or of the path to it */
	char *prefix; /* TREE: what is drawn left of it */
	bool folded;
};

struct state {
	struct table table;
	enum goro_profile_mode mode;
	enum shape shape;
	struct picture *picture;
	char *error;
	struct row *rows;
	size_t n, room;
	uint64_t *folded; /* keys */
	size_t nfolded;
	uint64_t selected;
};

static struct state *the(const struct model *m)
{
	return view_state(m, VIEW_PROFILE);
}

static void begin(struct model *m)
{
	the(m)->table = (struct table){ .columns = columns, .ncolumns = NCOLUMNS, .sort = C_SELF };
}

static void drop_rows(struct state *st)
{
	for (size_t i = 0; i < st->n; i++)
		free(st->rows[i].prefix);
	st->n = st->table.n = 0;
}

static void drop(struct model *m)
{
	struct state *st = the(m);

	drop_rows(st);
	picture_free(st->picture);
	st->picture = NULL;
	free(st->error);
	st->error = NULL;
	st->nfolded = 0;
}

static void end(struct model *m)
{
	drop(m);
	free(the(m)->rows);
	free(the(m)->folded);
}

enum goro_profile_mode profile_mode(const struct model *m)
{
	return the(m)->mode;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static uint64_t hash(uint64_t h, const char *name)
{
	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3u;
	return h * 31 + 1;
}

static struct row *add_row(struct state *st, const struct goro_profile_node *node, uint64_t key)
{
	if (st->n == st->room) {
		st->room = st->room ? 2 * st->room : 256;
		st->rows = xrealloc(st->rows, st->room, sizeof(*st->rows));
	}
	st->rows[st->n] = (struct row){ .node = node, .key = key };
	return &st->rows[st->n++];
}

struct path {
	const char *name;
	const struct path *up;
};

/* "[chan receive]": what a function does there, on top of its stack. */
static bool is_state(const struct state *st, const struct goro_profile_node *node)
{
	return st->mode != GORO_PROFILE_CPU && node->name[0] == '[' && !node->child;
}

static uint64_t self_of(const struct state *st, const struct goro_profile_node *node)
{
	uint64_t self = node->self;

	for (const struct goro_profile_node *c = node->child; c; c = c->next)
		self += is_state(st, c) ? c->self : 0;
	return self;
}

/*
 * A row for each function; one that calls itself has its time once in the total. What it waits for
 * is no function: the time is that of the one that waits.
 */
static void add_functions(struct state *st, const struct goro_profile_node *node,
			  const struct path *up)
{
	for (; node; node = node->next) {
		const struct path path = { node->name, up };
		const struct path *p = up;
		struct row *row;

		if (up && is_state(st, node))
			continue;
		row = add_row(st, node, hash(1, node->name));

		while (p && strcmp(p->name, node->name) != 0)
			p = p->up;
		row->self = self_of(st, node);
		row->total = p ? 0 : node->total;
		add_functions(st, node->child, &path);
	}
}

static int by_name(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int order = strcmp(x->node->name, y->node->name);

	/* The one that weighs most says the line. */
	return order ? order
		     : (x->node->total < y->node->total) - (x->node->total > y->node->total);
}

static void sum_equal_names(struct state *st)
{
	size_t n = 0;

	if (st->n)
		qsort(st->rows, st->n, sizeof(*st->rows), by_name);
	for (size_t i = 0; i < st->n; i++) {
		if (n && strcmp(st->rows[n - 1].node->name, st->rows[i].node->name) == 0) {
			st->rows[n - 1].self += st->rows[i].self;
			st->rows[n - 1].total += st->rows[i].total;
		} else {
			st->rows[n++] = st->rows[i];
		}
	}
	st->n = n;
}

static bool is_folded(const struct state *st, uint64_t key)
{
	for (size_t i = 0; i < st->nfolded; i++)
		if (st->folded[i] == key)
			return true;
	return false;
}

static int heaviest_first(const void *a, const void *b)
{
	const struct goro_profile_node *x = *(const struct goro_profile_node *const *)a;
	const struct goro_profile_node *y = *(const struct goro_profile_node *const *)b;

	if (x->total != y->total)
		return x->total < y->total ? 1 : -1;
	return strcmp(x->name, y->name);
}

/* The children that weigh at least half a percent, the heaviest first; then theirs. */
static void add_tree(struct state *st, const struct goro_profile_node *node, uint64_t key,
		     const char *indent, bool ascii)
{
	const struct goro_profile_node **v;
	uint64_t least = st->picture->root->total / 200;
	size_t n = 0, i = 0;

	for (const struct goro_profile_node *c = node->child; c; c = c->next)
		n += c->total > least;
	if (!n)
		return;
	v = xcalloc(n, sizeof(struct goro_profile_node *));
	for (const struct goro_profile_node *c = node->child; c; c = c->next)
		if (c->total > least)
			v[i++] = c;
	qsort(v, n, sizeof(struct goro_profile_node *), heaviest_first);
	for (i = 0; i < n; i++) {
		bool last = i + 1 == n, top = node == st->picture->root;
		struct row *row = add_row(st, v[i], hash(key, v[i]->name));
		uint64_t its = row->key;
		char *below = NULL;

		row->self = v[i]->self;
		row->total = v[i]->total;
		row->folded = v[i]->child && is_folded(st, its);
		if (asprintf(&row->prefix, "%s%s", indent,
			     top	     ? ""
			     : ascii && last ? "`- "
			     : ascii	     ? "|- "
			     : last	     ? "└─ "
					     : "├─ ") < 0 ||
		    asprintf(&below, "%s%s", indent,
			     top     ? ""
			     : last  ? "   "
			     : ascii ? "|  "
				     : "│  ") < 0)
			or_die(NULL);
		if (!row->folded)
			add_tree(st, v[i], its, below, ascii);
		free(below);
	}
	free(v);
}

static void fill(struct model *m)
{
	struct state *st = the(m);

	drop_rows(st);
	if (!st->picture)
		return;
	if (st->shape == TREE) {
		add_tree(st, st->picture->root, 1, "", m->ascii);
	} else if (st->shape == BY_SPAWN) {
		for (const struct goro_profile_node *c = st->picture->root->child; c; c = c->next) {
			struct row *row = add_row(st, c, hash(1, c->name));

			row->self = row->total = c->total;
		}
	} else {
		for (const struct goro_profile_node *c = st->picture->root->child; c; c = c->next)
			add_functions(st, c->child, NULL);
		sum_equal_names(st);
	}
	st->table.n = st->n;
}

static int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int by_column(const void *a, const void *b, void *arg)
{
	const struct row *x = a, *y = b;
	const struct table *t = arg;
	int order = t->sort == C_SELF	    ? compare_u64(x->self, y->self)
		    : t->sort == C_FUNCTION ? strcmp(x->node->name, y->node->name)
		    : t->sort == C_WHERE    ? strcmp(x->node->where ? x->node->where : "",
						     y->node->where ? y->node->where : "")
					 : compare_u64(x->total, y->total);

	if (!table_rising(t))
		order = -order;
	if (!order)
		order = compare_u64(y->total, x->total);
	return order ? order : strcmp(x->node->name, y->node->name);
}

static void refresh(struct model *m)
{
	struct state *st = the(m);
	struct table *t = &st->table;

	fill(m);
	if (!t->n)
		return;
	/* A tree has its own order. */
	if (st->shape != TREE)
		qsort_r(st->rows, t->n, sizeof(*st->rows), by_column, t);
	for (size_t i = 0; i < t->n; i++)
		if (st->rows[i].key == st->selected)
			t->selected = i;
	table_fit(t, t->height);
	st->selected = st->rows[t->selected].key;
}

void profile_show(struct model *m, struct picture *picture)
{
	struct state *st = the(m);

	if (picture->mode != st->mode) {
		picture_free(picture);
		return;
	}
	drop_rows(st);
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
	const struct row *r = &st->rows[row];
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
	const struct goro_profile_node *node = the(m)->rows[row].node;

	snprintf(buf, size, "%s %s", node->name, node->where ? node->where : "");
}

static void layout(struct model *m, int w, int h)
{
	(void)w;
	table_fit(&the(m)->table, h - 1);
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
	const struct state *st = the(m);

	if (!m->frame)
		return;
	table_draw(&st->table, s, y, h, cell, m);
	if (!st->table.n)
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
	sort_and_filter(m, &st->table, rest, sizeof(rest));
	snprintf(buf, size, "%s %s in %s%s%s, %s missed%s%s%s", fmt_count(&taken, p->taken),
		 st->mode == GORO_PROFILE_CPU ? "samples" : "looks", fmt_duration(&t, p->ns),
		 p->how[0] ? " by " : "", p->how, fmt_count(&missed, p->missed),
		 p->note[0] ? "; " : "", p->note, st->shape == TREE ? "" : rest);
}

static void title(const struct model *m, char *buf, size_t size)
{
	static const char *const shapes[] = { "function", "spawn site", "tree" };
	const struct state *st = the(m);

	snprintf(buf, size, "%s by %s", goro_profile_mode_name(st->mode), shapes[st->shape]);
}

static struct table *table(struct model *m)
{
	return &the(m)->table;
}

static void select_row(struct model *m)
{
	const struct state *st = the(m);

	if (st->table.selected < st->table.n)
		the(m)->selected = st->rows[st->table.selected].key;
}

static void set_shape(struct model *m, enum shape shape)
{
	struct state *st = the(m);

	st->shape = shape;
	st->table.selected = st->table.top = 0;
	st->selected = 0;
	view_new_frame(m);
}

/* Of a tree: fold what is below, or unfold it. */
static void open_row(struct model *m)
{
	struct state *st = the(m);
	uint64_t key;

	if (st->table.selected >= st->table.n)
		return;
	if (st->shape != TREE) {
		model_say(m, true, "F5 shows the tree of stacks");
		return;
	}
	key = st->rows[st->table.selected].key;
	for (size_t i = 0; i < st->nfolded; i++) {
		if (st->folded[i] != key)
			continue;
		st->folded[i] = st->folded[--st->nfolded];
		view_new_frame(m);
		return;
	}
	st->folded = xrealloc(st->folded, st->nfolded + 1, sizeof(*st->folded));
	st->folded[st->nfolded++] = key;
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
		set_shape(m, the(m)->shape == TREE ? BY_FUNCTION : TREE);
		return true;
	case CMD_BY_SPAWN:
		set_shape(m, the(m)->shape == BY_SPAWN ? BY_FUNCTION : BY_SPAWN);
		return true;
	default:
		return false;
	}
}

const struct view_ops profile_ops = {
	.tab = "Profile",
	.state = sizeof(struct state),
	.begin = begin,
	.end = end,
	.drop = drop,
	.refresh = refresh,
	.layout = layout,
	.draw = draw,
	.status = status,
	.title = title,
	.table = table,
	.cell = cell,
	.row_text = row_text,
	.select = select_row,
	.open = open_row,
	.command = command,
};
