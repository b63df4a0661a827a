/* SPDX-License-Identifier: MIT */
/*
 * check_report.c - print the findings of goro check: each group once, the worst first.
 */
#include "check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

static const char *const kind_names[] = { "leaked", "deadlock", "leftover" };

/* Nothing that differs from run to run: no pids, no addresses, no times. */
static int by_weight(const void *a, const void *b)
{
	const struct check_group *x = a, *y = b;
	int d;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	d = strcmp(x->program, y->program);
	d = d ? d : strcmp(x->spawn, y->spawn);
	d = d ? d : strcmp(x->blocked, y->blocked);
	d = d ? d : strcmp(x->state, y->state);
	return d ? d : strcmp(x->frames, y->frames);
}

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

static const char *kind_text(enum check_kind kind)
{
	switch (kind) {
	case CHECK_LEAKED:
		return "stuck for ever";
	case CHECK_DEADLOCK:
		return "in a deadlock of all";
	default:
		return "left over at exit";
	}
}

static void put_group(FILE *out, const struct check_group *g)
{
	char age[TEXT_NUMBER];

	report_put(out, g->program);
	fprintf(out, ": %zu goroutine%s %s [%s", g->count, g->count == 1 ? "" : "s",
		kind_text(g->kind), g->state);
	if (g->oldest_ns)
		fprintf(out, ", %s%s", g->count == 1 ? "" : "up to ",
			text_duration(age, g->oldest_ns));
	fputs("]\n", out);
	if (*g->blocked)
		fprintf(out, "  blocked in %s\n", g->blocked);
	fprintf(out, *g->spawn ? "  started by %s\n" : "  the main goroutine%s\n", g->spawn);
	put_lines(out, g->evidence, "  ");
	fputs(g->frames, out);
	fputc('\n', out);
}

static void report_text(FILE *out, const struct check_findings *f)
{
	size_t goroutines = 0;

	for (size_t i = 0; i < f->n; i++) {
		put_group(out, &f->v[i]);
		goroutines += f->v[i].count;
	}
	if (f->n)
		fprintf(out, "goro: check: %zu goroutine%s in %zu group%s\n", goroutines,
			goroutines == 1 ? "" : "s", f->n, f->n == 1 ? "" : "s");
}

static void report_json(FILE *out, const struct check_options *opt, const struct check_findings *f,
			int status)
{
	json_t *command = json_array(), *groups = json_array(), *all;

	for (char **arg = opt->command; *arg; arg++)
		json_array_append_new(command, report_json_string(*arg));
	for (size_t i = 0; i < f->n; i++) {
		const struct check_group *g = &f->v[i];
		json_t *one = json_pack(
			"{s:s, s:o, s:I, s:o, s:I, s:o}", "kind", kind_names[g->kind], "program",
			report_json_string(g->program), "count", (json_int_t)g->count,
			"wait_reason", report_json_string(g->state), "wait_ns",
			(json_int_t)g->oldest_ns, "evidence", report_json_string(g->evidence));

		json_object_update(one, g->details);
		json_array_append_new(groups, one);
	}
	all = json_pack("{s:i, s:o, s:i, s:i, s:b, s:o}", "schema_version", 1, "command", command,
			"checked", (int)f->checked, "command_status", status, "timed_out",
			status == GORO_TIMEOUT, "findings", groups);
	json_dumpf(all, out, JSON_INDENT(2));
	fputc('\n', out);
	json_decref(all);
}

void check_report(FILE *out, const struct check_options *opt, struct check_findings *f, int status)
{
	if (f->n)
		qsort(f->v, f->n, sizeof *f->v, by_weight);
	if (opt->json)
		report_json(out, opt, f, status);
	else
		report_text(out, f);
	if (f->no_memory)
		fputs("goro: check: out of memory: some findings are missing\n", stderr);
	if (!f->checked && status != GORO_NOT_FOUND && status != GORO_NOT_RUNNABLE)
		fprintf(stderr,
			"goro: check: nothing was checked: %s ran no program with a goro runtime "
			"that came to its exit\n",
			opt->command[0]);
}
