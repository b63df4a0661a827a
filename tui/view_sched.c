/* SPDX-License-Identifier: MIT */
/*
 * view_sched.c - the scheduler: a processor a row, what it runs, how long its queue is, how often
 * it switches; below, how long goroutines wait to run and how long they run at a time.
 *
 * The target counts since its start. Rates are against the look before; the histograms are of the
 * last looks (T: since the start), for what was slow an hour ago says nothing about now.
 */
#define _GNU_SOURCE
#include "groups.h"
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
	C_READY,
	C_STEAL,
	C_RETAKE,
	C_TID,
	C_RUNS,
	NCOLUMNS
};

static const struct column columns[NCOLUMNS] = {
	[C_P] = { "p", "P", 3, 0, true, true },
	[C_STATE] = { "state", "STATE", 7, 0, false, true },
	[C_QUEUE] = { "queue", "QUEUE", 6, 0, true, false },
	[C_SWITCH] = { "switches", "SWITCH/S", 9, 0, true, false },
	[C_PARK] = { "parks", "PARK/S", 9, 80, true, false },
	[C_READY] = { "readies", "READY/S", 9, 100, true, false },
	[C_STEAL] = { "steals", "STEAL/S", 8, 60, true, false },
	[C_RETAKE] = { "retakes", "RETAKE/S", 9, 100, true, false },
	[C_TID] = { "tid", "TID", 8, 120, true, true },
	[C_RUNS] = { "runs", "RUNS", 0, 0, false, true },
};

/* What is counted, of a processor or of all. */
enum counter { SWITCHES, PARKS, READIES, STEALS, RETAKES, SPAWNS, EXITS, NCOUNTERS };

struct rates {
	double v[NCOUNTERS]; /* per second; < 0: not known */
};

enum { LATENCY, SLICE, NKINDS };

struct look {
	int64_t time;
	struct goro_histogram sum[NKINDS];
};

struct state {
	struct table table;
	uint32_t *rows; /* index in snap->procs */
	struct rates *rates, all;
	size_t nprocs;
	struct look looks[HISTORY]; /* the newest is the last */
	uint32_t nlooks;
	uint32_t p99[NKINDS][HISTORY]; /* ns, of what came between two looks */
	uint32_t np99;
	bool from_start;
	uint32_t selected; /* id */
};

static struct state *the(const struct model *m)
{
	return view_state(m, VIEW_SCHED);
}

static void begin(struct model *m)
{
	the(m)->table = (struct table){ .columns = columns, .ncolumns = NCOLUMNS, .sort = C_P };
}

static void end(struct model *m)
{
	free(the(m)->rows);
	free(the(m)->rates);
}

/* ---- what each look adds --------------------------------------------------------------------- */

