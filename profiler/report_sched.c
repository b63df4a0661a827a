/* SPDX-License-Identifier: MIT */
/*
 * report_sched.c - the scheduler: what each processor does and has done, and how long goroutines
 * run and wait to run.
 */
#include "report.h"

#include <inttypes.h>

#include "goro_introspect.h"

#define BAR 40

static const char *proc_status(const struct goro_proc *p)
{
	static const char *const names[] = { "idle", "running", "stopped" };

	return p->status < 3 ? names[p->status] : "unknown";
}

static void sum_up(const struct goro_snapshot *s, struct goro_histogram *slices,
		   struct goro_histogram *latencies)
{
	*slices = *latencies = (struct goro_histogram){ 0 };
	for (size_t i = 0; i < s->nprocs; i++) {
		goro_histogram_add(slices, &s->procs[i].slices);
		goro_histogram_add(latencies, &s->procs[i].latencies);
	}
}

/* From nanoseconds on: "64ns", "4.1us", "17ms". */
static const char *fine(char text[TEXT_NUMBER], uint64_t ns)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	double value = (double)ns;
	size_t unit = 0;

	for (; value >= 1000 && unit < 3; unit++)
		value /= 1000;
	snprintf(text, TEXT_NUMBER, "%.*f%s", value < 9.95 && unit ? 1 : 0, value, units[unit]);
	return text;
}

/* ---- text ------------------------------------------------------------------------------------ */

static void put_procs(const struct report *r)
{
	fprintf(r->out, "  P  %-8s %6s %8s %10s %6s %11s %11s %11s %9s %8s %8s\n", "STATE",
		"WORKER", "TID", "GOROUTINE", "QUEUE", "SWITCHES", "PARKS", "YIELDS", "STEALS",
		"RETAKES", "SPINS");
	for (size_t i = 0; i < r->snap->nprocs; i++) {
		const struct goro_proc *p = &r->snap->procs[i];
		char worker[16] = "-", tid[16] = "-", running[24] = "-";

		if (p->tid) {
			snprintf(worker, sizeof worker, "%" PRIu32, p->m_id);
			snprintf(tid, sizeof tid, "%" PRIu32, p->tid);
		}
		if (p->running)
			snprintf(running, sizeof running, "%" PRIu64, p->running);
		fprintf(r->out,
			"%3" PRIu32 "  %-8s %6s %8s %10s %6" PRIu32 " %11" PRIu64 " %11" PRIu64
			" %11" PRIu64 " %9" PRIu64 " %8" PRIu64 " %8" PRIu64 "\n",
			p->id, proc_status(p), worker, tid, running, p->runq_len, p->nswitch,
			p->npark, p->nyield, p->nsteal, p->nretake, p->nspin);
	}
}

/* Who runs although no P says so: else a program that does nothing but compute looked idle. */
static void put_without_p(const struct report *r)
{
	enum { MOST = 16 };
	size_t n = 0;

	for (size_t i = 0; i < r->snap->ng; i++) {
		const struct goro_info *g = &r->snap->g[i];

		if (!goro_snapshot_without_p(r->snap, g) || n++ >= MOST)
			continue;
		fprintf(r->out, "%s goroutine %" PRIu64 " on worker %" PRIu32,
			n == 1 ? "run on, their P taken away for others:" : ",", g->id, g->m_id);
	}
	if (n > MOST)
		fprintf(r->out, ", and %zu more", n - MOST);
	if (n)
		fputc('\n', r->out);
}

static void put_histogram(const struct report *r, const char *title, const struct goro_histogram *h)
{
	uint64_t total = goro_histogram_count(h), most = 0;
	unsigned first = GORO_BUCKETS, last = 0;
	char p50[TEXT_NUMBER], p99[TEXT_NUMBER], max[TEXT_NUMBER];

	for (unsigned i = 0; i < GORO_BUCKETS; i++) {
		if (!h->n[i])
			continue;
		first = first == GORO_BUCKETS ? i : first;
		last = i;
		most = h->n[i] > most ? h->n[i] : most;
	}
	if (!total) {
		fprintf(r->out, "\n%s: not measured yet\n", title);
		return;
	}
	fprintf(r->out, "\n%s: half below %s, 99%% below %s, all below %s; %" PRIu64 " measured\n",
		title, fine(p50, goro_histogram_quantile(h, .5)),
		fine(p99, goro_histogram_quantile(h, .99)),
		fine(max, goro_histogram_quantile(h, 1)), total);
	for (unsigned i = first; i <= last; i++) {
		char bound[TEXT_NUMBER];
		int bar = (int)((h->n[i] * BAR + most - 1) / most);

		fprintf(r->out, "  < %8s %10" PRIu64 " %.*s\n", fine(bound, UINT64_C(1) << i),
			h->n[i], bar, "########################################");
	}
}

