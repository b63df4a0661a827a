/* SPDX-License-Identifier: MIT */
/*
 * report_openmetrics.c - a snapshot as OpenMetrics 1.0 text, or in Prometheus's older text format.
 *
 * What Go's collector has under a name keeps that name (go_goroutines, go_threads, ...), so that
 * dashboards and alerts made for Go programs work. The rest begins with goro_. How many lines there
 * are does not depend on the program: of spawn sites only the biggest are told, the others as one.
 */
#include "report_metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "goro_introspect.h"
#include "report.h"

struct writer {
	FILE *out;
	const struct metrics *m;
	const char *name; /* of the family at hand */
	bool counter;
};

/* ---- the two formats ------------------------------------------------------------------------- */

/* The older format knows a counter by the name of its samples. */
static void family(struct writer *w, const char *name, const char *type, const char *unit,
		   const char *help)
{
	const char *suffix;

	w->name = name;
	w->counter = !strcmp(type, "counter");
	suffix = w->counter && w->m->older ? "_total" : "";
	fprintf(w->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, suffix, help, name, suffix, type);
	if (unit && !w->m->older)
		fprintf(w->out, "# UNIT %s %s\n", name, unit);
}

static void put_value(FILE *out, const char *text)
{
	while (*text) {
		size_t n = report_utf8_length(text);

		if (*text == '\\' || *text == '"')
			fprintf(out, "\\%c", *text);
		else if (*text == '\n')
			fputs("\\n", out);
		else if (n)
			fwrite(text, 1, n, out);
		else
			putc('?', out);
		text += n ? n : 1;
	}
}

/* labels: name, value, ..., NULL */
static void begin(const struct writer *w, const char *suffix, const char *const *labels)
{
	fprintf(w->out, "%s%s", w->name, w->counter ? "_total" : suffix);
	for (size_t i = 0; labels && labels[i]; i += 2) {
		fprintf(w->out, "%s%s=\"", i ? "," : "{", labels[i]);
		put_value(w->out, labels[i + 1]);
		putc('"', w->out);
	}
	if (labels && labels[0])
		putc('}', w->out);
}

static void count(const struct writer *w, const char *const *labels, uint64_t value)
{
	begin(w, "", labels);
	fprintf(w->out, " %" PRIu64 "\n", value);
}

static void real(const struct writer *w, const char *const *labels, double value)
{
	begin(w, "", labels);
	fprintf(w->out, " %.15g\n", value);
}

#define LABELS(...)               \
	(const char *const[])     \
	{                         \
		__VA_ARGS__, NULL \
	}

/* ---- counting by name ------------------------------------------------------------------------ */

/*
 * Two lines with the same labels would make Prometheus refuse all of them, so equal names are one:
 * two go statements on one line, say, or what is equal once it is UTF-8.
 */
struct tally {
	struct {
		char name[512];
		uint64_t n;
	} * v;
	size_t n;
};

static void tally(struct tally *t, const char *text, uint64_t n)
{
	char name[sizeof t->v->name];
	void *v;

	snprintf(name, sizeof name, "%s", text);
	report_clean(name);
	for (size_t i = 0; i < t->n; i++) {
		if (!strcmp(t->v[i].name, name)) {
			t->v[i].n += n;
			return;
		}
	}
	v = realloc(t->v, (t->n + 1) * sizeof *t->v);
	if (!v)
		return;
	t->v = v;
	memcpy(t->v[t->n].name, name, sizeof name);
	t->v[t->n++].n = n;
}

static void put_tally(const struct writer *w, const char *label, struct tally *t)
{
	for (size_t i = 0; i < t->n; i++)
		count(w, LABELS(label, t->v[i].name), t->v[i].n);
	free(t->v);
}

/* ---- goroutines ------------------------------------------------------------------------------ */

static void put_goroutines(struct writer *w)
{
	const struct goro_snapshot *s = w->m->snap;
	struct tally states = { 0 };
	struct goro_group *groups;
	size_t n = 0;

	family(w, "go_goroutines", "gauge", NULL, "Number of goroutines that currently exist.");
	count(w, NULL, goro_snapshot_count(s));
	family(w, "go_threads", "gauge", NULL, "Number of OS threads created.");
	count(w, NULL, s->threads);
	family(w, "go_sched_gomaxprocs_threads", "gauge", "threads",
	       "Threads that may run goroutines at the same time (GOMAXPROCS).");
	count(w, NULL, s->nprocs);
	family(w, "go_info", "gauge", NULL, "The runtime, always 1.");
	count(w, LABELS("version", s->runtime), 1);

	family(w, "goro_goroutines", "gauge", NULL,
	       "Goroutines by what they do or wait for, in Go's words.");
	groups = goro_groups(s, GORO_BY_STATE, NULL, &n);
	for (size_t i = 0; groups && i < n; i++)
		tally(&states, goro_state_text(&s->g[groups[i].members[0]]), groups[i].n);
	put_tally(w, "state", &states);
	goro_groups_free(groups, n);
}

