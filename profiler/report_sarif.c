/* SPDX-License-Identifier: MIT */
/*
 * report_sarif.c - findings as SARIF 2.1.0 (OASIS, 2020), which code scanners and editors read.
 *
 * One result a site: where it stands, who started it as a related location, its stack, and a
 * fingerprint that stays the same when lines move. What is suppressed or in the baseline is there
 * too, marked in the format's own way, so that whoever reads it sees what the gate saw.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "filter.h"
#include "report.h"

static const struct {
	const char *name, *text, *help;
} rules[] = {
	[SITE_LEAKED] = { "LeakedGoroutine", "A goroutine can never go on.",
			  "It waits for what nobody can give it any more. The evidence says why." },
	[SITE_DEADLOCK] = { "Deadlock", "All goroutines are asleep.",
			    "Nobody is left who could wake another." },
	[SITE_LOCKORDER] = { "LockOrder", "Locks are taken in both orders.",
			     "Two goroutines that do this at once are in a deadlock. Take them in "
			     "one order everywhere." },
	[SITE_PTHREAD] = { "ThreadLockHeldOverWait",
			   "A goroutine waits while it holds a pthread mutex.",
			   "Whoever wants it blocks a thread, and the goroutine may go on on "
			   "another "
			   "one. Unlock it before, or use a goro_mutex." },
	[SITE_LIKELY] = { "GrowingGoroutines", "A go statement's goroutines only grow in number.",
			  "At each look more of them waited, and none had been woken." },
	[SITE_SUSPECT] = { "OldWait", "A goroutine has not moved for long.",
			   "That may be right: this is a suspicion, by age alone." },
	[SITE_LEFTOVER] = { "GoroutineLeftAtExit", "A goroutine is left over when main has ended.",
			    "Wait for it, or tell it to end, before main returns." },
};

/* A file's name as a URI: what is not plain is escaped. */
static json_t *uri(const char *path)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~/";
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	json_t *value;

	if (!out)
		return json_string("");
	fputs(*path == '/' ? "file://" : "", out);
	for (; *path; path++)
		fprintf(out, strchr(plain, *path) ? "%c" : "%%%02X", (unsigned char)*path);
	fclose(out);
	value = json_string(text);
	free(text);
	return value;
}

static json_t *artifact(const char *file)
{
	const char *relative = report_relative(file);
	json_t *location = json_pack("{s:o}", "uri", uri(relative));

	if (*relative != '/')
		json_object_set_new(location, "uriBaseId", json_string("SRCROOT"));
	return location;
}

/*
 * A location of a frame in JSON, or of none; its message is optional. It has a file in any case:
 * GitHub's code scanning throws away all of a report in which one result has none. That is the
 * source, or the executable or library where there is no debug information, or the program.
 */
static json_t *location(const json_t *frame, const char *program, const char *message)
{
	const json_t *function = json_object_get(frame, "function");
	const char *file = json_string_value(json_object_get(frame, "file"));
	const char *module = json_string_value(json_object_get(frame, "module"));
	json_int_t line = json_integer_value(json_object_get(frame, "line"));
	json_t *all = json_object(), *place;

	place = json_pack("{s:o}", "artifactLocation",
			  artifact(file	    ? file
				   : module ? module
					    : program));
	if (file && line > 0)
		json_object_set_new(place, "region", json_pack("{s:I}", "startLine", line));
	json_object_set_new(all, "physicalLocation", place);
	if (json_is_string(function))
		json_object_set_new(all, "logicalLocations",
				    json_pack("[{s:s, s:s}]", "name", json_string_value(function),
					      "kind", "function"));
	if (message)
		json_object_set_new(all, "message", json_pack("{s:s}", "text", message));
	return all;
}

static bool is_runtime(const json_t *frame)
{
	return json_is_true(json_object_get(frame, "runtime"));
}

/* As in text: what is the runtime's own is not the program's bug. */
static json_t *stacks(const struct site *s)
{
	const json_t *list = json_object_get(json_object_get(s->details, "stack"), "frames");
	json_t *frames = json_array();
	size_t n = json_array_size(list), shown = 0;

	for (size_t i = 0; i < n; i++)
		shown += !is_runtime(json_array_get(list, i));
	for (size_t i = 0; i < n; i++) {
		const json_t *frame = json_array_get(list, i);
		const char *module = json_string_value(json_object_get(frame, "module"));
		json_t *one;

		if (shown && is_runtime(frame))
			continue;
		one = json_pack("{s:o}", "location", location(frame, s->program, NULL));
		if (module)
			json_object_set_new(one, "module",
					    report_json_string(goro_basename(module)));
		json_array_append_new(frames, one);
	}
	return json_pack("[{s:o}]", "frames", frames);
}

