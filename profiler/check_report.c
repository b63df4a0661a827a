/* SPDX-License-Identifier: MIT */
/*
 * check_report.c - print the findings of goro check: each group once, the worst first.
 */
#include "check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

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

static void report_text(FILE *out, const struct check_options *opt, const struct check_findings *f)
{
	size_t goroutines = 0, groups = 0;

	for (size_t i = 0; i < f->sites.n; i++) {
		const struct site *s = &f->sites.v[i];

		if (!site_is_new(s))
			continue;
		put_site(out, opt, s);
		goroutines += site_is_warning(s) ? 0 : s->count;
		groups++;
	}
	if (groups)
		fprintf(out, "goro: check: %zu goroutine%s in %zu group%s\n", goroutines,
			goroutines == 1 ? "" : "s", groups, groups == 1 ? "" : "s");
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
	all = json_pack("{s:i, s:o, s:I, s:i, s:i, s:b, s:o, s:o, s:o}", "schema_version", 1,
			"command", command, "runs", (json_int_t)f->sites.run, "checked",
			(int)f->checked, "command_status", status, "timed_out",
			status == GORO_TIMEOUT, "findings", groups, "suppressed", suppressed,
			"known", known);
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

static void report_machine(FILE *out, const struct check_options *opt,
			   const struct check_findings *f, int status)
{
	char *command = command_line(opt);
	const struct report_gate r = {
		.out = out,
		.command = "check",
		.subject = command ? command : opt->command[0],
		.sites = &f->sites,
		.fail = opt->fail,
		.baseline = opt->filter.baseline_path != NULL,
		.status = check_failed(opt, f) ? GORO_FINDINGS : status,
	};

	if (opt->format == CHECK_JUNIT)
		report_junit(&r);
	else if (opt->format == CHECK_SARIF)
		report_sarif(&r);
	else
		report_github(&r);
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

/* What ends without exit() knocks at no gate. */
static void put_unchecked(const char *command, int killed_by)
{
	if (killed_by)
		fprintf(stderr,
			"goro: check: nothing was checked: signal %d (%s) killed %s before it came "
			"to its exit; --every looks meanwhile\n",
			killed_by, strsignal(killed_by), command);
	else
		fprintf(stderr,
			"goro: check: nothing was checked: %s ran no program with a goro runtime "
			"that came to its exit (a panic or _exit() ends it before that; --every "
			"looks meanwhile)\n",
			command);
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
	if (!f->checked && !f->missed && status != GORO_NOT_FOUND && status != GORO_NOT_RUNNABLE)
		put_unchecked(opt->command[0], f->killed_by);
}
