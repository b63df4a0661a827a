/* SPDX-License-Identifier: MIT */
/*
 * check_report.c - print the findings of goro check: each group once, the worst first.
 */
#include "check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "text.h"

static void put_lines(FILE *out, const char *text, const char *indent)
{
	while (*text) {
		size_t length = strcspn(text, "\n");
		char *line = strndup(text, length);

		fputs(indent, out);
		report_put(out, line);
		fputc('\n', out);
		free(line);
		text += length + (text[length] == '\n');
	}
}

static void put_site(FILE *out, const struct check_options *opt, const struct site *s)
{
	site_title(out, s);
	if (site_is_warning(s) && s->count > 1)
		fprintf(out, ", said %zu times", s->count);
	if (opt->repeat > 1)
		fprintf(out, ", in %zu of %" PRIu64 " runs", s->runs, opt->repeat);
	fputs(opt->fail & 1u << s->kind ? "\n" : " (does not fail: see --fail-on)\n", out);
	if (*s->blocked)
		fprintf(out, "  blocked in %s\n", s->blocked);
	if (!site_is_warning(s))
		fprintf(out, *s->spawn ? "  started by %s\n" : "  the main goroutine%s\n",
			s->spawn);
	put_lines(out, s->evidence, "  ");
	fputs(s->frames, out);
	fputc('\n', out);
}

/* "2 goroutines in 1 group, 1 warning" */
static void put_sum(FILE *out, size_t goroutines, size_t groups, size_t warnings)
{
	fputs("goro: check: ", out);
	if (groups)
		fprintf(out, "%zu goroutine%s in %zu group%s%s", goroutines, plural(goroutines),
			groups, plural(groups), warnings ? ", " : "");
	if (warnings)
		fprintf(out, "%zu warning%s", warnings, plural(warnings));
	fputc('\n', out);
}

static void report_text(FILE *out, const struct check_options *opt, const struct check_findings *f)
{
	size_t goroutines = 0, groups = 0, warnings = 0;

	for (size_t i = 0; i < f->sites.n; i++) {
		const struct site *s = &f->sites.v[i];

		if (!site_is_new(s))
			continue;
		put_site(out, opt, s);
		goroutines += site_is_warning(s) ? 0 : s->count;
		groups += !site_is_warning(s);
		warnings += site_is_warning(s);
	}
	if (groups || warnings)
		put_sum(out, goroutines, groups, warnings);
}

static json_t *site_json(const struct site *s)
{
	json_t *one = json_pack(
		"{s:s, s:s, s:o, s:o, s:I, s:I, s:o, s:I, s:o}", "kind", site_kind_name(s->kind),
		"id", s->id, "proof", report_json_string(s->proof), "program",
		report_json_string(s->program), "count", (json_int_t)s->count, "runs",
		(json_int_t)s->runs, "wait_reason", report_json_string(s->state), "wait_ns",
		(json_int_t)s->oldest_ns, "evidence", report_json_string(s->evidence));

	json_object_update(one, s->details);
	if (s->rule)
		json_object_set_new(one, "rule",
				    json_pack("{s:o, s:i, s:o, s:o}", "file",
					      report_json_string(s->rule->path), "line",
					      (int)s->rule->line, "text",
					      report_json_string(s->rule->text), "reason",
					      report_json_string(s->rule->reason)));
	return one;
}

static void report_json(FILE *out, const struct check_options *opt, const struct check_findings *f,
			int status)
{
	json_t *command = json_array(), *groups = json_array(), *all;
	json_t *suppressed = json_array(), *known = json_array();

	for (char **arg = opt->command; *arg; arg++)
		json_array_append_new(command, report_json_string(*arg));
	for (size_t i = 0; i < f->sites.n; i++) {
		const struct site *s = &f->sites.v[i];

		json_array_append_new(s->rule	 ? suppressed
				      : s->known ? known
						 : groups,
				      site_json(s));
	}
	all = json_pack("{s:i, s:o, s:I, s:i, s:i, s:i, s:b, s:i, s:o, s:o, s:o, s:o}",
			"schema_version", REPORT_JSON_VERSION, "command", command, "runs",
			(json_int_t)f->sites.run, "checked", (int)f->checked, "missed",
			(int)f->missed, "command_status", status, "timed_out", f->timed_out,
			"killed_by", f->killed_by, "unknown",
			f->unknown[0] ? report_json_string(f->unknown) : json_null(), "findings",
			groups, "suppressed", suppressed, "known", known);
	json_dumpf(all, out, JSON_INDENT(2));
	fputc('\n', out);
	json_decref(all);
}

