/* SPDX-License-Identifier: MIT */
/*
 * cmd_replay.c - goro replay
 */
#include "cmd.h"

static const char *const formats[] = { "text", "json", NULL };
static const char *const keys[] = { "spawn", "stack", "state", "none", NULL };
static const enum goro_group_key key_ids[] = { GORO_BY_SPAWN, GORO_BY_STACK, GORO_BY_STATE,
					       GORO_BY_NONE };

enum { OPTION_FROM = 256, OPTION_TO };

struct options {
	const char *target, *from, *to;
	int format, key;
};

static const struct argp_option options[] = {
	{ "format", 'f', "FORMAT", 0,
	  "text, or json: one document for each tick, as goro dump writes it", 0 },
	{ "group", 'g', "KEY", 0,
	  "text: group by spawn site (spawn, the default), by stack, by state, or not (none)", 0 },
	{ "from", OPTION_FROM, "AT", 0,
	  "The first one: its number (from 1; -1 is the last), a time of day 15:04:05, or "
	  "+DURATION from the first",
	  0 },
	{ "to", OPTION_TO, "AT", 0, "The last one, likewise", 0 },
	{ 0 },
};

static const char doc[] = "Show every tick of a recording, one after the other. To look around in "
			  "it, use: gotop FILE\v"
			  "Exit status:\n"
			  "  0    done\n" //
	STATUS_HELP_TARGET;

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'f':
		o->format = cmd_one_of("replay", "the format is", arg, formats);
		return 0;
	case 'g':
		o->key = cmd_one_of("replay", "group by", arg, keys);
		return 0;
	case OPTION_FROM:
		o->from = arg;
		return 0;
	case OPTION_TO:
		o->to = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (o->target)
			exit(cmd_usage("replay", "one FILE, but got '%s' as well", arg));
		o->target = arg;
		return 0;
	case ARGP_KEY_END:
		if (!o->target)
			exit(cmd_usage("replay", "which file? goro record makes one"));
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static struct goro_error *show(const struct options *o, struct goro_scope *scope, size_t tick,
			       bool first)
{
	static const struct goro_verdict_options proofs_only = { 0 };
	struct goro_verdicts *verdicts = NULL;
	struct goro_snapshot *snap;
	struct goro_error *err;

	goro_scope_seek(scope, tick);
	err = goro_scope_snapshot(scope, &snap);
	if (err)
		return err;
	goro_error_free(goro_scope_judge(scope, snap, &proofs_only, &verdicts));
	const struct report r = { stdout, scope, snap, o->format == 0 && cmd_colour(stdout) };

	if (o->format == 1) {
		report_dump_json(&r, NULL);
	} else {
		if (!first)
			putchar('\n');
		report_dump_text(&r, key_ids[o->key], NULL);
	}
	goro_verdicts_free(verdicts);
	goro_snapshot_free(snap);
	return NULL;
}

int cmd_replay(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "FILE", doc, NULL, NULL, NULL };
	struct options o = { 0 };
	struct goro_scope *scope;
	struct goro_error *err;
	size_t from = 1, to;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	err = goro_scope_open(&scope, o.target);
	if (err)
		return cmd_fail("replay", err);
	to = goro_scope_ticks(scope);
	if (!to) {
		goro_scope_close(scope);
		return cmd_usage("replay", "%s is no recording; goro record makes one", o.target);
	}
	if (o.from)
		err = cmd_find_tick(scope, o.from, &from);
	if (!err && o.to)
		err = cmd_find_tick(scope, o.to, &to);
	for (size_t tick = from; !err && tick <= to && !ferror(stdout); tick++)
		err = show(&o, scope, tick, tick == from);
	if (err) {
		int status = cmd_fail("replay", err);

		goro_scope_close(scope);
		return status;
	}
	goro_scope_close(scope);
	return cmd_finish("replay", GORO_OK);
}
