/* SPDX-License-Identifier: MIT */
/*
 * view_header.c - the lines above every screen of a target: who it is and how far these data can
 * be trusted; counts with their history; workers; memory.
 */
#include "util.h"
#include "view.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

enum { MAX_SEGMENTS = 96 };

struct line {
	struct segment seg[MAX_SEGMENTS];
	size_t n;
};

static void add(struct line *l, int rank, enum role role, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void add(struct line *l, int rank, enum role role, const char *fmt, ...)
{
	va_list ap;

	if (l->n == MAX_SEGMENTS)
		return;
	struct segment *s = &l->seg[l->n++];
	s->rank = rank;
	s->role = role;
	va_start(ap, fmt);
	vsnprintf(s->text, sizeof(s->text), fmt, ap);
	va_end(ap);
}

static void add_tick(const struct model *m, struct line *l)
{
	const struct goro_snapshot *snap = m->frame->snap;
	time_t seconds = (time_t)(snap->wall_time / NSEC_PER_SEC);
	struct tm tm;
	char when[16] = "?";

	if (localtime_r(&seconds, &tm))
		strftime(when, sizeof(when), "%H:%M:%S", &tm);
	add(l, 0, ROLE_ALARM, "RECORDED %s", when);
	add(l, 0, ROLE_TITLE, "%zu/%zu%s", snap->tick, snap->nticks,
	    m->paused			 ? " PAUSED"
	    : snap->tick == snap->nticks ? " END"
					 : "");
}

static void add_liveness(const struct model *m, struct line *l)
{
	struct text t;

	if (m->frame->snap->source == GORO_RECORDING)
		return add_tick(m, l);
	int64_t age = m->now - m->frame->snap->time;
	const char *old = fmt_duration(&t, (uint64_t)(age > 0 ? age : 0));

	if (m->frame->snap->source == GORO_CORE)
		add(l, 0, ROLE_ALARM, "CORE FILE, not live");
	else if (m->ended)
		add(l, 0, ROLE_ALARM, "ENDED %s ago", old);
	else if (m->paused)
		add(l, 0, ROLE_ALARM, "PAUSED %s old", old);
	else if (age > 3 * m->interval_ns + NSEC_PER_SEC)
		add(l, 0, ROLE_ALARM, "STALE %s", old);
	else if (m->frame->snap->stopped)
		add(l, 0, ROLE_ALARM, "STOPPED");
	else
		add(l, 0, ROLE_RUN, "LIVE %s", fmt_duration(&t, (uint64_t)m->interval_ns));
}

static void draw_identity(const struct model *m, struct screen *s, int y)
{
	const struct goro_snapshot *snap = m->frame->snap;
	struct line l = { .n = 0 };
	struct text t;

	add(&l, 0, ROLE_TITLE, "gotop");
	add(&l, 0, ROLE_TITLE, "%.60s[%d]", snap->name ? snap->name : "?", snap->pid);
	add(&l, 4, ROLE_TEXT, "%.40s", snap->runtime ? snap->runtime : "");
	add(&l, 5, ROLE_TEXT, "%zuW", snap->nprocs);
	add(&l, 6, ROLE_TEXT, "up %s", fmt_duration(&t, snap->uptime_ns));
	add_liveness(m, &l);
	add(&l, 1, ROLE_DIM, "tick %s", fmt_duration(&t, (uint64_t)m->frame->tick_ns));
	if (snap->source == GORO_LIVE)
		add(&l, 2, ROLE_DIM, "pause %s", m->pause_ns ? fmt_duration(&t, m->pause_ns) : "0");
	if (m->frame->own_cpu >= 0)
		add(&l, 7, ROLE_DIM, "cost %.1f%%", m->frame->own_cpu * 100);
	add(&l, 8, ROLE_DIM, "reread %s", fmt_count(&t, snap->reread));
	add(&l, snap->torn ? 1 : 9, snap->torn ? ROLE_SUSPECT : ROLE_DIM, "torn %s",
	    fmt_count(&t, snap->torn));
	if (snap->truncated)
		add(&l, 2, ROLE_SUSPECT, "truncated %s", fmt_count(&t, snap->truncated));
	if (snap->lost)
		add(&l, 2, ROLE_SUSPECT, "not in the file %s", fmt_count(&t, snap->lost));
	if (snap->bad_records)
		add(&l, 0, ROLE_ALARM, "bad records %s", fmt_count(&t, snap->bad_records));
	if (snap->cut)
		add(&l, 0, ROLE_ALARM, "cut short by %s", fmt_size(&t, snap->cut));
	if (snap->damaged)
		add(&l, 0, ROLE_ALARM, "damaged, %s lost", fmt_size(&t, snap->damaged));
	screen_segments(s, y, 0, s->w, l.seg, l.n);
}

static void draw_counts(const struct model *m, struct screen *s, int y)
{
	const struct frame *f = m->frame;
	struct line l = { .n = 0 };
	struct text t;
	char spark[HISTORY * 4];
	size_t width = s->w >= 100 ? 24 : s->w >= 80 ? 16 : 8;

	add(&l, 0, ROLE_TITLE, "G %s", fmt_count(&t, f->n));
	add(&l, 2, m->rate > 0.05 ? ROLE_LIKELY : ROLE_DIM, "%s/s", fmt_rate(&t, m->rate));
	fmt_sparkline(spark, sizeof(spark), m->history, m->nhistory, width, s->ascii);
	add(&l, 1, ROLE_RUN, "%s", spark);
	for (int a = 0; a < GORO_NACTIVITIES; a++) {
		int rank = 3;

		/* Where there is no room for all, the greatest counts stay. */
		for (int b = 0; b < GORO_NACTIVITIES; b++)
			rank += f->counts[b] > f->counts[a];
		if (f->counts[a] || a == GORO_ACT_RUN || a == GORO_ACT_READY)
			add(&l, rank, (enum role)activity_roles[a], "%s %s",
			    goro_activities[a].name, fmt_count(&t, f->counts[a]));
	}
	screen_segments(s, y, 0, s->w, l.seg, l.n);
}

/* Each processor: what it runs, how long its queue is, how often it switches. */
static void draw_workers(const struct model *m, struct screen *s, int y)
{
	const struct goro_snapshot *snap = m->frame->snap;
	int x = screen_put(s, y, 0, s->w, ROLE_TITLE, "W ");

	for (size_t i = 0; i < snap->nprocs; i++) {
		const struct goro_proc *p = &snap->procs[i];
		struct text id, rate;
		char text[96], more[32];
		int w, rest;

		fmt_count(&rate, (uint64_t)(m->switch_rates[i] + 0.5));
		if (p->running)
			snprintf(text, sizeof(text), "%u[g%s q%u %s/s]", p->id,
				 fmt_count(&id, p->running), p->runq_len, rate.s);
		else
			snprintf(text, sizeof(text), "%u[%s q%u %s/s]", p->id,
				 p->status == 2 ? "stopped" : "idle", p->runq_len, rate.s);
		w = (int)strlen(text);
		snprintf(more, sizeof(more), "+%zu more", snap->nprocs - i);
		rest = i + 1 < snap->nprocs ? (int)strlen(more) + 1 : 0;
		if (x + w + rest > s->w) {
			screen_put(s, y, x, s->w - x, ROLE_DIM, more);
			return;
		}
		x += screen_put(s, y, x, s->w - x, p->running ? ROLE_RUN : ROLE_DIM, text) + 1;
	}
}

static void draw_memory(const struct model *m, struct screen *s, int y)
{
	const struct frame *f = m->frame;
	const struct goro_verdicts *v = f->verdicts;
	struct line l = { .n = 0 };
	struct text t, t2;

	add(&l, 0, ROLE_TEXT, "stacks %s of %s", fmt_size(&t, f->stack_resident),
	    fmt_size(&t2, f->stack_reserved));
	if (f->snap->heap)
		add(&l, 1, ROLE_TEXT, "heap %s", fmt_size(&t, f->heap));
	if (f->snap->rss)
		add(&l, 1, ROLE_TEXT, "rss %s", fmt_size(&t, f->snap->rss));
	if (f->snap->cpu >= 0)
		add(&l, 2, ROLE_TEXT, "cpu %.0f%%", f->snap->cpu * 100);
	add(&l, 3, ROLE_DIM, "runq %u", f->snap->global_runq);
	add(&l, 4, ROLE_DIM, "timers %s", fmt_count(&t, f->snap->timers));
	if (f->snap->deadlocked)
		add(&l, 0, ROLE_LEAKED, "DEADLOCK: all goroutines are asleep");
	if (f->judge_error)
		add(&l, 0, ROLE_ALARM, "no verdicts: %.120s", f->judge_error);
	if (v && v->leaked)
		add(&l, 0, ROLE_LEAKED, "LEAKED %s", fmt_count(&t, v->leaked));
	if (v && v->likely)
		add(&l, 0, ROLE_LIKELY, "LIKELY %s", fmt_count(&t, v->likely));
	if (v && v->suspect)
		add(&l, 0, ROLE_SUSPECT, "SUSPECT %s", fmt_count(&t, v->suspect));
	if (v && !v->leaked && !v->likely && !v->suspect)
		add(&l, 5, ROLE_DIM, "no leaks seen");
	screen_segments(s, y, 0, s->w, l.seg, l.n);
}

int header_height(const struct model *m, int h)
{
	if (!m->frame)
		return 1;
	return h < 24 ? 2 : 4;
}

static void draw_without_data(const struct model *m, struct screen *s)
{
	struct text t;
	const char *name = m->target ? m->target : "the target";

	if (m->waiting)
		screen_printf(s, 0, 0, s->w, ROLE_TITLE,
			      "gotop  waiting for the goro runtime of %s", name);
	else if (m->busy_since && m->now - m->busy_since > NSEC_PER_SEC)
		screen_printf(s, 0, 0, s->w, ROLE_TITLE, "gotop  reading %s for %s", name,
			      fmt_duration(&t, (uint64_t)(m->now - m->busy_since)));
	else
		screen_printf(s, 0, 0, s->w, ROLE_TITLE, "gotop  reading %s", name);
}

int header_draw(const struct model *m, struct screen *s, bool full)
{
	if (!m->frame) {
		draw_without_data(m, s);
		return 1;
	}
	draw_identity(m, s, 0);
	draw_counts(m, s, 1);
	if (!full)
		return 2;
	draw_workers(m, s, 2);
	draw_memory(m, s, 3);
	return 4;
}
