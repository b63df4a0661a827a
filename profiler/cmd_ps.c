/* SPDX-License-Identifier: MIT */
/*
 * cmd_ps.c - goro ps
 */
#include "cmd.h"

static const char *const formats[] = { "text", "json", NULL };

struct options {
	bool all;
	int format;
};

static const struct argp_option options[] = {
	{ "all", 'a', NULL, 0, "Also processes that we may not look into, and say why", 0 },
	{ "format", 'f', "FORMAT", 0, "text or json", 0 },
	{ 0 },
};

static const char doc[] = "List the processes that have a goro runtime.\v"
			  "Exit status:\n"
			  "  0    done, also when there are none\n"
			  "  2    wrong usage";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'a':
		o->all = true;
		return 0;
	case 'f':
		o->format = cmd_one_of("ps", "the format is", arg, formats);
		return 0;
	case ARGP_KEY_ARG:
		exit(cmd_usage("ps", "takes no argument, but got '%s'", arg));
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cmd_ps(int argc, char **argv)
{
	static const struct argp argp = { options, parse, NULL, doc, NULL, NULL, NULL };
	struct options o = { 0 };
	struct goro_candidate *c;
	struct goro_error *err;
	size_t n;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	err = goro_list_processes(&c, &n, o.all);
	if (err)
		return cmd_fail("ps", err);
	if (o.format == 1)
		report_ps_json(stdout, c, n);
	else
		report_ps_text(stdout, c, n);
	if (!n && o.format == 0)
		fputs("goro: ps: no process with a goro runtime that we may look into\n", stderr);
	goro_candidates_free(c, n);
	return cmd_finish("ps", GORO_OK);
}
