/* SPDX-License-Identifier: MIT */
/*
 * report_leaks.c - verdicts with their evidence.
 */
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "goro_introspect.h"

#define IDS_SHOWN    8
#define PLACES_SHOWN 8

static void put_evidence(const struct report *r, const char *text)
{
	while (*text) {
		const char *end = strchrnul(text, '\n');
		char *line = strndup(text, (size_t)(end - text));

		fputs("  ", r->out);
		report_put(r->out, line);
		fputc('\n', r->out);
		free(line);
		text = *end ? end + 1 : end;
	}
}

static void put_members(const struct report *r, const struct goro_finding *f)
{
	fputs(f->n == 1 ? "  goroutine" : "  goroutines", r->out);
	for (size_t i = 0; i < f->nmembers && i < IDS_SHOWN; i++)
		fprintf(r->out, "%s%" PRIu64, i ? ", " : " ", r->snap->g[f->members[i]].id);
	if (f->n > IDS_SHOWN)
		fprintf(r->out, " and %zu more", f->n - IDS_SHOWN);
	fputc('\n', r->out);
}

static void put_place(const struct report *r, const struct goro_info *g)
{
	struct goro_frame site;

	report_frames(r, g, "      ");
	if (goro_scope_spawn_site(r->scope, g, &site) && g->spawn_pc) {
		fputs("  started by ", r->out);
		report_frame(r->out, &site);
		fputc('\n', r->out);
	}
}

static bool same_place(const struct report *r, const struct goro_info *a, const struct goro_info *b)
{
	return a->stack_id == b->stack_id &&
	       goro_snapshot_site(r->snap, a->spawn_pc) == goro_snapshot_site(r->snap, b->spawn_pc);
}

/* Those of a cycle stand at different places; all others of a finding at one. */
static void put_places(const struct report *r, const struct goro_finding *f)
{
	const struct goro_info *shown[PLACES_SHOWN];
	size_t n = 0;

	for (size_t i = 0; i < f->nmembers && n < PLACES_SHOWN; i++) {
		const struct goro_info *g = &r->snap->g[f->members[i]];
		size_t k = 0;

		while (k < n && !same_place(r, shown[k], g))
			k++;
		if (k < n)
			continue;
		put_place(r, g);
		shown[n++] = g;
	}
}

static void put_finding(const struct report *r, const struct goro_finding *f)
{
	const struct goro_info *g = &r->snap->g[f->members[0]];
	uint64_t oldest = 0;
	char age[TEXT_NUMBER];

	for (size_t i = 0; i < f->nmembers; i++) {
		if (r->snap->g[f->members[i]].wait_ns > oldest)
			oldest = r->snap->g[f->members[i]].wait_ns;
	}
	report_style(r, f->verdict == GORO_VERDICT_LEAKED ? "1;31" : "1;33");
	fputs(report_verdict_name(f->verdict), r->out);
	report_style(r, "");
	fprintf(r->out, " (%s): %zu goroutine%s [%s, %s%s]\n", report_proof_name(f->proof), f->n,
		plural(f->n), goro_state_text(g), f->n == 1 ? "" : "up to ",
		text_duration(age, oldest));
	put_evidence(r, f->evidence);
	put_places(r, f);
	put_members(r, f);
	fputc('\n', r->out);
}

/* What it cost the program. */
static void put_stops(const struct report *r, const struct goro_reach *reach)
{
	if (reach->stops)
		fprintf(r->out, "it was stopped for %.1f ms%s%s\n", (double)reach->pause_ns / 1e6,
			reach->stops > 1 ? " at most, more than once" : "",
			reach->copied ? ", and copied meanwhile" : "");
	if (reach->note[0])
		fprintf(r->out,
			"%s: all that may be in it counts as in use, which can hide leaks\n",
			reach->note);
}

void report_leaks_text(const struct report *r, const struct goro_verdicts *v)
{
	for (size_t i = 0; i < v->n; i++)
		put_finding(r, &v->findings[i]);
	fprintf(r->out, "%zu goroutine%s: %zu leaked, %zu likely, %zu suspect\n", r->snap->ng,
		plural(r->snap->ng), v->leaked, v->likely, v->suspect);
	put_stops(r, &v->reach);
}

static json_t *finding_json(const struct report *r, const struct goro_finding *f)
{
	const struct goro_info *g = &r->snap->g[f->members[0]];
	json_t *ids = json_array(), *stack = json_null(), *spawn = json_null();
	struct goro_frame site;

	for (size_t i = 0; i < f->nmembers; i++)
		json_array_append_new(ids, json_integer((json_int_t)r->snap->g[f->members[i]].id));
	if (g->stack_id != GORO_NO_STACK)
		stack = report_json_stack(r, g->stack_id);
	if (g->spawn_pc && goro_scope_spawn_site(r->scope, g, &site))
		spawn = report_json_frame(&site);
	return json_pack("{s:o, s:s, s:I, s:s, s:o, s:o, s:o, s:o, s:I, s:I}", "verdict",
			 report_json_verdict(f->verdict), "proof", report_proof_name(f->proof),
			 "count", (json_int_t)f->n, "wait_reason", goro_state_text(g), "evidence",
			 report_json_string(f->evidence), "spawn", spawn, "stack", stack,
			 "goroutines", ids, "heap_bytes", (json_int_t)f->heap_bytes, "stack_bytes",
			 (json_int_t)f->stack_bytes);
}

static json_t *reach_json(const struct goro_reach *reach)
{
	return json_pack("{s:b, s:o, s:I, s:I, s:b, s:I, s:I, s:I, s:o}", "known",
			 reach->tried && !reach->unknown[0], "unknown",
			 reach->unknown[0] ? report_json_string(reach->unknown) : json_null(),
			 "stops", (json_int_t)reach->stops, "pause_ns", (json_int_t)reach->pause_ns,
			 "copied", reach->copied, "root_bytes", (json_int_t)reach->root_bytes,
			 "objects", (json_int_t)reach->objects, "object_bytes",
			 (json_int_t)reach->object_bytes, "note",
			 reach->note[0] ? report_json_string(reach->note) : json_null());
}

void report_leaks_json(const struct report *r, const struct goro_verdicts *v, uint64_t why)
{
	json_t *all = report_json_head(r), *findings = json_array();

	for (size_t i = 0; i < v->n; i++)
		json_array_append_new(findings, finding_json(r, &v->findings[i]));
	json_object_set_new(all, "goroutines", json_integer((json_int_t)r->snap->ng));
	json_object_set_new(all, "leaked", json_integer((json_int_t)v->leaked));
	json_object_set_new(all, "likely", json_integer((json_int_t)v->likely));
	json_object_set_new(all, "suspect", json_integer((json_int_t)v->suspect));
	json_object_set_new(all, "findings", findings);
	if (v->reach.tried)
		json_object_set_new(all, "reachability", reach_json(&v->reach));
	if (why)
		json_object_set_new(all, "why", report_why_json(r, v, why));
	json_dumpf(all, r->out, JSON_INDENT(2));
	fputc('\n', r->out);
	json_decref(all);
}
