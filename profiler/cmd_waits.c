/* SPDX-License-Identifier: MIT */
/*
 * cmd_waits.c - goro waits
 */
#include "cmd.h"

static const char *const formats[] = { "text", "json", "dot", NULL };

struct options {
	const char *target, *at;
	int format;
};

static const struct argp_option options[] = {
	{ "format", 'f', "FORMAT", 0, "text, json, or dot for graphviz", 0 },
	CMD_AT_OPTION,
	{ 0 },
};

static const char doc[] = "Show who waits for whom: each channel, lock, condition and waitgroup "
			  "that goroutines wait for, its state, who holds it, and the waiters. "
			  "Goroutines that sleep or wait for the kernel are left out.\v"
			  "Exit status:\n"
			  "  0    done\n" //
	STATUS_HELP_TARGET;

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case CMD_OPTION_AT:
		o->at = arg;
		return 0;
	case 'f':
		o->format = cmd_one_of("waits", "the format is", arg, formats);
		return 0;
	default:
		return cmd_parse_target("waits", key, arg, &o->target);
	}
}

int cmd_waits(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "TARGET", doc, NULL, NULL, NULL };
	static const struct goro_verdict_options proofs_only = { 0 };
	struct options o = { 0 };
	struct goro_verdicts *verdicts = NULL;
	struct goro_scope *scope;
	struct goro_snapshot *snap;
	struct goro_error *err;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	err = cmd_open_target(o.target, o.at, &scope);
	if (!err) {
		goro_scope_list_objects(scope);
		err = goro_scope_snapshot(scope, &snap);
		if (err)
			goro_scope_close(scope);
	}
	if (err)
		return cmd_fail("waits", err);
	/* The picture is worth showing, also when the target ends before a second look. */
	if (o.format == 0)
		goro_error_free(goro_scope_judge(scope, snap, &proofs_only, &verdicts));
	const struct report r = { stdout, scope, snap, o.format == 0 && cmd_colour(stdout) };

	if (o.format == 1)
		report_waits_json(&r);
	else if (o.format == 2)
		report_waits_dot(&r);
	else
		report_waits_text(&r);
	status = cmd_finish("waits", cmd_completeness("waits", snap));
	goro_verdicts_free(verdicts);
	goro_snapshot_free(snap);
	goro_scope_close(scope);
	return status;
}
