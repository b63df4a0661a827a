/* SPDX-License-Identifier: MIT */
/*
 * view_sched.c - the scheduler: a processor a row, what it runs, how long its queue is, how often
 * it switches; below, how long goroutines wait to run and how long they run at a time.
 *
 * The target counts since its start. Rates are against the look before; the histograms are of the
 * last looks (T: since the start), for what was slow an hour ago says nothing about now.
 */
#include "times.h"
#include "util.h"
#include "view_box.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	C_P,
	C_STATE,
	C_QUEUE,
	C_SWITCH,
	C_PARK,
	C_YIELD,
	C_STEAL,
	C_SPIN,
	C_RETAKE,
	C_TID,
	C_RUNS,
	NCOLUMNS
};

static const struct column columns[NCOLUMNS] = {
	[C_P] = { "p", "P", 3, 0, true, true },
	[C_STATE] = { "state", "STATE", 7, 0, false, true },
	[C_QUEUE] = { "queue", "QUEUE", 6, 0, true, false },
	[C_SWITCH] = { "switches", "SWITCH/S", 10, 0, true, false },
	[C_PARK] = { "parks", "PARK/S", 10, 80, true, false },
	[C_YIELD] = { "yields", "YIELD/S", 10, 110, true, false },
	[C_STEAL] = { "steals", "STEAL/S", 8, 60, true, false },
	[C_SPIN] = { "spins", "SPIN/S", 7, 100, true, false },
	[C_RETAKE] = { "retakes", "RETAKE/S", 9, 100, true, false },
	[C_TID] = { "tid", "TID", 8, 120, true, true },
	[C_RUNS] = { "runs", "RUNS", 0, 0, false, true },
};

/* What is counted, of a processor or of all. */
enum counter { SWITCHES, PARKS, YIELDS, STEALS, SPINS, RETAKES, SPAWNS, EXITS, NCOUNTERS };

struct rates {
	double v[NCOUNTERS]; /* per second; < 0: not known */
};

struct state {
	uint32_t *rows; /* index in snap->procs */
	struct rates *rates, all;
	size_t nprocs;
	struct times times;
};

static struct state *the(const struct model *m)
{
	return view_state(m, VIEW_SCHED);
}

static void end(struct model *m)
{
	free(the(m)->rows);
	free(the(m)->rates);
}

/* ---- what each look adds --------------------------------------------------------------------- */

static uint64_t count_of(const struct goro_proc *p, enum counter c)
{
	const uint64_t counts[NCOUNTERS] = { p->nswitch, p->npark,   p->nyield, p->nsteal,
					     p->nspin,	 p->nretake, p->nspawn, p->nexit };

	return counts[c];
}

static void fill_rates(struct state *st, const struct goro_snapshot *now,
		       const struct goro_snapshot *before)
{
	double seconds = before ? (double)(now->time - before->time) / (double)NSEC_PER_SEC : 0;

	st->rates = xrealloc(st->rates, now->nprocs, sizeof(*st->rates));
	for (int c = 0; c < NCOUNTERS; c++)
		st->all.v[c] = seconds > 0 ? 0 : -1;
	for (size_t i = 0; i < now->nprocs; i++) {
		for (int c = 0; c < NCOUNTERS; c++) {
			uint64_t n = count_of(&now->procs[i], (enum counter)c), old = 0;

			if (before && i < before->nprocs)
				old = count_of(&before->procs[i], (enum counter)c);
			st->rates[i].v[c] = seconds > 0 && n >= old ? (double)(n - old) / seconds
								    : -1;
			if (st->rates[i].v[c] > 0)
				st->all.v[c] += st->rates[i].v[c];
		}
	}
}

static void new_frame(struct model *m, const struct frame *before)
{
	struct state *st = the(m);
	const struct goro_snapshot *snap = m->frame->snap;

	if (before && snap->time < before->snap->time) { /* a recording was stepped back */
		times_drop(&st->times);
		before = NULL;
	}
	fill_rates(st, snap, before ? before->snap : NULL);
	times_push(&st->times, snap);
	st->rows = xrealloc(st->rows, snap->nprocs, sizeof(*st->rows));
	view_table(m, VIEW_SCHED)->n = snap->nprocs;
	for (size_t i = 0; i < snap->nprocs; i++)
		st->rows[i] = (uint32_t)i;
}

