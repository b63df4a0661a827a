/* SPDX-License-Identifier: MIT */
/*
 * cmd_dump.c - goro dump
 */
#include "cmd.h"

#include "error.h"

static const char *const formats[] = { "text", "json", "go", "pprof", "folded", NULL };
static const char *const keys[] = { "spawn", "stack", "state", "none", NULL };
static const enum goro_group_key key_ids[] = { GORO_BY_SPAWN, GORO_BY_STACK, GORO_BY_STATE,
					       GORO_BY_NONE };

struct options {
	const char *target, *at;
	int format, key;
};

static const struct argp_option options[] = {
	{ "format", 'f', "FORMAT", 0,
	  "text, json, or go: the form in which Go prints goroutines, for tools that read it; "
	  "pprof, "
	  "folded: as a profile that counts them",
	  0 },
	{ "group", 'g', "KEY", 0,
	  "text: group by spawn site (spawn, the default), by stack, by state, or not (none)", 0 },
	CMD_AT_OPTION,
	{ 0 },
};

static const char doc[] = "Show all goroutines of a process with their stacks.\v"
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
		o->format = cmd_one_of("dump", "the format is", arg, formats);
		return 0;
	case 'g':
		o->key = cmd_one_of("dump", "group by", arg, keys);
		return 0;
	case ARGP_KEY_END:
		if (o->target)
			cmd_refuse_terminal("dump", formats[o->format]);
		/* fall through */
	default:
		return cmd_parse_target("dump", key, arg, &o->target);
	}
}

int cmd_dump(int argc, char **argv)
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
	if (err)
		return cmd_fail("dump", err);
	if (o.format == 0 && key_ids[o.key] != GORO_BY_NONE)
		goro_scope_summarize(scope);
	err = goro_scope_snapshot(scope, &snap);
	if (err)
		goro_scope_close(scope);
	if (err)
		return cmd_fail("dump", err);
	/* What was read is worth showing, also when the target ends before a second look. */
	goro_error_free(goro_scope_judge(scope, snap, &proofs_only, &verdicts));
	const struct report r = { stdout, scope, snap, o.format == 0 && cmd_colour(stdout) };

	if (o.format == 1)
		report_dump_json(&r);
	else if (o.format == 2)
		report_dump_go(&r);
	else if (o.format > 2)
		err = cmd_put_profile(scope, snap, PROFILE_GOROUTINE, formats[o.format]);
	else
		report_dump_text(&r, key_ids[o.key]);
	goro_verdicts_free(verdicts);
	if (err) {
		goro_snapshot_free(snap);
		goro_scope_close(scope);
		return cmd_fail("dump", err);
	}
	status = cmd_finish("dump", cmd_completeness("dump", snap));
	goro_snapshot_free(snap);
	goro_scope_close(scope);
	return status;
}