static char *command_line(const struct check_options *opt)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (char **arg = opt->command; *arg; arg++)
		fprintf(out, "%s%s", arg == opt->command ? "" : " ", *arg);
	fclose(out);
	return text;
}

bool check_saw_nobody(const struct check_findings *f)
{
	return !f->checked && !f->missed && f->started;
}

/* What ends without exit() knocks at no gate. */
static void put_unchecked(FILE *out, const char *command, int killed_by)
{
	if (killed_by)
		fprintf(out,
			"nothing was checked: signal %d (%s) killed %s before it came to its exit; "
			"--every looks meanwhile",
			killed_by, strsignal(killed_by), command);
	else
		fprintf(out,
			"nothing was checked: %s ran no program with a goro runtime that came to "
			"its exit (a panic or _exit() ends it before that; --every looks "
			"meanwhile)",
			command);
}

/* What is wrong with the run, apart from what was found: the worst of it. */
static enum report_trouble put_trouble(FILE *out, const struct check_options *opt,
				       const struct check_findings *f, int status)
{
	const char *command = opt->command[0];
	char limit[TEXT_NUMBER];

	if (!f->started) {
		fprintf(out, "%s %s", command,
			status == GORO_NOT_FOUND ? "was not found" : "could not be run");
		return REPORT_BROKEN;
	}
	if (f->timed_out) {
		fprintf(out, "%s was killed after --timeout %s", command,
			text_duration(limit, opt->timeout_ns));
		return REPORT_BROKEN;
	}
	if (f->missed) {
		fprintf(out, "%u process%s could not be looked into", f->missed,
			f->missed == 1 ? "" : "es");
		return REPORT_BROKEN;
	}
	if (f->killed_by) {
		fprintf(out, "signal %d (%s) killed %s", f->killed_by, strsignal(f->killed_by),
			command);
		return REPORT_BROKEN;
	}
	if (check_saw_nobody(f)) {
		put_unchecked(out, command, 0);
		return REPORT_UNCHECKED;
	}
	if (status) {
		fprintf(out, "%s exited with status %d", command, status);
		return REPORT_FAILED;
	}
	return REPORT_WHOLE;
}

static void report_machine(FILE *out, const struct check_options *opt,
			   const struct check_findings *f, int status)
{
	char *command = command_line(opt), *why = NULL;
	size_t size;
	FILE *text = open_memstream(&why, &size);
	struct report_gate r = {
		.out = out,
		.command = "check",
		.subject = command ? command : opt->command[0],
		.sites = &f->sites,
		.fail = opt->fail,
		.baseline = opt->filter.baseline_path != NULL,
		.status = check_failed(opt, f)	 ? GORO_FINDINGS
			  : f->missed && !status ? GORO_PARTIAL
						 : status,
	};

	if (text) {
		r.trouble = put_trouble(text, opt, f, status);
		fclose(text);
	}
	r.why = why ? why : "";
	if (opt->format == CHECK_JUNIT)
		report_junit(&r);
	else if (opt->format == CHECK_SARIF)
		report_sarif(&r);
	else
		report_github(&r);
	free(why);
	free(command);
}

bool check_failed(const struct check_options *opt, const struct check_findings *f)
{
	for (size_t i = 0; i < f->sites.n; i++) {
		if (site_is_new(&f->sites.v[i]) && (opt->fail & 1u << f->sites.v[i].kind))
			return true;
	}
	return false;
}

void check_report(FILE *out, const struct check_options *opt, struct check_findings *f, int status)
{
	sites_sort(&f->sites);
	if (opt->format == CHECK_JSON)
		report_json(out, opt, f, status);
	else if (opt->format == CHECK_TEXT)
		report_text(out, opt, f);
	else
		report_machine(out, opt, f, status);
	filter_report(opt->format == CHECK_TEXT ? out : stderr, &opt->filter, &f->sites);
	if (f->sites.no_memory)
		fputs("goro: check: out of memory: some findings are missing\n", stderr);
	if (f->unknown[0])
		fprintf(stderr, "goro: check: whether something is unreachable is not known: %s\n",
			f->unknown);
	if (check_saw_nobody(f)) {
		fputs("goro: check: ", stderr);
		put_unchecked(stderr, opt->command[0], f->killed_by);
		fputc('\n', stderr);
	}
}