static void drop(struct model *m)
{
	view_table(m, VIEW_SCHED)->n = 0;
	times_drop(&the(m)->times);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static const char *status_name(const struct goro_proc *p)
{
	static const char *const names[] = { "idle", "running", "stopped" };

	return p->status < ARRAY_LEN(names) ? names[p->status] : "?";
}

static enum counter counter_of(int column)
{
	switch (column) {
	case C_PARK:
		return PARKS;
	case C_YIELD:
		return YIELDS;
	case C_STEAL:
		return STEALS;
	case C_SPIN:
		return SPINS;
	case C_RETAKE:
		return RETAKES;
	default:
		return SWITCHES;
	}
}

static const struct goro_proc *at(const struct model *m, size_t row)
{
	return &m->frame->snap->procs[the(m)->rows[row]];
}

static uint64_t key(const void *ctx, size_t row)
{
	return at(ctx, row)->id;
}

static int by_column(const void *ctx, int column, const void *a, const void *b)
{
	const struct model *m = ctx;
	const uint32_t *i = a, *k = b;
	const struct goro_proc *x = &m->frame->snap->procs[*i], *y = &m->frame->snap->procs[*k];
	const struct rates *p = &the(m)->rates[*i], *q = &the(m)->rates[*k];
	enum counter c = counter_of(column);

	switch (column) {
	case C_P:
		return compare_u64(x->id, y->id);
	case C_STATE:
		return strcmp(status_name(x), status_name(y));
	case C_QUEUE:
		return compare_u64(x->runq_len, y->runq_len);
	case C_TID:
		return compare_u64(x->tid, y->tid);
	case C_RUNS:
		return compare_u64(x->running, y->running);
	default:
		return (p->v[c] > q->v[c]) - (p->v[c] < q->v[c]);
	}
}

static int by_index(const void *ctx, int column, const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	(void)ctx;
	(void)column;
	return compare_u64(*x, *y);
}

static void refresh(struct model *m)
{
	struct state *st = the(m);
	struct table *t = view_table(m, VIEW_SCHED);

	if (!m->frame)
		return;
	table_sort(t, st->rows, sizeof(*st->rows), by_column, by_index, m);
	table_follow(t, key, m);
}

static void runs_text(const struct model *m, const struct goro_proc *p, char *buf, size_t size)
{
	struct goro_info room;
	const struct goro_info *g = p->running ? model_goroutine(m, p->running, &room) : NULL;
	char place[256] = "";

	if (!p->running) {
		snprintf(buf, size, "-");
		return;
	}
	if (g)
		goro_spawn_text(goro_names_spawn(m->frame->names, g), place, sizeof(place));
	snprintf(buf, size, "g%" PRIu64 " %s", p->running, place);
}

static void rate_text(double rate, char *buf, size_t size)
{
	if (rate < 0)
		snprintf(buf, size, "-");
	else if (rate > 0 && rate < 9.95)
		snprintf(buf, size, "%.1f", rate);
	else
		goro_text_count(buf, size, (uint64_t)(rate + 0.5));
}

static void cell(const void *ctx, size_t row, int column, struct cell_text *out)
{
	const struct model *m = ctx;
	const struct state *st = the(m);
	const struct goro_proc *p = at(m, row);

	switch (column) {
	case C_P:
		snprintf(out->text, sizeof(out->text), "%" PRIu32, p->id);
		break;
	case C_STATE:
		strcpy(out->text, status_name(p));
		out->role = p->running ? ROLE_RUN : ROLE_DIM;
		break;
	case C_QUEUE:
		goro_text_count(out->text, sizeof(out->text), p->runq_len);
		out->role = p->runq_len ? ROLE_READY : ROLE_TEXT;
		break;
	case C_TID:
		snprintf(out->text, sizeof(out->text), p->tid ? "%" PRIu32 : "-", p->tid);
		break;
	case C_RUNS:
		runs_text(m, p, out->text, sizeof(out->text));
		break;
	default:
		rate_text(st->rates[st->rows[row]].v[counter_of(column)], out->text,
			  sizeof(out->text));
	}
}

static void row_text(const struct model *m, size_t row, char *buf, size_t size)
{
	runs_text(m, at(m, row), buf, size);
}

/* ---- the screen ------------------------------------------------------------------------------ */

static void draw_totals(const struct model *m, struct screen *s, int y)
{
	const struct goro_snapshot *snap = m->frame->snap;
	const struct state *st = the(m);
	struct segment seg[6];
	size_t n = 0;
	static const struct {
		enum counter c;
		const char *name;
	} sums[] = { { SWITCHES, "switches" },
		     { SPAWNS, "started" },
		     { EXITS, "ended" },
		     { STEALS, "stolen" } };

	for (size_t i = 0; i < ARRAY_LEN(sums); i++, n++) {
		char rate[32];

		rate_text(st->all.v[sums[i].c], rate, sizeof(rate));
		snprintf(seg[n].text, sizeof(seg[n].text), "%s %s%s", sums[i].name, rate,
			 st->all.v[sums[i].c] < 0 ? "" : "/s");
		seg[n].role = ROLE_TEXT;
		seg[n].rank = (int)i;
	}
	snprintf(seg[n].text, sizeof(seg[n].text), "global queue %" PRIu32, snap->global_runq);
	seg[n].role = snap->global_runq ? ROLE_READY : ROLE_TEXT;
	seg[n++].rank = 1;
	snprintf(seg[n].text, sizeof(seg[n].text), "workers %" PRIu32 "  timers %" PRIu32,
		 snap->threads, snap->timers);
	seg[n].role = ROLE_DIM;
	seg[n++].rank = 9;
	screen_segments(s, y, 2, s->w - 2, seg, n);
}

enum { PANEL = 14, LEAST_PANEL = 5 };

/* The table has its rows, as far as that leaves room for one histogram. */
static int table_lines(const struct model *m, int h)
{
	size_t n = m->tables[VIEW_SCHED].n;
	int want = (int)(n < 500 ? n : 500) + 1;

	if (h < 3 + 1 + LEAST_PANEL)
		return h - 1;
	return want < h - 1 - LEAST_PANEL ? want : h - 1 - LEAST_PANEL;
}

static void layout(struct model *m, int w, int h)
{
	(void)w;
	table_fit(view_table(m, VIEW_SCHED), table_lines(m, h) - 1);
}

static void draw(const struct model *m, struct screen *s, int y, int h)
{
	const struct times *times = &the(m)->times;
	int lines = table_lines(m, h), left = h - lines - 1;

	table_draw(&m->tables[VIEW_SCHED], s, y, lines, cell, m);
	draw_totals(m, s, y + lines);
	y += lines + 1;
	if (left < LEAST_PANEL)
		return;
	if (s->w >= 100) {
		int panel = left < PANEL + 6 ? left : PANEL + 6, half = s->w / 2;

		times_draw(times, s, y, 0, panel, half, TIMES_WAITING);
		times_draw(times, s, y, half, panel, s->w - half, TIMES_RUNNING);
	} else if (left < 2 * LEAST_PANEL) {
		times_draw(times, s, y, 0, left, s->w, TIMES_WAITING);
	} else {
		int panel = left / 2 < PANEL + 6 ? left / 2 : PANEL + 6;

		times_draw(times, s, y, 0, panel, s->w, TIMES_WAITING);
		times_draw(times, s, y + panel, 0, panel, s->w, TIMES_RUNNING);
	}
}

static int batch_lines(const struct model *m)
{
	return (int)m->tables[VIEW_SCHED].n + 2 + PANEL;
}

static void status(const struct model *m, char *buf, size_t size)
{
	size_t n = m->tables[VIEW_SCHED].n;
	char rest[256];

	sort_and_filter(m, rest, sizeof(rest));
	snprintf(buf, size, "%zu processor%s%s", n, n == 1 ? "" : "s", rest);
}

static void title(const struct model *m, char *buf, size_t size)
{
	snprintf(buf, size, the(m)->times.from_start ? "T: last looks" : "T: since the start");
}

/* The goroutine that runs there. */
static void open_row(struct model *m, size_t row)
{
	const struct goro_proc *p = at(m, row);

	if (p->running)
		model_open_goroutine(m, p->running);
	else
		model_say(m, true, "P %" PRIu32 " runs no goroutine", p->id);
}

static bool command(struct model *m, enum command c)
{
	if (c != CMD_WINDOW)
		return false;
	the(m)->times.from_start = !the(m)->times.from_start;
	return true;
}

const struct view_ops sched_ops = {
	.tab = "Sched",
	.state = sizeof(struct state),
	.end = end,
	.new_frame = new_frame,
	.drop = drop,
	.refresh = refresh,
	.layout = layout,
	.draw = draw,
	.status = status,
	.title = title,
	.columns = columns,
	.ncolumns = NCOLUMNS,
	.sort = C_P,
	.cell = cell,
	.key = key,
	.row_text = row_text,
	.open = open_row,
	.command = command,
	.lines = batch_lines,
};
