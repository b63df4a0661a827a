/* SPDX-License-Identifier: MIT */
/*
 * cmd_stack.c - goro stack
 */
#include "cmd.h"

#include <inttypes.h>

struct options {
	const char *target, *at;
	uint64_t id;
};

static const struct argp_option options[] = {
	CMD_AT_OPTION,
	{ 0 },
};

static const char doc[] = "Show one goroutine: its stack with the source around the line where it "
			  "stands, who started it, the chain of goroutines that it waits for, and "
			  "its memory. GID is its number in the output of the other commands; main "
			  "is 1.\v"
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
	case ARGP_KEY_ARG:
		if (state->arg_num == 0)
			o->target = arg;
		else if (state->arg_num == 1 && (!cmd_number(arg, &o->id) || !o->id))
			exit(cmd_usage("stack", "a goroutine's id is a number from 1, not '%s'",
				       arg));
		else if (state->arg_num > 1)
			exit(cmd_usage("stack", "one TARGET and one GID, but got '%s' as well",
				       arg));
		return 0;
	case ARGP_KEY_END:
		if (state->arg_num < 2)
			exit(cmd_usage("stack", "which goroutine? Give a TARGET and a GID"));
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cmd_stack(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "TARGET GID", doc, NULL, NULL, NULL };
	struct options o = { 0 };
	struct goro_scope *scope;
	struct goro_snapshot *snap;
	const struct goro_info *g;
	struct goro_error *err;
	int status = GORO_OK;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	err = cmd_open_target(o.target, o.at, &scope);
	if (err)
		return cmd_fail("stack", err);
	goro_scope_single_out(scope, o.id);
	err = goro_scope_snapshot(scope, &snap);
	if (err) {
		goro_scope_close(scope);
		return cmd_fail("stack", err);
	}
	const struct report r = { stdout, scope, snap, cmd_colour(stdout) };

	g = goro_snapshot_find(snap, o.id);
	if (g) {
		report_stack_text(&r, g);
		if (g->lost || snap->damaged)
			status = cmd_completeness("stack", snap);
	} else if (snap->bad_records || snap->cut || snap->damaged) {
		status = cmd_completeness("stack", snap); /* it may be in what is missing */
	} else {
		fprintf(stderr,
			"goro: stack: there is no goroutine %" PRIu64 " in %s (it may have ended); "
			"`goro dump' lists them\n",
			o.id, o.target);
		status = GORO_NO_TARGET;
	}
	goro_snapshot_free(snap);
	goro_scope_close(scope);
	return cmd_finish("stack", status);
}