static uint64_t count_of(const struct goro_proc *p, enum counter c)
{
	const uint64_t counts[NCOUNTERS] = { p->nswitch, p->npark,  p->nready, p->nsteal,
					     p->nretake, p->nspawn, p->nexit };

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

/* newer - older, bucket by bucket; what was counted does not become less. */
static struct goro_histogram between(const struct goro_histogram *older,
				     const struct goro_histogram *newer)
{
	struct goro_histogram h = *newer;

	for (int i = 0; i < GORO_BUCKETS; i++)
		h.n[i] -= older->n[i] < h.n[i] ? older->n[i] : h.n[i];
	return h;
}

static void push_look(struct state *st, const struct goro_snapshot *snap)
{
	struct look *look;
	struct goro_histogram h;
	uint32_t n;

	if (st->nlooks && st->looks[st->nlooks - 1].time == snap->time)
		st->nlooks--; /* the same tick of a recording again */
	if (st->nlooks == HISTORY) {
		memmove(st->looks, st->looks + 1, (HISTORY - 1) * sizeof(*st->looks));
		st->nlooks--;
	}
	look = &st->looks[st->nlooks++];
	memset(look, 0, sizeof(*look));
	look->time = snap->time;
	for (size_t i = 0; i < snap->nprocs; i++) {
		goro_histogram_add(&look->sum[LATENCY], &snap->procs[i].latencies);
		goro_histogram_add(&look->sum[SLICE], &snap->procs[i].slices);
	}
	if (st->nlooks < 2)
		return;
	for (int k = 0; k < NKINDS; k++) {
		uint64_t ns;

		h = between(&look[-1].sum[k], &look->sum[k]);
		ns = goro_histogram_quantile(&h, .99);
		n = st->np99;
		ring_push(st->p99[k], &n, ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX);
	}
	st->np99 = n;
}

static void new_frame(struct model *m, const struct frame *before)
{
	struct state *st = the(m);
	const struct goro_snapshot *snap = m->frame->snap;

	if (before && snap->time < before->snap->time) { /* a recording was stepped back */
		st->nlooks = st->np99 = 0;
		before = NULL;
	}
	fill_rates(st, snap, before ? before->snap : NULL);
	push_look(st, snap);
	st->rows = xrealloc(st->rows, snap->nprocs, sizeof(*st->rows));
	st->table.n = snap->nprocs;
	for (size_t i = 0; i < snap->nprocs; i++)
		st->rows[i] = (uint32_t)i;
}

static void drop(struct model *m)
{
	struct state *st = the(m);

	st->table.n = 0;
	st->nlooks = st->np99 = 0;
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
	case C_READY:
		return READIES;
	case C_STEAL:
		return STEALS;
	case C_RETAKE:
		return RETAKES;
	default:
		return SWITCHES;
	}
}

static int compare_rows(const struct model *m, uint32_t a, uint32_t b)
{
	const struct state *st = the(m);
	const struct goro_proc *x = &m->frame->snap->procs[a], *y = &m->frame->snap->procs[b];
	enum counter c = counter_of(st->table.sort);

	switch (st->table.sort) {
	case C_P:
		return (x->id > y->id) - (x->id < y->id);
	case C_STATE:
		return strcmp(status_name(x), status_name(y));
	case C_QUEUE:
		return (x->runq_len > y->runq_len) - (x->runq_len < y->runq_len);
	case C_TID:
		return (x->tid > y->tid) - (x->tid < y->tid);
	case C_RUNS:
		return (x->running > y->running) - (x->running < y->running);
	default:
		return (st->rates[a].v[c] > st->rates[b].v[c]) -
		       (st->rates[a].v[c] < st->rates[b].v[c]);
	}
}

static int by_column(const void *a, const void *b, void *arg)
{
	const uint32_t *x = a, *y = b;
	const struct model *m = arg;
	int order = compare_rows(m, *x, *y);

	if (!table_rising(&the(m)->table))
		order = -order;
	return order ? order : (*x > *y) - (*x < *y);
}

static void refresh(struct model *m)
{
	struct state *st = the(m);
	struct table *t = &st->table;

	if (!m->frame || !t->n)
		return;
	qsort_r(st->rows, t->n, sizeof(*st->rows), by_column, m);
	for (size_t i = 0; i < t->n; i++)
		if (m->frame->snap->procs[st->rows[i]].id == st->selected)
			t->selected = i;
	table_fit(t, t->height);
	st->selected = m->frame->snap->procs[st->rows[t->selected]].id;
}

static void runs_text(const struct model *m, const struct goro_proc *p, char *buf, size_t size)
{
	const struct goro_info *g = p->running ? model_goroutine(m, p->running) : NULL;
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
	const struct goro_proc *p = &m->frame->snap->procs[st->rows[row]];

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
	runs_text(m, &m->frame->snap->procs[the(m)->rows[row]], buf, size);
}

/* ---- histograms ------------------------------------------------------------------------------ */

static const char *const kind_titles[NKINDS] = { "wait to run", "run slice" };

