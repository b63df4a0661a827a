/* SPDX-License-Identifier: MIT */
/*
 * cmd_sched.c - goro sched
 */
#include "cmd.h"

static const char *const formats[] = { "text", "json", NULL };

struct options {
	const char *target;
	int format;
};

static const struct argp_option options[] = {
	{ "format", 'f', "FORMAT", 0, "text or json", 0 },
	{ 0 },
};

static const char doc[] = "Show the scheduler of a process: its processors and their queues, how "
			  "long goroutines run at a time, and how long they wait to run.\v"
			  "Exit status:\n"
			  "  0    done\n" //
	STATUS_HELP_TARGET;

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'f':
		o->format = cmd_one_of("sched", "the format is", arg, formats);
		return 0;
	default:
		return cmd_parse_target("sched", key, arg, &o->target);
	}
}

int cmd_sched(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "TARGET", doc, NULL, NULL, NULL };
	struct options o = { 0 };
	struct goro_scope *scope;
	struct goro_snapshot *snap;
	struct goro_error *err;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	err = cmd_open_target(o.target, NULL, &scope);
	if (err)
		return cmd_fail("sched", err);
	goro_scope_summarize(scope);
	err = goro_scope_snapshot(scope, &snap);
	if (err) {
		goro_scope_close(scope);
		return cmd_fail("sched", err);
	}
	const struct report r = { stdout, scope, snap, false };

	if (o.format)
		report_sched_json(&r);
	else
		report_sched_text(&r);
	status = cmd_finish("sched", cmd_completeness_but_stacks("sched", snap));
	goro_snapshot_free(snap);
	goro_scope_close(scope);
	return status;
}