static json_t *message(const struct site *s)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	json_t *value;

	if (!out)
		return json_null();
	site_title(out, s);
	if (*s->evidence)
		fprintf(out, "\n%s", s->evidence);
	fclose(out);
	value = report_json_string(text);
	free(text);
	return value;
}

static json_t *suppression(const struct rule *rule)
{
	json_t *one = json_pack("{s:s}", "kind", "external");

	json_object_set_new(one, "justification",
			    report_json_string(rule->reason ? rule->reason : rule->text));
	return json_pack("[o]", one);
}

/* Where it stands, or was started: one with a line, if there is one. */
static const json_t *any_frame(const struct site *s)
{
	const json_t *frame = report_site_frame(s), *blocked;

	blocked = json_object_get(s->details, "blocked");
	return frame			 ? frame
	       : json_is_object(blocked) ? blocked
					 : json_object_get(s->details, "spawn");
}

static json_t *result(const struct report_gate *r, const struct site *s)
{
	const json_t *spawn = json_object_get(s->details, "spawn"), *frame = any_frame(s);
	json_t *all = json_pack("{s:s, s:i, s:s, s:{s:o}, s:I, s:{s:s}}", "ruleId",
				site_kind_name(s->kind), "ruleIndex", (int)s->kind, "level",
				report_site_fails(r, s) ? "error" : "note", "message", "text",
				message(s), "occurrenceCount", (json_int_t)s->count,
				"partialFingerprints", "goroSite/v1", s->id);

	json_object_set_new(all, "locations", json_pack("[o]", location(frame, s->program, NULL)));
	if (json_is_object(spawn))
		json_object_set_new(all, "relatedLocations",
				    json_pack("[o]", location(spawn, s->program, "started here")));
	if (json_is_object(json_object_get(s->details, "stack")))
		json_object_set_new(all, "stacks", stacks(s));
	if (s->rule)
		json_object_set_new(all, "suppressions", suppression(s->rule));
	if (r->baseline)
		json_object_set_new(all, "baselineState",
				    json_string(s->known ? "unchanged" : "new"));
	return all;
}

static json_t *driver(void)
{
	json_t *list = json_array();

	for (int kind = 0; kind < SITE_KINDS; kind++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:{s:s}, s:{s:s}}", "id",
						      site_kind_name((enum site_kind)kind), "name",
						      rules[kind].name, "shortDescription", "text",
						      rules[kind].text, "help", "text",
						      rules[kind].help));
	return json_pack("{s:s, s:s, s:o}", "name", "goro", "version", GORO_VERSION, "rules", list);
}

/* What relative names begin at, with the '/' that the format wants. */
static json_t *root(void)
{
	char *here = report_root(), *slash = NULL;
	json_t *value;

	if (!here || asprintf(&slash, "%s/", here) < 0)
		slash = NULL;
	value = json_pack("{s:{s:o}}", "SRCROOT", "uri", uri(slash ? slash : "/"));
	free(slash);
	free(here);
	return value;
}

/* Our own run, which succeeds also when the program fails, or has findings. */
static json_t *invocation(const struct report_gate *r)
{
	json_t *one = json_pack("{s:o, s:b, s:i}", "commandLine", report_json_string(r->subject),
				"executionSuccessful", r->trouble != REPORT_BROKEN, "exitCode",
				r->status);

	if (r->trouble == REPORT_BROKEN || r->trouble == REPORT_UNCHECKED)
		json_object_set_new(one, "toolExecutionNotifications",
				    json_pack("[{s:s, s:{s:o}}]", "level",
					      r->trouble == REPORT_BROKEN ? "error" : "warning",
					      "message", "text", report_json_string(r->why)));
	return one;
}

void report_sarif(const struct report_gate *r)
{
	json_t *results = json_array(), *all;

	for (size_t i = 0; i < r->sites->n; i++)
		json_array_append_new(results, result(r, &r->sites->v[i]));
	all = json_pack("{s:s, s:s, s:[{s:{s:o}, s:[o], s:o, s:s, s:o}]}", "$schema",
			"https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/"
			"sarif-schema-2.1.0.json",
			"version", "2.1.0", "runs", "tool", "driver", driver(), "invocations",
			invocation(r), "originalUriBaseIds", root(), "columnKind", "utf16CodeUnits",
			"results", results);
	json_dumpf(all, r->out, JSON_INDENT(2));
	fputc('\n', r->out);
	json_decref(all);
}
