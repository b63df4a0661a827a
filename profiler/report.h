/* SPDX-License-Identifier: MIT */
/*
 * report.h - snapshots, verdicts and process lists as text and as data.
 *
 * Whatever comes from a target (names, paths) is data of a stranger: text reports show control
 * characters as '?', JSON gets valid UTF-8.
 */
#ifndef GORO_REPORT_H
#define GORO_REPORT_H

#include <jansson.h>
#include "profiler.h"
#include "text.h"

struct report {
	FILE *out;
	struct goro_scope *scope;
	const struct goro_snapshot *snap;
	bool colour;
};

/* ---- report_util.c --------------------------------------------------------------------------- */

void report_put(FILE *out, const char *text); /* '?' for control characters and what is no UTF-8 */
void report_clean(char *text);		      /* the same, in place */
bool report_is_c1(const char *text); /* does it begin with U+0080 to U+009F, control characters? */
size_t report_utf8_length(const char *text); /* of the valid UTF-8 character it begins with; or 0 */
void report_style(const struct report *r, const char *sgr); /* "1;31"; "" ends it */
const char *report_state_name(const struct goro_info *g);   /* "waiting", never its reason */
const char *report_verdict_name(unsigned verdict);
const char *report_proof_name(unsigned proof); /* NULL for none */

/* "FUNCTION at FILE:LINE", as far as it is known. */
void report_frame(FILE *out, const struct goro_frame *f);

/* The first frame of a goroutine that is the program's own. False: not known. */
bool report_blocked_frame(const struct report *r, const struct goro_info *g,
			  struct goro_frame *ret);

/* The frames of a stack, each on a line of its own, or why there are none. */
void report_frames(const struct report *r, const struct goro_info *g, const char *indent);

/* , "name", key=value: what a goroutine carries with it, to stand inside the brackets. */
void report_remarks(const struct report *r, const struct goro_info *g);

/* ", not live: core file PATH" and the like; of a live process only that it stands still. */
void report_source(FILE *out, const struct goro_snapshot *snap);

/* "goroutine 7 [chan receive, 3m]" */
void report_heading(const struct report *r, const struct goro_info *g);

/* ---- report_json.c --------------------------------------------------------------------------- */

/* Another one when a member goes away or means something else: see goro-json(5). */
#define REPORT_JSON_VERSION 2

json_t *report_json_string(const char *text); /* null for NULL */
const char *report_json_verdict_name(unsigned verdict);
json_t *report_json_verdict(unsigned verdict);
json_t *report_json_hex(uint64_t value); /* null for 0 */
json_t *report_json_frame(const struct goro_frame *f);
json_t *report_json_heap(const struct goro_heap *h); /* heap_live, heap_objects, ... */
json_t *report_json_spawn(const struct report *r, const struct goro_info *g); /* or null */
json_t *report_json_head(const struct report *r); /* schema_version, pid, ..., trust */
json_t *report_json_stack(const struct report *r, uint32_t stack_id);

/*
 * Long documents are written piece by piece: as one tree they would cost kilobytes a goroutine.
 * Begin with what report_json_head() gives, not closed; then elements of an array. Takes value
 * over.
 */
bool report_json_begin(const struct report *r);
void report_json_element(FILE *out, json_t *value, bool first);

/* ---- report_json_goroutines.c ---------------------------------------------------------------- */

/* Each goroutine, as the elements of an array. */
void report_json_goroutines(const struct report *r);

/* ---- report_heap.c --------------------------------------------------------------------------- */

/* "2.0 KiB of heap in 3 objects" */
void report_heap(FILE *out, const struct goro_heap *h);
/* All that is held, in a line; nothing where nothing is known. */
void report_heap_summary(const struct report *r);
/* What is held by goroutines that have ended, by who started them. */
void report_heap_sites(const struct report *r);
/* The same, and what no goroutine allocated: "heap": {...} */
json_t *report_heap_json(const struct report *r);

/* ---- whole reports --------------------------------------------------------------------------- */

/* What is left out of a dump: the snapshot holds only what a filter kept. */
struct report_filter {
	const char *text;
	size_t of; /* goroutines before */
};

/* filter: NULL: there is none. */
void report_dump_text(const struct report *r, enum goro_group_key key,
		      const struct report_filter *filter);
void report_dump_json(const struct report *r, const struct report_filter *filter);
void report_dump_go(const struct report *r);

void report_stack_text(const struct report *r, const struct goro_info *g);

void report_leaks_text(const struct report *r, const struct goro_verdicts *v);
/* why: a goroutine whose chain is reported too, or 0. */
void report_leaks_json(const struct report *r, const struct goro_verdicts *v, uint64_t why);

/* ---- report_why.c ---------------------------------------------------------------------------- */

void report_why_text(const struct report *r, const struct goro_verdicts *v, uint64_t id);
json_t *report_why_json(const struct report *r, const struct goro_verdicts *v, uint64_t id);

void report_sched_text(const struct report *r);
void report_sched_json(const struct report *r);

void report_waits_text(const struct report *r);
void report_waits_json(const struct report *r);
void report_waits_dot(const struct report *r);

void report_ps_text(FILE *out, const struct goro_candidate *c, size_t n);
void report_ps_json(FILE *out, const struct goro_candidate *c, size_t n);

/* ---- findings for machines that gate a build ------------------------------------------------- */

struct site;
struct sites;

struct report_gate {
	FILE *out;
	const char *command;	   /* "check" or "leaks" */
	const char *subject;	   /* what was looked at: a command line, a process */
	const struct sites *sites; /* sorted, suppressed and known ones marked */
	unsigned fail;		   /* bit 1 << kind: new sites of that kind fail */
	bool baseline;		   /* there is one */
	int status;		   /* that goro ends with */
	enum report_trouble {
		REPORT_WHOLE,
		REPORT_FAILED,	  /* the program did, and was looked at all the same */
		REPORT_UNCHECKED, /* there was nothing that could be looked at */
		REPORT_BROKEN,	  /* it was not looked at in full */
	} trouble;
	const char *why; /* one line; NULL: REPORT_WHOLE */
};

bool report_site_fails(const struct report_gate *r, const struct site *site);
/* Where to point at: the line where it stands, else where it was started; or NULL. */
const json_t *report_site_frame(const struct site *site);
/* Where the build began: GITHUB_WORKSPACE, or here; no '/' at its end. To be freed; may be NULL. */
char *report_root(void);
/* A file's name from there, or as it is. */
const char *report_relative(const char *path);

void report_junit(const struct report_gate *r);
void report_sarif(const struct report_gate *r);
void report_github(const struct report_gate *r);

#endif /* GORO_REPORT_H */
