/* SPDX-License-Identifier: MIT */
/*
 * view_leaks.c - findings, the worst first: what is proved and what is only suspected, how many
 * goroutines, what they keep from being free; below, the evidence of the selected one.
 *
 * Some proofs come with every look. The search of the memory is asked for with F8, on the reader's
 * thread; what it costs the target is in the first line and in the message that it ends with.
 */
#include "util.h"
#include "view_box.h"

#include <stdlib.h>
#include <string.h>

enum { C_VERDICT, C_PROOF, C_COUNT, C_OLDEST, C_STACK, C_HEAP, C_ON, C_SITE, NCOLUMNS };

static const struct column columns[NCOLUMNS] = {
	[C_VERDICT] = { "verdict", "VERDICT", 8, 0, false, false },
	[C_PROOF] = { "proof", "PROOF", 11, 0, false, true },
	[C_COUNT] = { "count", "COUNT", 9, 0, true, false },
	[C_OLDEST] = { "oldest", "OLDEST", 7, 0, true, false },
	[C_STACK] = { "mem", "STACK", 6, 80, true, false },
	[C_HEAP] = { "heap", "HEAP", 6, 80, true, false },
	[C_ON] = { "on", "WAITS IN", 22, 110, false, true },
	[C_SITE] = { "site", "SPAWN SITE", 0, 0, false, true },
};

struct row {
	uint64_t key;
	const struct goro_finding *f;
	size_t n; /* of its goroutines, those that the filter keeps */
	uint64_t oldest_ns;
	const struct goro_info *first; /* of these, or who stands for it */
};

struct state {
	struct row *rows;
	uint64_t version;
};

static struct state *the(const struct model *m)
{
	return view_state(m, VIEW_LEAKS);
}

static void end(struct model *m)
{
	free(the(m)->rows);
}

/* Those that the filter keeps. rows[]: by finding. */
static void count_goroutines(const struct model *m, struct row *rows, size_t n)
{
	const struct goro_snapshot *snap = m->frame->snap;
	struct goro_walk w = { .snap = snap };
	const struct goro_info *g;

	while (n && (g = goro_snapshot_next(&w))) {
		uint32_t place = goro_walk_place(&w);
		struct row *row = g->finding < n ? &rows[g->finding] : NULL;

		if (!row || (m->keep && !m->keep[place]))
			continue;
		if (!row->first)
			row->first = &snap->g[place < snap->ng ? place : row->f->members[0]];
		row->n++;
		if (g->wait_ns > row->oldest_ns)
			row->oldest_ns = g->wait_ns;
	}
}

static void fill(struct model *m)
{
	struct state *st = the(m);
	struct table *t = view_table(m, VIEW_LEAKS);
	const struct goro_verdicts *v = m->frame ? m->frame->verdicts : NULL;

	free(st->rows);
	st->rows = NULL;
	t->n = 0;
	st->version = m->version;
	if (!v)
		return;
	st->rows = xcalloc(v->n, sizeof(*st->rows));
	for (size_t i = 0; i < v->n; i++) {
		struct row *row = &st->rows[i];

		row->f = &v->findings[i];
		row->key = finding_key(m->frame, row->f);
	}
	count_goroutines(m, st->rows, v->n);
	for (size_t i = 0; i < v->n; i++)
		if (st->rows[i].n)
			st->rows[t->n++] = st->rows[i];
}

static int by_column(const void *ctx, int column, const void *a, const void *b)
{
	const struct model *m = ctx;
	const struct row *x = a, *y = b;

	switch (column) {
	case C_PROOF:
		return strcmp(goro_proof_name(x->f->proof), goro_proof_name(y->f->proof));
	case C_COUNT:
		return compare_u64(x->n, y->n);
	case C_OLDEST:
		return compare_u64(x->oldest_ns, y->oldest_ns);
	case C_STACK:
		return compare_u64(x->f->stack_bytes, y->f->stack_bytes);
	case C_HEAP:
		return compare_u64(x->f->heap_bytes, y->f->heap_bytes);
	case C_ON:
		return strcmp(goro_state_text(x->first), goro_state_text(y->first));
	case C_SITE:
		return goro_field_compare(m->frame->names, x->first, y->first, GORO_F_SPAWN);
	default:
		return compare_u64(x->f->verdict, y->f->verdict);
	}
}

/* The library has them by weight. */
static int as_found(const void *ctx, int column, const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	(void)ctx;
	(void)column;
	return (x->f > y->f) - (x->f < y->f);
}

static uint64_t key(const void *ctx, size_t row)
{
	return the(ctx)->rows[row].key;
}

static void refresh(struct model *m)
{
	struct state *st = the(m);
	struct table *t = view_table(m, VIEW_LEAKS);

	if (st->version != m->version || !m->frame)
		fill(m);
	table_sort(t, st->rows, sizeof(*st->rows), by_column, as_found, m);
	table_follow(t, key, m);
}

static void site_text(const struct model *m, const struct row *r, char *buf, size_t size)
{
	goro_spawn_text(goro_names_spawn(m->frame->names, r->first), buf, size);
}