void report_sched_text(const struct report *r)
{
	const struct goro_snapshot *s = r->snap;
	struct goro_histogram slices, latencies;
	char uptime[TEXT_NUMBER];

	report_put(r->out, s->name);
	fprintf(r->out, " (pid %d), ", s->pid);
	report_put(r->out, s->runtime);
	fprintf(r->out,
		", up %s: %zu goroutines, %" PRIu32 " workers, %" PRIu32
		" in the global queue, %" PRIu32 " timers\n\n",
		text_duration(uptime, s->uptime_ns), goro_snapshot_count(s), s->threads,
		s->global_runq, s->timers);
	put_procs(r);
	put_without_p(r);
	sum_up(s, &slices, &latencies);
	put_histogram(r, "from runnable to running", &latencies);
	put_histogram(r, "run at a time", &slices);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* Pairs of a bound and a count, without the empty ones. */
static json_t *json_histogram(const struct goro_histogram *h)
{
	json_t *buckets = json_array();

	for (unsigned i = 0; i < GORO_BUCKETS; i++) {
		if (h->n[i])
			json_array_append_new(buckets, json_pack("{s:I, s:I}", "below_ns",
								 (json_int_t)(UINT64_C(1) << i),
								 "count", (json_int_t)h->n[i]));
	}
	return json_pack("{s:I, s:I, s:I, s:o}", "count", (json_int_t)goro_histogram_count(h),
			 "p50_ns", (json_int_t)goro_histogram_quantile(h, .5), "p99_ns",
			 (json_int_t)goro_histogram_quantile(h, .99), "buckets", buckets);
}

static json_t *json_proc(const struct goro_proc *p)
{
	return json_pack(
		"{s:i, s:s, s:o, s:o, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "id",
		(int)p->id, "state", proc_status(p), "tid",
		p->tid ? json_integer(p->tid) : json_null(), "running",
		p->running ? json_integer((json_int_t)p->running) : json_null(), "run_queue",
		(int)p->runq_len, "switches", (json_int_t)p->nswitch, "started",
		(json_int_t)p->nspawn, "ended", (json_int_t)p->nexit, "parks", (json_int_t)p->npark,
		"yields", (json_int_t)p->nyield, "steals", (json_int_t)p->nsteal, "retakes",
		(json_int_t)p->nretake, "spins", (json_int_t)p->nspin, "slices",
		json_histogram(&p->slices), "latencies", json_histogram(&p->latencies));
}

void report_sched_json(const struct report *r)
{
	const struct goro_snapshot *s = r->snap;
	struct goro_histogram slices, latencies;

	if (!report_json_begin(r))
		return;
	sum_up(s, &slices, &latencies);
	fprintf(r->out,
		",\n\"workers\":%" PRIu32 ",\"global_queue\":%" PRIu32 ",\"timers\":%" PRIu32
		",\n\"latencies\":",
		s->threads, s->global_runq, s->timers);
	report_json_element(r->out, json_histogram(&latencies), true);
	fputs(",\n\"slices\":", r->out);
	report_json_element(r->out, json_histogram(&slices), true);
	fputs(",\n\"processors\":[", r->out);
	for (size_t i = 0; i < s->nprocs; i++)
		report_json_element(r->out, json_proc(&s->procs[i]), i == 0);
	fputs("],\n\"without_processor\":[", r->out);
	for (size_t i = 0, n = 0; i < s->ng; i++) {
		if (goro_snapshot_without_p(s, &s->g[i]))
			report_json_element(r->out,
					    json_pack("{s:I, s:I}", "goroutine",
						      (json_int_t)s->g[i].id, "worker",
						      (json_int_t)s->g[i].m_id),
					    n++ == 0);
	}
	fputs("]}\n", r->out);
}
