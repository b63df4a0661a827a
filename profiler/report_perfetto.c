/* SPDX-License-Identifier: MIT */
/*
 * report_perfetto.c - which goroutine each worker ran when, in the trace event format that
 * ui.perfetto.dev and chrome://tracing read.
 *
 * A run is what samples in a row saw on one worker. Its ends are no more exact than the distance of
 * the samples, and what came and went between two of them is not in it; the name of the track says
 * so, and every run says on how many samples it rests.
 */
#include "report_profile.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "report.h"

/* The function at the root that is the program's own tells more than the leaf at one instant. */
struct place {
	char root[256], leaf[256];
	bool any;
};

static void see(const struct goro_frame *frame, const char *word, void *arg)
{
	struct place *place = arg;

	if (word || frame->runtime)
		return;
	profile_line_name(place->root, sizeof place->root, frame, NULL);
	if (!place->any)
		memcpy(place->leaf, place->root, sizeof place->leaf);
	place->any = true;
}

static void put_run(FILE *out, const struct profile *p, const struct profile_run *run, bool first)
{
	const struct profile_sample at = { .key = { .stack = run->stack } };
	struct place place = { .root = "", .leaf = "" };
	char name[300];
	json_t *event;

	profile_lines(p, &at, see, &place);
	if (run->goroutine)
		snprintf(name, sizeof name, "%s g%" PRIu64, place.any ? place.root : "goroutine",
			 run->goroutine);
	else
		snprintf(name, sizeof name, "%s", run->state);
	event = json_pack("{s:s, s:s, s:o, s:i, s:i, s:f, s:f, s:{s:I, s:i, s:o}}", "ph", "X",
			  "cat", "goroutine", "name", report_json_string(name), "pid", p->pid,
			  "tid", (int)run->tid, "ts", (double)(run->begin - p->begin) / 1e3, "dur",
			  (double)(run->end - run->begin) / 1e3, "args", "goroutine",
			  (json_int_t)run->goroutine, "samples", (int)run->samples, "last seen in",
			  report_json_string(place.leaf));
	report_json_element(out, event, first);
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void put_name(FILE *out, const char *what, const struct profile *p, uint32_t tid,
		     const char *name)
{
	report_json_element(out,
			    json_pack("{s:s, s:s, s:i, s:i, s:{s:o}}", "ph", "M", "name", what,
				      "pid", p->pid, "tid", (int)tid, "args", "name",
				      report_json_string(name)),
			    false);
}

static bool put_names(FILE *out, const struct profile *p)
{
	uint32_t *tids = calloc(p->nruns + 1, sizeof *tids), last = 0;
	char text[512];

	if (!tids)
		return false;
	for (size_t i = 0; i < p->nruns; i++)
		tids[i] = p->runs[i].tid;
	qsort(tids, p->nruns, sizeof *tids, by_value);
	snprintf(text, sizeof text, "%s, sampled at %u Hz", p->program, p->hz);
	put_name(out, "process_name", p, 0, text);
	for (size_t i = 0; i < p->nruns; i++) {
		if (tids[i] == last)
			continue;
		last = tids[i];
		snprintf(text, sizeof text, "worker");
		put_name(out, "thread_name", p, last, text);
	}
	free(tids);
	return true;
}

bool report_perfetto(FILE *out, struct goro_scope *scope, const struct profile *p)
{
	bool ok;

	(void)scope;
	fputs("{\"displayTimeUnit\":\"ms\",\"otherData\":{\"exporter\":\"goro\"},\n"
	      "\"traceEvents\":[",
	      out);
	/* Something must come first, for the commas. */
	report_json_element(out,
			    json_pack("{s:s, s:s, s:i, s:i, s:f, s:s}", "ph", "i", "name",
				      "the profile begins", "pid", p->pid, "tid", p->pid, "ts", 0.0,
				      "s", "p"),
			    true);
	ok = put_names(out, p);
	for (size_t i = 0; i < p->nruns; i++)
		put_run(out, p, &p->runs[i], false);
	fputs("]}\n", out);
	return ok;
}