static void name_site(const struct writer *w, const struct goro_info *g, char site[512])
{
	struct goro_frame f;

	if (!goro_scope_spawn_site(w->m->scope, g, &f))
		snprintf(site, 512, g->flags & GORO_FLAG_FOREIGN ? "(a thread)" : "main");
	else if (f.function && f.file)
		snprintf(site, 512, "%s at %s:%" PRIu32, f.function, goro_basename(f.file), f.line);
	else if (f.function)
		snprintf(site, 512, "%s+0x%" PRIx64, f.function, f.function_offset);
	else if (f.module)
		snprintf(site, 512, "%s+0x%" PRIx64, goro_basename(f.module), f.module_offset);
	else
		snprintf(site, 512, "0x%" PRIx64, f.pc);
}

/* The biggest `top` spawn sites; the rest together is "other". */
static void put_sites(struct writer *w)
{
	struct tally sites = { 0 };
	struct goro_group *groups;
	char site[512];
	size_t n = 0;

	family(w, "goro_spawn_site_goroutines", "gauge", NULL,
	       "Goroutines by the go statement that started them; the biggest sites, and all "
	       "others together.");
	groups = goro_groups(w->m->snap, GORO_BY_SPAWN, NULL, &n);
	for (size_t i = 0; groups && i < n; i++) {
		if (i < w->m->top)
			name_site(w, &w->m->snap->g[groups[i].members[0]], site);
		tally(&sites, i < w->m->top ? site : "other", groups[i].n);
	}
	put_tally(w, "site", &sites);
	goro_groups_free(groups, n);
}

static void put_verdicts(struct writer *w)
{
	const struct goro_verdicts *v = w->m->verdicts;

	if (!v)
		return;
	family(w, "goro_verdict_goroutines", "gauge", NULL,
	       "Goroutines that can never go on (leaked, proved), or are suspicious by growth "
	       "(likely) or by age (suspect).");
	count(w, LABELS("verdict", "leaked"), v->leaked);
	count(w, LABELS("verdict", "likely"), v->likely);
	count(w, LABELS("verdict", "suspect"), v->suspect);
	family(w, "goro_deadlocked", "gauge", NULL, "1 if all goroutines are asleep for ever.");
	count(w, NULL, w->m->snap->deadlocked);
}

static void put_memory(struct writer *w)
{
	const struct goro_snapshot *s = w->m->snap;
	uint64_t reserved = 0, used = 0, resident = 0;
	struct goro_walk walk = { .snap = s };
	const struct goro_info *g;

	while ((g = goro_snapshot_next(&walk))) {
		reserved += g->stack_hi - g->stack_lo;
		used += g->stack_used;
		resident += g->stack_resident;
	}
	family(w, "goro_stack_bytes", "gauge", "bytes",
	       "Bytes of goroutines' stacks: address space, in use by those that wait, in memory.");
	count(w, LABELS("kind", "reserved"), reserved);
	count(w, LABELS("kind", "used"), used);
	count(w, LABELS("kind", "resident"), resident);
	family(w, "process_resident_memory_bytes", "gauge", "bytes", "Resident memory size.");
	count(w, NULL, s->rss);
	family(w, "process_cpu_seconds", "counter", "seconds", "User and system CPU time spent.");
	real(w, NULL, (double)s->cpu_ns / 1e9);
	family(w, "process_start_time_seconds", "gauge", "seconds",
	       "Start time of the runtime since the epoch.");
	real(w, NULL, (double)(s->wall_time - (int64_t)s->uptime_ns) / 1e9);
}

/* ---- the scheduler --------------------------------------------------------------------------- */

/* Cumulative, as Prometheus wants it, at every fourth power: 10 ns to a minute in 20 lines. The sum
 * is not known exactly; each duration is taken for the middle of its bucket. */
static void put_histogram(struct writer *w, const struct goro_histogram *h)
{
	uint64_t below = 0;
	double sum = 0;

	for (unsigned i = 0; i < GORO_BUCKETS; i++) {
		char bound[32];

		below += h->n[i];
		sum += (double)h->n[i] * (i ? 0.75 * (double)(UINT64_C(1) << i) : 0) / 1e9;
		if (i % 2 || i < 6)
			continue;
		snprintf(bound, sizeof bound, "%.9g", (double)(UINT64_C(1) << i) / 1e9);
		begin(w, "_bucket", LABELS("le", bound));
		fprintf(w->out, " %" PRIu64 "\n", below);
	}
	begin(w, "_bucket", LABELS("le", "+Inf"));
	fprintf(w->out, " %" PRIu64 "\n", below);
	begin(w, "_sum", NULL);
	fprintf(w->out, " %.9g\n", sum);
	begin(w, "_count", NULL);
	fprintf(w->out, " %" PRIu64 "\n", below);
}

