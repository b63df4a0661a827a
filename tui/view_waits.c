/* SPDX-License-Identifier: MIT */
/*
 * view_waits.c - who waits for whom: an object a row, with how many wait for it and who holds it;
 * below, the chain from its holder to the one at the root, and the waiters by where they stand.
 *
 * That a wait can never end is said only of what is proved (the verdict of a waiter). A chain that
 * closes in one look may be two moments of a lock that was handed on; it gets a question mark.
 */
#include "util.h"
#include "view_box.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { C_WAITERS, C_OLDEST, C_CHAIN, C_OBJECT, NCOLUMNS };

static const struct column columns[NCOLUMNS] = {
	[C_WAITERS] = { "waiters", "WAITERS", 9, 0, true, false },
	[C_OLDEST] = { "oldest", "OLDEST", 7, 0, true, false },
	[C_CHAIN] = { "chain", "CHAIN", 6, 0, false, false },
	[C_OBJECT] = { "object", "OBJECT", 0, 0, false, true },
};

enum { MAX_CHAIN = 64 };

struct row {
	uint64_t object;
	uint64_t oldest_ns;
	uint32_t at, n;	       /* of state->waits->w */
	enum goro_proof proof; /* of a waiter whose verdict is LEAKED */
	unsigned depth;	       /* goroutines from its holder to the root */
	bool cycle;	       /* seen in one look */
};

struct state {
	struct goro_waits *waits;
	struct row *rows;
	uint64_t version;
};

static struct state *the(const struct model *m)
{
	return view_state(m, VIEW_WAITS);
}