static void cell(const void *ctx, size_t row, int column, struct cell_text *out)
{
	const struct model *m = ctx;
	const struct row *r = &the(m)->rows[row];
	struct text t;

	switch (column) {
	case C_VERDICT:
		strcpy(out->text, goro_verdict_name(r->f->verdict));
		out->role = verdict_role(r->f->verdict);
		break;
	case C_PROOF:
		strcpy(out->text, goro_proof_name(r->f->proof));
		break;
	case C_COUNT:
		strcpy(out->text, fmt_count(&t, r->n));
		break;
	case C_OLDEST:
		strcpy(out->text, r->oldest_ns ? fmt_duration(&t, r->oldest_ns) : "-");
		break;
	case C_STACK:
		strcpy(out->text, r->f->stack_bytes ? fmt_size(&t, r->f->stack_bytes) : "-");
		break;
	case C_HEAP:
		strcpy(out->text, r->f->heap_bytes ? fmt_size(&t, r->f->heap_bytes) : "-");
		break;
	case C_ON:
		snprintf(out->text, sizeof(out->text), "%s", goro_state_text(r->first));
		break;
	case C_SITE:
		site_text(m, r, out->text, sizeof(out->text));
		break;
	}
}

static void row_text(const struct model *m, size_t row, char *buf, size_t size)
{
	const struct row *r = &the(m)->rows[row];
	size_t used = (size_t)snprintf(buf, size, "%s %s %s ", goro_verdict_name(r->f->verdict),
				       goro_proof_name(r->f->proof), goro_state_text(r->first));

	if (used < size)
		site_text(m, r, buf + used, size - used);
}

/* ---- the selected finding -------------------------------------------------------------------- */

static const struct row *selected(const struct model *m)
{
	const struct table *t = &m->tables[VIEW_LEAKS];

	return m->frame && t->selected < t->n ? &the(m)->rows[t->selected] : NULL;
}

static int detail_lines(const struct model *m, int w)
{
	const struct row *r = selected(m);

	return r ? 2 + 2 + box_text_lines(r->f->evidence, w) : 0;
}

static void layout(struct model *m, int w, int h)
{
	struct table *t = view_table(m, VIEW_LEAKS);

	table_fit(t, box_split(t->n, detail_lines(m, w), h) - 1);
}

static void draw_nothing(const struct model *m, struct screen *s, int y)
{
	const struct goro_verdicts *v = m->frame->verdicts;

	if (!v)
		screen_printf(s, y, 2, s->w - 2, ROLE_ALARM, "no verdicts: %.200s",
			      m->frame->judge_error ? m->frame->judge_error : "?");
	else if (v->n)
		screen_put(s, y, 2, s->w - 2, ROLE_DIM,
			   "no finding has a goroutine that matches the filter: \\ clears it");
	else if (m->frame->snap->source == GORO_RECORDING || m->ended)
		screen_put(s, y, 2, s->w - 2, ROLE_DIM,
			   "nothing is known to be leaked or suspected");
	else
		screen_put(s, y, 2, s->w - 2, ROLE_DIM,
			   "nothing is known to be leaked or suspected; F8 searches the memory");
}

static void draw(const struct model *m, struct screen *s, int y, int h)
{
	const struct table *t = &m->tables[VIEW_LEAKS];
	const struct row *r = selected(m);
	int lines = box_split(t->n, detail_lines(m, s->w), h);
	char title[384], text[1024];
	struct text n;

	table_draw(t, s, y, lines, cell, m);
	if (!t->n)
		draw_nothing(m, s, y + 1);
	if (!r || h - lines < 3)
		return;
	site_text(m, r, text, sizeof(text));
	snprintf(title, sizeof(title), "%.200s: %s G %s, %s", text, fmt_count(&n, r->n),
		 goro_verdict_name(r->f->verdict), goro_proof_name(r->f->proof));
	struct box b = box_begin(s, y + lines, h - lines, title);
	box_text(&b, r->f->verdict == GORO_VERDICT_LEAKED ? ROLE_LIKELY : ROLE_SUSPECT, "because",
		 r->f->evidence ? r->f->evidence : "");
	stack_line(m, r->first, text, sizeof(text));
	box_line(&b, ROLE_TEXT, "stack    ", text);
	const struct goro_spawn_name *sp = goro_names_spawn(m->frame->names, r->first);
	if (sp && sp->known) {
		goro_place_text(&sp->at, text, sizeof(text));
		box_line(&b, ROLE_TEXT, "spawned  ", text);
	}
}

static void status(const struct model *m, char *buf, size_t size)
{
	const struct goro_verdicts *v = m->frame->verdicts;
	struct text a, b, c;
	char rest[256];

	if (!v)
		return;
	sort_and_filter(m, rest, sizeof(rest));
	snprintf(buf, size, "LEAKED %s  LIKELY %s  SUSPECT %s G%s", fmt_count(&a, v->leaked),
		 fmt_count(&b, v->likely), fmt_count(&c, v->suspect), rest);
}

static void title(const struct model *m, char *buf, size_t size)
{
	if (m->proving)
		snprintf(buf, size, "searching its memory");
	else if (m->frame && !m->ended && m->frame->snap->source != GORO_RECORDING)
		snprintf(buf, size, "F8 proves more");
}

static void open_row(struct model *m, size_t row)
{
	const struct row *r = &the(m)->rows[row];
	char name[256];

	site_text(m, r, name, sizeof(name));
	model_open_members(m, OF_FINDING, r->key, name);
}

const struct view_ops leaks_ops = {
	.tab = "Leaks",
	.state = sizeof(struct state),
	.end = end,
	.refresh = refresh,
	.layout = layout,
	.draw = draw,
	.status = status,
	.title = title,
	.columns = columns,
	.ncolumns = NCOLUMNS,
	.sort = C_VERDICT,
	.cell = cell,
	.key = key,
	.row_text = row_text,
	.open = open_row,
};