static void put_histograms(struct writer *w)
{
	const struct goro_snapshot *s = w->m->snap;
	struct goro_histogram slices = { 0 }, latencies = { 0 };

	for (size_t i = 0; i < s->nprocs; i++) {
		goro_histogram_add(&slices, &s->procs[i].slices);
		goro_histogram_add(&latencies, &s->procs[i].latencies);
	}
	family(w, "go_sched_latencies_seconds", "histogram", "seconds",
	       "The time goroutines were runnable before they ran (a sample).");
	put_histogram(w, &latencies);
	family(w, "goro_run_slices_seconds", "histogram", "seconds",
	       "The time goroutines ran before they let go of the processor (a sample).");
	put_histogram(w, &slices);
}

static void put_counters(struct writer *w)
{
	const struct goro_snapshot *s = w->m->snap;
	struct goro_proc sum = { 0 };

	for (size_t i = 0; i < s->nprocs; i++) {
		const struct goro_proc *p = &s->procs[i];

		sum.nspawn += p->nspawn;
		sum.nexit += p->nexit;
		sum.nswitch += p->nswitch;
		sum.npark += p->npark;
		sum.nyield += p->nyield;
		sum.nsteal += p->nsteal;
		sum.nretake += p->nretake;
		sum.nspin += p->nspin;
	}
	family(w, "goro_started", "counter", NULL, "Goroutines started.");
	count(w, NULL, sum.nspawn);
	family(w, "goro_ended", "counter", NULL, "Goroutines ended.");
	count(w, NULL, sum.nexit);
	family(w, "goro_reclaimed", "counter", NULL,
	       "Leaked goroutines that were unwound (GORO_RECLAIM).");
	count(w, NULL, w->m->snap->reclaimed);
	family(w, "goro_switches", "counter", NULL,
	       "Times that a goroutine was given a processor.");
	count(w, NULL, sum.nswitch);
	family(w, "goro_parks", "counter", NULL,
	       "Times that a goroutine gave up its processor: waits, yields and ends.");
	count(w, NULL, sum.npark);
	family(w, "goro_yields", "counter", NULL, "Calls of goro_yield().");
	count(w, NULL, sum.nyield);
	family(w, "goro_steals", "counter", NULL,
	       "Goroutines taken from another processor's queue.");
	count(w, NULL, sum.nsteal);
	family(w, "goro_retakes", "counter", NULL,
	       "Processors taken from a goroutine that computed or blocked too long.");
	count(w, NULL, sum.nretake);
	family(w, "goro_spins", "counter", NULL,
	       "Times that a processor without work looked for some elsewhere.");
	count(w, NULL, sum.nspin);

	family(w, "goro_run_queue_goroutines", "gauge", NULL,
	       "Goroutines that could run and wait for a processor, by queue.");
	for (size_t i = 0; i < s->nprocs; i++) {
		char p[16];

		snprintf(p, sizeof p, "%" PRIu32, s->procs[i].id);
		count(w, LABELS("queue", p), s->procs[i].runq_len);
	}
	count(w, LABELS("queue", "global"), s->global_runq);
	family(w, "goro_timers", "gauge", NULL, "Goroutines that sleep, and armed timers.");
	count(w, NULL, s->timers);
}

/* What this look could not see, and what it cost. */
static void put_trust(struct writer *w)
{
	const struct goro_snapshot *s = w->m->snap;

	family(w, "goro_look_seconds", "gauge", "seconds", "How long this look took.");
	real(w, NULL, (double)s->cost_ns / 1e9);
	family(w, "goro_look_missing", "gauge", NULL,
	       "What this look has not: goroutines whose stack moved (torn) or does not reach its "
	       "end (truncated), and unreadable records.");
	count(w, LABELS("what", "torn"), s->torn);
	count(w, LABELS("what", "truncated"), s->truncated);
	count(w, LABELS("what", "records"), s->bad_records);
}

void report_openmetrics(FILE *out, const struct metrics *m)
{
	struct writer w = { .out = out, .m = m };

	put_goroutines(&w);
	put_verdicts(&w);
	put_sites(&w);
	put_memory(&w);
	put_counters(&w);
	put_histograms(&w);
	put_trust(&w);
	if (!m->older)
		fputs("# EOF\n", out);
}
