/* SPDX-License-Identifier: MIT */
/*
 * cmd_doctor.c - goro doctor
 */
#include "cmd.h"
#include "doctor.h"

#include <inttypes.h>
#include <string.h>

static const char *const formats[] = { "text", "json", NULL };
static const char *const state_names[] = { "ok", "warning", "failure" };
static const char *const state_colours[] = { "32", "33", "1;31" };

struct options {
	const char *target;
	int format;
};

static const struct argp_option options[] = {
	{ "format", 'f', "FORMAT", 0, "text or json", 0 },
	{ 0 },
};

static const char doc[] =
	"Say why a process can or cannot be looked into, and what would help: may we read it; has "
	"it a goro runtime that we know; do two unwinders agree on its stacks; have its addresses "
	"names and lines.\v"
	"Exit status:\n"
	"  0    it can be looked into\n" //
	STATUS_HELP_TARGET;

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'f':
		o->format = cmd_one_of("doctor", "the format is", arg, formats);
		return 0;
	default:
		return cmd_parse_target("doctor", key, arg, &o->target);
	}
}

static void put_fix(const char *text)
{
	while (*text) {
		size_t length = strcspn(text, "\n");
		char *line = strndup(text, length);

		fputs("           ", stdout);
		report_put(stdout, line);
		putchar('\n');
		free(line);
		text += length + (text[length] == '\n');
	}
}

static void put_text(const struct doctor *d)
{
	const struct report r = { .out = stdout, .colour = cmd_colour(stdout) };

	for (size_t i = 0; i < d->nchecks; i++) {
		const struct doctor_check *c = &d->checks[i];

		report_style(&r, state_colours[c->state]);
		printf("%-8s", state_names[c->state]);
		report_style(&r, "");
		printf(" %-10s ", c->name);
		report_put(stdout, c->text);
		putchar('\n');
		if (c->fix)
			put_fix(c->fix);
	}
	for (size_t i = 0; i < d->nmodules; i++) {
		const struct doctor_module *m = &d->modules[i];

		fputs("module   ", stdout);
		report_put(stdout, m->path);
		printf(": %zu addresses, %zu functions, %zu lines; %s, %s%s%s\n", m->addresses,
		       m->functions, m->lines,
		       m->has_debug ? "debug information"
		       : m->lines   ? "separate debug information"
				    : "no debug information",
		       m->has_unwind ? "unwind tables" : "no unwind tables",
		       *m->build_id ? ", build id " : "", m->build_id);
	}
}

static void put_json(const struct doctor *d)
{
	json_t *checks = json_array(), *modules = json_array(), *all;

	for (size_t i = 0; i < d->nchecks; i++)
		json_array_append_new(checks,
				      json_pack("{s:s, s:s, s:o, s:o}", "name", d->checks[i].name,
						"state", state_names[d->checks[i].state], "text",
						report_json_string(d->checks[i].text), "fix",
						report_json_string(d->checks[i].fix)));
	for (size_t i = 0; i < d->nmodules; i++) {
		const struct doctor_module *m = &d->modules[i];

		json_array_append_new(
			modules,
			json_pack("{s:o, s:s, s:b, s:b, s:b, s:I, s:I, s:I}", "path",
				  report_json_string(m->path), "build_id", m->build_id, "file",
				  m->has_file, "debug_information", m->has_debug, "unwind_tables",
				  m->has_unwind, "addresses", (json_int_t)m->addresses, "functions",
				  (json_int_t)m->functions, "lines", (json_int_t)m->lines));
	}
	all = json_pack("{s:i, s:i, s:o, s:o}", "schema_version", REPORT_JSON_VERSION, "status",
			(int)d->status, "checks", checks, "modules", modules);
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
}

int cmd_doctor(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "TARGET", doc, NULL, NULL, NULL };
	struct options o = { 0 };
	struct doctor d;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	doctor_examine(&d, o.target);
	if (o.format == 1)
		put_json(&d);
	else
		put_text(&d);
	status = d.status;
	doctor_free(&d);
	return cmd_finish("doctor", status);
}
