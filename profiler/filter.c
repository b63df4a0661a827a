/* SPDX-License-Identifier: MIT */
/*
 * filter.c - suppressions and the baseline as options of a command, and over its findings.
 */
#include "filter.h"

#include <stdlib.h>
#include <string.h>

#include "cmd.h"

enum { OPTION_BASELINE = 1024, OPTION_WRITE, OPTION_SUPPRESS };

static const struct argp_option options[] = {
	{ "baseline", OPTION_BASELINE, "FILE", 0,
	  "What is in FILE is known: only new sites count. See --write-baseline", 0 },
	{ "write-baseline", OPTION_WRITE, "FILE", 0,
	  "Write what is found to FILE, for --baseline, and do not fail because of it", 0 },
	{ "suppress", OPTION_SUPPRESS, "FILE", 0,
	  "Leave out what the rules in FILE match; may be given several times", 0 },
	{ 0 },
};

static void need(const struct filter *f, bool ok, char *error)
{
	if (!ok)
		exit(cmd_usage(f->command, "%s", error ? error : "out of memory"));
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct filter *f = state->input;
	char *error = NULL;
	bool ok;

	switch (key) {
	case OPTION_BASELINE:
		if (f->baseline_path)
			exit(cmd_usage(f->command, "one --baseline, but got '%s' as well", arg));
		f->baseline_path = arg;
		ok = baseline_read(&f->baseline, arg, &error);
		need(f, ok, error);
		return 0;
	case OPTION_WRITE:
		f->write_path = arg;
		return 0;
	case OPTION_SUPPRESS:
		ok = rules_read(&f->rules, arg, &error);
		need(f, ok, error);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp filter_argp = { options, parse, NULL, NULL, NULL, NULL, NULL };

void filter_apply(struct filter *filter, struct sites *sites)
{
	for (size_t i = 0; i < filter->rules.n; i++)
		filter->rules.v[i].sites = filter->rules.v[i].goroutines = 0;
	for (size_t i = 0; i < sites->n; i++) {
		struct site *site = &sites->v[i];
		struct rule *rule = rules_find(&filter->rules, site);

		if (rule) {
			rule->sites++;
			rule->goroutines += site->count;
		}
		site->rule = rule && !rule->expired ? rule : NULL;
		site->known = baseline_has(&filter->baseline, site->id) || filter->write_path;
	}
}

bool filter_write(const struct filter *filter, const struct sites *sites)
{
	char *error = NULL;

	if (!filter->write_path || baseline_write(filter->write_path, sites, &error))
		return true;
	fprintf(stderr, "goro: %s: %s\n", filter->command, error ? error : "out of memory");
	free(error);
	return false;
}

static void report_rule(FILE *out, const struct filter *f, const struct rule *r)
{
	fprintf(out, "goro: %s: %s:%u: ", f->command, r->path, r->line);
	report_put(out, r->text);
	if (r->expired)
		fprintf(out, " has expired on %s: ", r->until);
	else
		fputs(": ", out);
	if (r->sites)
		fprintf(out, "%s %zu goroutine%s in %zu group%s",
			r->expired ? "it would suppress" : "suppressed", r->goroutines,
			plural(r->goroutines), r->sites, plural(r->sites));
	else
		fputs("matched nothing", out);
	if (r->reason) {
		fputs(" (", out);
		report_put(out, r->reason);
		fputc(')', out);
	}
	fputc('\n', out);
}

void filter_report(FILE *out, const struct filter *f, const struct sites *sites)
{
	size_t known = 0, gone = 0;

	for (size_t i = 0; i < f->rules.n; i++)
		report_rule(out, f, &f->rules.v[i]);
	if (!f->baseline_path)
		return;
	for (size_t i = 0; i < sites->n; i++)
		known += !sites->v[i].rule && sites->v[i].known;
	for (size_t i = 0; i < f->baseline.n; i++)
		gone += !f->baseline.seen[i];
	fprintf(out, "goro: %s: %s: %zu group%s known", f->command, f->baseline_path, known,
		plural(known));
	if (gone)
		fprintf(out, ", %zu of its lines matched nothing", gone);
	fputc('\n', out);
}

void filter_free(struct filter *filter)
{
	rules_free(&filter->rules);
	baseline_free(&filter->baseline);
}