static void end(struct model *m)
{
	goro_waits_free(the(m)->waits);
	free(the(m)->rows);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static const struct goro_object *object_of(const struct model *m, uint64_t address)
{
	return address ? goro_snapshot_object(m->frame->snap, address) : NULL;
}

static void fill_row(const struct model *m, struct row *row)
{
	const struct goro_snapshot *snap = m->frame->snap;
	const struct goro_object *o = object_of(m, row->object);
	uint64_t chain[MAX_CHAIN];

	for (size_t i = 0; i < row->n; i++) {
		struct goro_info room;
		const struct goro_info *g =
			goro_snapshot_at(snap, the(m)->waits->w[row->at + i].place, &room);

		if (g->wait_ns > row->oldest_ns)
			row->oldest_ns = g->wait_ns;
		if (g->verdict == GORO_VERDICT_LEAKED && !row->proof)
			row->proof = (enum goro_proof)g->proof;
	}
	if (o && o->valid && o->owner)
		row->depth =
			(unsigned)goro_wait_chain(snap, o->owner, chain, MAX_CHAIN, &row->cycle);
}

/* What never ends above what is deep. */
static unsigned chain_rank(const struct row *r)
{
	return r->proof ? UINT32_MAX : r->cycle ? UINT32_MAX - 1 : r->depth;
}

static int by_column(const void *ctx, int column, const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	(void)ctx;
	return column == C_OLDEST   ? compare_u64(x->oldest_ns, y->oldest_ns)
	       : column == C_CHAIN  ? compare_u64(chain_rank(x), chain_rank(y))
	       : column == C_OBJECT ? compare_u64(x->object, y->object)
				    : compare_u64(x->n, y->n);
}

static int by_object(const void *ctx, int column, const void *a, const void *b)
{
	(void)column;
	return by_column(ctx, C_OBJECT, a, b);
}

static uint64_t key(const void *ctx, size_t row)
{
	return the(ctx)->rows[row].object;
}

static void fill(struct model *m)
{
	struct state *st = the(m);
	struct table *t = view_table(m, VIEW_WAITS);
	size_t n = 0, room = 0, count;

	goro_waits_free(st->waits);
	free(st->rows);
	st->waits = NULL;
	st->rows = NULL;
	t->n = 0;
	st->version = m->version;
	if (!m->frame)
		return;
	st->waits = or_die(goro_waits(m->frame->snap, m->keep));
	for (size_t i = 0; i < st->waits->n; i += count) {
		count = goro_waits_of_object(st->waits, i);
		if (n == room) {
			room = room ? 2 * room : 64;
			st->rows = xrealloc(st->rows, room, sizeof(*st->rows));
		}
		st->rows[n] = (struct row){ .object = st->waits->w[i].object,
					    .at = (uint32_t)i,
					    .n = (uint32_t)count };
		fill_row(m, &st->rows[n++]);
	}
	t->n = n;
}

/* Rows are made anew for a new frame or filter; a new order sorts them. */
static void refresh(struct model *m)
{
	struct state *st = the(m);
	struct table *t = view_table(m, VIEW_WAITS);

	if (st->version != m->version || !m->frame)
		fill(m);
	table_sort(t, st->rows, sizeof(*st->rows), by_column, by_object, m);
	table_follow(t, key, m);
}

/* ---- text ------------------------------------------------------------------------------------ */

/* "g77 run 3.4ms cache.c:240 lru_touch" */
static void goroutine_text(const struct model *m, uint64_t id, char *buf, size_t size)
{
	struct goro_info room;
	const struct goro_info *g = model_goroutine(m, id, &room);
	char where[256] = "";
	struct text t;

	if (!g) {
		snprintf(buf, size, "g%" PRIu64 ", which has ended", id);
		return;
	}
	if (goro_names_where(m->frame->names, g))
		goro_place_text(goro_names_where(m->frame->names, g), where, sizeof(where));
	snprintf(buf, size, "g%" PRIu64 " %s %s  %s", id,
		 goro_activities[goro_activity_of(g->letter)].name,
		 g->wait_ns ? fmt_duration(&t, g->wait_ns) : "", where);
}

static void object_text(const struct model *m, const struct row *r, char *buf, size_t size)
{
	const struct goro_object *o = object_of(m, r->object);
	const struct goro_frame *maker = o ? goro_names_maker(m->frame->names, o) : NULL;
	struct goro_info room;
	const struct goro_info *owner =
		o && o->valid && o->owner ? model_goroutine(m, o->owner, &room) : NULL;
	char place[256];
	size_t used;

	goro_wait_object_text(m->frame->snap, r->object, buf, size);
	used = strlen(buf);
	if (owner)
		maker = goro_names_where(m->frame->names, owner);
	if (!maker)
		return;
	goro_place_text(maker, place, sizeof(place));
	snprintf(buf + used, size - used, "%s%s", owner ? ": " : ", made at ", place);
}

static void chain_cell(const struct row *r, struct cell_text *out)
{
	static const char *const words[] = { "", "NEVER", "CYCLE", "ORPHAN", "", "", "LEAKED" };

	if (r->proof && r->proof < ARRAY_LEN(words)) {
		strcpy(out->text, words[r->proof]);
		out->role = ROLE_LEAKED;
	} else if (r->cycle) {
		strcpy(out->text, "cycle?");
		out->role = ROLE_SUSPECT;
	} else if (r->depth) {
		snprintf(out->text, sizeof(out->text), "%u", r->depth);
	} else {
		strcpy(out->text, "-");
		out->role = ROLE_DIM;
	}
}

static void cell(const void *ctx, size_t row, int column, struct cell_text *out)
{
	const struct model *m = ctx;
	const struct row *r = &the(m)->rows[row];
	struct text t;

	switch (column) {
	case C_WAITERS:
		strcpy(out->text, fmt_count(&t, r->n));
		break;
	case C_OLDEST:
		strcpy(out->text, r->oldest_ns ? fmt_duration(&t, r->oldest_ns) : "-");
		break;
	case C_CHAIN:
		chain_cell(r, out);
		break;
	case C_OBJECT:
		object_text(m, r, out->text, sizeof(out->text));
		break;
	}
}

static void row_text(const struct model *m, size_t row, char *buf, size_t size)
{
	object_text(m, &the(m)->rows[row], buf, size);
}

/* ---- the selected object --------------------------------------------------------------------- */

static const struct row *selected(const struct model *m)
{
	const struct table *t = &m->tables[VIEW_WAITS];

	return m->frame && t->selected < t->n ? &the(m)->rows[t->selected] : NULL;
}

static void draw_chain(const struct model *m, struct box *b, const struct row *r)
{
	const struct goro_object *o = object_of(m, r->object);
	uint64_t chain[MAX_CHAIN];
	char text[512];
	bool cycle = false;
	size_t n = 0;

	if (o && o->valid && o->owner)
		n = goro_wait_chain(m->frame->snap, o->owner, chain, MAX_CHAIN, &cycle);
	for (size_t i = 0; i < n; i++) {
		goroutine_text(m, chain[i], text, sizeof(text));
		box_line(b, ROLE_TEXT, i ? "for      " : "held by  ", text);
	}
	if (cycle)
		box_line(b, r->proof ? ROLE_LEAKED : ROLE_SUSPECT, "         ",
			 r->proof == GORO_PROOF_CYCLE
				 ? "which waits for one of these: they can never go on"
			 : r->proof ? "which waits for one of these"
				    : "which waits for one of these, as far as one look can tell");
	if (n == MAX_CHAIN)
		box_line(b, ROLE_DIM, "         ", "and so on");
}

static void draw_readers(const struct model *m, struct box *b, const struct row *r)
{
	size_t n;
	const struct goro_holder *h = goro_waits_readers(the(m)->waits, r->object, &n);
	char text[512];

	for (size_t i = 0; i < n && b->y < b->end; i++) {
		goroutine_text(m, m->frame->snap->g[h[i].g].id, text, sizeof(text));
		box_line(b, ROLE_TEXT, "read by  ", text);
	}
}

static void draw_bunches(const struct model *m, struct box *b, const struct row *r)
{
	const struct goro_waits *w = the(m)->waits;
	char label[96], stack[1024];
	size_t n;

	for (size_t i = r->at; i < r->at + r->n && b->y < b->end; i += n) {
		struct goro_info room;
		const struct goro_info *g = goro_snapshot_at(m->frame->snap, w->w[i].place, &room);
		struct text t;

		n = goro_waits_bunch(w, i);
		snprintf(label, sizeof(label), "%9s %s  ", fmt_count(&t, n),
			 goro_wait_reason(w->w[i].reason));
		stack_line(m, g, stack, sizeof(stack));
		box_line(b, ROLE_TEXT, label, stack);
	}
}

static int detail_lines(const struct model *m)
{
	const struct row *r = selected(m);
	int lines = 2;
	size_t n;

	if (!r)
		return 0;
	goro_waits_readers(the(m)->waits, r->object, &n);
	lines += (int)r->depth + r->cycle + (n < 100 ? (int)n : 100);
	for (size_t i = r->at; i < r->at + r->n && lines < 100; i += n, lines++)
		n = goro_waits_bunch(the(m)->waits, i);
	return lines;
}

static void layout(struct model *m, int w, int h)
{
	struct table *t = view_table(m, VIEW_WAITS);

	(void)w;
	table_fit(t, box_split(t->n, detail_lines(m), h) - 1);
}

static void draw(const struct model *m, struct screen *s, int y, int h)
{
	const struct table *t = &m->tables[VIEW_WAITS];
	const struct row *r = selected(m);
	int lines = box_split(t->n, detail_lines(m), h);
	char title[256];

	table_draw(t, s, y, lines, cell, m);
	if (!t->n)
		screen_put(s, y + 1, 2, s->w - 2, ROLE_DIM,
			   m->filter ? "no goroutine that matches the filter waits for another one"
				     : "no goroutine waits for another one");
	if (!r || h - lines < 3)
		return;
	goro_wait_object_text(m->frame->snap, r->object, title, sizeof(title));
	struct box b = box_begin(s, y + lines, h - lines, title);
	draw_chain(m, &b, r);
	draw_readers(m, &b, r);
	draw_bunches(m, &b, r);
}

static void status(const struct model *m, char *buf, size_t size)
{
	const struct state *st = the(m);
	size_t n = m->tables[VIEW_WAITS].n;
	struct text objects, waits;
	char rest[256];

	sort_and_filter(m, rest, sizeof(rest));
	snprintf(buf, size, "%s object%s, %s wait%s%s", fmt_count(&objects, n), n == 1 ? "" : "s",
		 fmt_count(&waits, st->waits ? st->waits->n : 0),
		 st->waits && st->waits->n == 1 ? "" : "s", rest);
}

/* Its waiters. */
static void open_row(struct model *m, size_t row)
{
	const struct row *r = &the(m)->rows[row];
	char name[256];

	goro_wait_object_text(m->frame->snap, r->object, name, sizeof(name));
	model_open_members(m, OF_OBJECT, r->object, name);
}

const struct view_ops waits_ops = {
	.tab = "Waits",
	.state = sizeof(struct state),
	.end = end,
	.refresh = refresh,
	.layout = layout,
	.draw = draw,
	.status = status,
	.columns = columns,
	.ncolumns = NCOLUMNS,
	.sort = C_WAITERS,
	.cell = cell,
	.key = key,
	.row_text = row_text,
	.open = open_row,
};