/* Of the last looks, or, with only one or when asked, since the start. */
static struct goro_histogram shown(const struct state *st, int kind, bool *from_start)
{
	*from_start = st->from_start || st->nlooks < 2;
	if (!st->nlooks)
		return (struct goro_histogram){ .n = { 0 } };
	if (*from_start)
		return st->looks[st->nlooks - 1].sum[kind];
	return between(&st->looks[0].sum[kind], &st->looks[st->nlooks - 1].sum[kind]);
}

/* Where its values lie: buckets first to last. False: there are none. */
static bool extent(const struct goro_histogram *h, int *first, int *last)
{
	*first = GORO_BUCKETS;
	*last = -1;
	for (int i = 0; i < GORO_BUCKETS; i++) {
		if (!h->n[i])
			continue;
		*first = *first < i ? *first : i;
		*last = i;
	}
	return *last >= 0;
}

/* A bar in eighths of a column, of at most `width` columns; what is there is seen. */
static void bar(char *buf, size_t size, uint64_t n, uint64_t most, int width, bool ascii)
{
	static const char *const parts[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
	uint64_t eighths = (uint64_t)((double)n / (double)most * width * 8 + 0.5);
	size_t used = 0;

	if (n && eighths < (ascii ? 8u : 1u))
		eighths = ascii ? 8 : 1;
	buf[0] = '\0';
	for (uint64_t i = 0; i < eighths / 8 && used + 4 < size; i++)
		used += (size_t)snprintf(buf + used, size - used, "%s", ascii ? "#" : "█");
	if (!ascii && used + 4 < size)
		snprintf(buf + used, size - used, "%s", parts[eighths % 8]);
}

static void histogram_title(const struct model *m, int kind, const struct goro_histogram *h,
			    bool from_start, char *buf, size_t size)
{
	const struct state *st = the(m);
	struct text a, b, d;
	char since[40] = "all";

	if (!from_start)
		snprintf(since, sizeof(since), "%s",
			 fmt_duration(&d, (uint64_t)(st->looks[st->nlooks - 1].time -
						     st->looks[0].time)));
	if (!goro_histogram_count(h))
		snprintf(buf, size, "%s, %s: none", kind_titles[kind], since);
	else
		snprintf(buf, size, "%s, %s: p50 %s  p99 %s", kind_titles[kind], since,
			 fmt_duration(&a, goro_histogram_quantile(h, .5)),
			 fmt_duration(&b, goro_histogram_quantile(h, .99)));
}

/* In a box at (y, x): a line for each bucket, or for several where there is not room for all. */
static void draw_histogram(const struct model *m, struct screen *s, int y, int x, int h, int w,
			   int kind)
{
	const struct state *st = the(m);
	bool from_start, trend = h >= 8 && st->np99 > 1;
	struct goro_histogram hist = shown(st, kind, &from_start);
	int first, last, rows = h - 2 - trend, step = 1;
	uint64_t most = 0;
	char title[160], text[1024];
	struct text t;

	histogram_title(m, kind, &hist, from_start, title, sizeof(title));
	screen_box(s, y, x, h, w, title);
	if (trend) {
		int used = screen_put(s, y + h - 2, x + 2, w - 4, ROLE_DIM, "p99 over time  ");

		fmt_sparkline(text, sizeof(text), st->p99[kind], st->np99, (size_t)(w - 4 - used),
			      s->ascii);
		screen_put(s, y + h - 2, x + 2 + used, w - 4 - used, ROLE_RUN, text);
	}
	if (!extent(&hist, &first, &last))
		return;
	while ((last - first) / step + 1 > rows)
		step++;
	for (int i = first; i <= last; i += step) {
		uint64_t n = 0;

		for (int k = i; k < i + step && k < GORO_BUCKETS; k++)
			n += hist.n[k];
		most = n > most ? n : most;
	}
	for (int i = first; i <= last; i += step) {
		int upto = i + step - 1 < GORO_BUCKETS ? i + step - 1 : GORO_BUCKETS - 1;
		uint64_t n = 0;
		int used;

		for (int k = i; k <= upto; k++)
			n += hist.n[k];
		y++;
		used = screen_printf(s, y, x + 2, w - 4, ROLE_DIM, "< %6s %9s ",
				     fmt_duration(&t, UINT64_C(1) << upto), "");
		screen_put_right(s, y, x + 11, 9, ROLE_TEXT, fmt_count(&t, n));
		bar(text, sizeof(text), n, most, w - 4 - used, s->ascii);
		screen_put(s, y, x + 2 + used, w - 4 - used,
			   kind == LATENCY ? ROLE_READY : ROLE_RUN, text);
	}
}

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

/* ---- the screen ------------------------------------------------------------------------------ */

enum { PANEL = 14, LEAST_PANEL = 5 };

/* The table has its rows, as far as that leaves room for one histogram. */
static int table_lines(const struct model *m, int h)
{
	int want = (int)(the(m)->table.n < 500 ? the(m)->table.n : 500) + 1;

	if (h < 3 + 1 + LEAST_PANEL)
		return h - 1;
	return want < h - 1 - LEAST_PANEL ? want : h - 1 - LEAST_PANEL;
}

static void layout(struct model *m, int w, int h)
{
	(void)w;
	table_fit(&the(m)->table, table_lines(m, h) - 1);
}

static void draw(const struct model *m, struct screen *s, int y, int h)
{
	int lines = table_lines(m, h), left = h - lines - 1;

	if (!m->frame)
		return;
	table_draw(&the(m)->table, s, y, lines, cell, m);
	draw_totals(m, s, y + lines);
	y += lines + 1;
	if (left < LEAST_PANEL)
		return;
	if (s->w >= 100) {
		int panel = left < PANEL + 6 ? left : PANEL + 6, half = s->w / 2;

		draw_histogram(m, s, y, 0, panel, half, LATENCY);
		draw_histogram(m, s, y, half, panel, s->w - half, SLICE);
	} else if (left < 2 * LEAST_PANEL) {
		draw_histogram(m, s, y, 0, left, s->w, LATENCY);
	} else {
		int panel = left / 2 < PANEL + 6 ? left / 2 : PANEL + 6;

		draw_histogram(m, s, y, 0, panel, s->w, LATENCY);
		draw_histogram(m, s, y + panel, 0, panel, s->w, SLICE);
	}
}

static int batch_lines(const struct model *m)
{
	return (int)the(m)->table.n + 2 + PANEL;
}

static void status(const struct model *m, char *buf, size_t size)
{
	const struct table *t = &the(m)->table;

	if (m->frame)
		snprintf(buf, size, "%zu processor%s  sort: %s %s", t->n, t->n == 1 ? "" : "s",
			 t->columns[t->sort].id, table_rising(t) ? "^" : "v");
}

static void title(const struct model *m, char *buf, size_t size)
{
	snprintf(buf, size, the(m)->from_start ? "T: last looks" : "T: since the start");
}

static struct table *table(struct model *m)
{
	return &the(m)->table;
}

static void select_row(struct model *m)
{
	const struct state *st = the(m);

	if (m->frame && st->table.selected < st->table.n)
		the(m)->selected = m->frame->snap->procs[st->rows[st->table.selected]].id;
}

/* The goroutine that runs there. */
static void open_row(struct model *m)
{
	const struct state *st = the(m);
	const struct goro_proc *p;

	if (st->table.selected >= st->table.n)
		return;
	p = &m->frame->snap->procs[st->rows[st->table.selected]];
	if (p->running)
		model_open_goroutine(m, p->running);
	else
		model_say(m, true, "P %" PRIu32 " runs no goroutine", p->id);
}

static bool command(struct model *m, enum command c)
{
	if (c != CMD_WINDOW)
		return false;
	the(m)->from_start = !the(m)->from_start;
	return true;
}

const struct view_ops sched_ops = {
	.tab = "Sched",
	.state = sizeof(struct state),
	.begin = begin,
	.end = end,
	.new_frame = new_frame,
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
	.lines = batch_lines,
};
