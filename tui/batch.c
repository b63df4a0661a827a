/* SPDX-License-Identifier: MIT */
/*
 * batch.c - the same data as plain text, for files, pipes and terminals that are none.
 *
 * Drawn on the same grid by the same code as the screen, a few lines at a time, so a table of
 * 100,000 rows costs no more memory than one of ten. Nothing is left out: the grid is as wide as
 * the longest row unless COLUMNS says otherwise.
 */
#define _GNU_SOURCE
#include "app.h"
#include "feed.h"
#include "prof.h"
#include "util.h"
#include "view.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { LEAST_WIDTH = 100, MOST_WIDTH = 2000, SLICE = 64 };

static int fail(struct goro_error *err)
{
	int status = (int)err->code;

	fprintf(stderr, "gotop: %s\n", err->message ? err->message : "error");
	if (err->hint)
		fprintf(stderr, "%s\n", err->hint);
	goro_error_free(err);
	return status;
}

/* A full disk, say. */
static int written(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	fprintf(stderr, "gotop: cannot write the output: %s\n", strerror(errno));
	return GORO_PARTIAL;
}

static void pause_ns(int64_t ns)
{
	struct timespec ts = { ns / NSEC_PER_SEC, ns % NSEC_PER_SEC };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static struct goro_error *await(struct goro_scope **ret, int pid)
{
	int64_t until = clock_now() + 15 * NSEC_PER_SEC;

	for (;;) {
		struct goro_error *err = goro_scope_open_pid(ret, pid);
		siginfo_t si = { 0 };

		if (!err || err->code == GORO_PERMISSION || clock_now() > until)
			return err;
		if (waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid)
			return err;
		goro_error_free(err);
		pause_ns(20 * NSEC_PER_MSEC);
	}
}

/* So wide that the last column of no row is cut. */
static int full_width(const struct table *t, cell_fn *cell, const void *ctx)
{
	const char *columns = getenv("COLUMNS");
	struct screen ruler = { .w = 1, .h = 1 };
	int widest = 0, set = columns ? atoi(columns) : 0;

	if (set > 0)
		return set < MOST_WIDTH ? set : MOST_WIDTH;
	for (size_t i = 0; i < t->n; i++) {
		struct cell_text text = { .text = "" };

		cell(ctx, i, t->ncolumns - 1, &text);
		int w = screen_width(&ruler, text.text);
		widest = w > widest ? w : widest;
	}
	widest += table_fixed_width(t, LEAST_WIDTH);
	return widest < LEAST_WIDTH ? LEAST_WIDTH : widest < MOST_WIDTH ? widest : MOST_WIDTH;
}

static void print_table(struct table *t, cell_fn *cell, const void *ctx, struct screen *s)
{
	size_t none = SIZE_MAX;

	screen_resize(s, s->w, 1);
	t->top = 0;
	t->selected = none; /* a printed table has no cursor */
	table_draw(t, s, 0, 1, cell, ctx);
	screen_dump(s, stdout);
	for (t->top = 0; t->top < t->n; t->top += SLICE) {
		size_t left = t->n - t->top, rows = left < SLICE ? left : SLICE;
		struct screen slice;

		/* The title line is drawn again and not printed. */
		screen_init(&slice, s->w, (int)rows + 1, s->ascii);
		table_draw(t, &slice, 0, (int)rows + 1, cell, ctx);
		memmove(slice.cells, slice.cells + slice.w,
			(size_t)slice.w * rows * sizeof(*slice.cells));
		slice.h = (int)rows;
		screen_dump(&slice, stdout);
		screen_free(&slice);
	}
}

/* A screen that draws more than a table: all of it. */
static void print_drawn(struct model *m, const struct view_ops *v, struct screen *s)
{
	int lines = v->lines(m);

	screen_resize(s, s->w, lines);
	screen_clear(s);
	v->layout(m, s->w, lines);
	if (view_traits(m->view) & HAS_TABLE)
		view_table(m, m->view)->selected = SIZE_MAX;
	v->draw(m, s, 0, lines);
	screen_dump(s, stdout);
}

static void print_frame(struct model *m)
{
	const struct view_ops *v = view_ops(m->view);
	struct table *t = view_table(m, m->view);
	struct screen s;

	screen_init(&s, full_width(t, v->cell, m), 4, m->ascii);
	header_draw(m, &s, true);
	screen_dump(&s, stdout);
	if (v->lines)
		print_drawn(m, v, &s);
	else
		print_table(t, v->cell, m, &s);
	screen_free(&s);
}

static int print_listing(const struct app_options *opt)
{
	struct listing *l = xcalloc(1, sizeof(*l));
	struct goro_error *err = goro_list_processes(&l->c, &l->n, false);
	cell_fn *cell = view_ops(VIEW_PICKER)->cell;
	struct table *t;
	struct screen s;
	struct model m;

	if (err) {
		free(l);
		return fail(err);
	}
	model_init(&m, opt->ascii);
	model_listing(&m, l);
	t = view_table(&m, VIEW_PICKER);
	screen_init(&s, full_width(t, cell, &m), 1, opt->ascii);
	print_table(t, cell, &m, &s);
	screen_free(&s);
	model_free(&m);
	return written();
}

static void drop(struct model *m, struct namer *namer)
{
	frame_free(namer, model_drop_frame(m));
}

/* The profile screen's samples: of one interval, since nobody waits for more of them. */
static struct goro_error *sample(struct model *m, struct goro_scope *scope)
{
	const struct goro_profile_options o = { .mode = profile_mode(m),
						.hz = prof_rate(profile_mode(m), m->frame->n),
						.duration_ns = (uint64_t)m->interval_ns };
	struct goro_profile_part *part;
	struct goro_error *err;

	if (m->view != VIEW_PROFILE)
		return NULL;
	err = goro_scope_profile_part(scope, &o, &part);
	if (err)
		return err;
	profile_show(m, picture_of(profile_mode(m), &part, 1));
	goro_profile_part_free(part);
	return NULL;
}

/* A recording is printed tick by tick from its first one, as fast as it goes. */
static int run(const struct app_options *opt, struct model *m, struct goro_scope *scope,
	       struct namer *namer, unsigned long iterations)
{
	const struct goro_verdict_options vo = { .suspect_age_ns = SUSPECT_AGE_NS };
	struct goro_error *err;
	struct frame *f;
	size_t ticks = goro_scope_ticks(scope);
	bool more = true;
	int status;

	for (unsigned long i = 0; more && (!iterations || i < iterations); i++) {
		if (i && !ticks && m->view != VIEW_PROFILE)
			pause_ns(opt->interval_ns);
		goro_scope_seek(scope, i + 1);
		err = frame_take(namer, &vo, &f);
		if (err)
			return fail(err);
		if (i)
			putchar('\n');
		m->now = opt->clock();
		more = ticks ? i + 1 < ticks : f->snap->source == GORO_LIVE;
		frame_free(namer, model_frame(m, f));
		model_rows(m);
		err = sample(m, scope);
		if (err)
			return fail(err);
		print_frame(m);
		status = written();
		if (status)
			return status;
	}
	return 0;
}

int batch_run(const struct app_options *opt, unsigned long iterations)
{
	struct goro_scope *scope = NULL;
	struct goro_error *err;
	struct namer *namer;
	struct model m;
	int status;

	if (!opt->target && !opt->child) {
		goro_filter_free(opt->filter);
		return print_listing(opt);
	}
	err = opt->child ? await(&scope, opt->child) : goro_scope_open(&scope, opt->target);
	if (err) {
		goro_filter_free(opt->filter);
		return fail(err);
	}
	model_init(&m, opt->ascii);
	m.interval_ns = opt->interval_ns;
	m.view = app_screen(opt);
	m.filter = opt->filter;
	app_apply_sort(&m, opt);
	profile_set_mode(&m, opt->profile);
	if (opt->group_key != GORO_BY_NONE)
		model_set_group_key(&m, opt->group_key);
	namer = namer_new(scope);
	status = run(opt, &m, scope, namer, iterations);
	drop(&m, namer);
	namer_free(namer);
	goro_scope_close(scope);
	model_free(&m);
	return status;
}
