/* SPDX-License-Identifier: MIT */
/*
 * report_ps.c - the processes that can be looked into.
 */
#include "report.h"

#include <inttypes.h>

void report_ps_text(FILE *out, const struct goro_candidate *c, size_t n)
{
	char rss[TEXT_NUMBER], goroutines[TEXT_NUMBER], workers[TEXT_NUMBER];

	fprintf(out, "%8s %-12s %10s %7s %9s %s\n", "PID", "RUNTIME", "GOROUTINES", "WORKERS",
		"MEMORY", "COMMAND");
	for (size_t i = 0; i < n; i++) {
		snprintf(goroutines, sizeof goroutines, c[i].goroutines < 0 ? "-" : "%" PRId64,
			 c[i].goroutines);
		snprintf(workers, sizeof workers, c[i].runtime ? "%d" : "-", c[i].workers);
		fprintf(out, "%8d %-12s %10s %7s %9s ", c[i].pid, c[i].runtime ? c[i].runtime : "-",
			goroutines, workers, text_bytes(rss, c[i].rss));
		report_put(out, c[i].command && *c[i].command ? c[i].command : c[i].name);
		if (!c[i].attachable && c[i].why_not) {
			fputs("  (", out);
			report_put(out, c[i].why_not);
			fputc(')', out);
		}
		fputc('\n', out);
	}
}

void report_ps_json(FILE *out, const struct goro_candidate *c, size_t n)
{
	json_t *list = json_array(), *all;

	for (size_t i = 0; i < n; i++)
		json_array_append_new(
			list,
			json_pack("{s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:I, s:b, s:o}", "pid",
				  c[i].pid, "uid", (int)c[i].uid, "name",
				  report_json_string(c[i].name), "command",
				  report_json_string(c[i].command), "runtime",
				  report_json_string(c[i].runtime), "goroutines",
				  c[i].goroutines < 0 ? json_null() : json_integer(c[i].goroutines),
				  "workers",
				  c[i].runtime ? json_integer(c[i].workers) : json_null(), "rss",
				  (json_int_t)c[i].rss, "attachable", c[i].attachable, "why_not",
				  report_json_string(c[i].why_not)));
	all = json_pack("{s:i, s:o}", "schema_version", REPORT_JSON_VERSION, "processes", list);
	json_dumpf(all, out, JSON_INDENT(2));
	fputc('\n', out);
	json_decref(all);
}
