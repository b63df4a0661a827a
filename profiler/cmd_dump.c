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
	struct goro_filter *filter; /* or NULL */
};

static const struct argp_option options[] = {
	{ "format", 'f', "FORMAT", 0,
	  "text, json, or go: the form in which Go prints goroutines, for tools that read it; "
	  "pprof, "
	  "folded: as a profile that counts them",
	  0 },
	{ "group", 'g', "KEY", 0,
	  "text: group by spawn site (spawn, the default), by stack, by state, or not (none)", 0 },
	{ "filter", 'F', "EXPR", 0,
	  "only goroutines for which EXPR holds, e.g. 'state=lock and for>5s': see gotop(1)", 0 },
	CMD_AT_OPTION,
	{ 0 },
};

static const char doc[] = "Show all goroutines of a process with their stacks.\v"
			  "Exit status:\n"
			  "  0    done\n" //
	STATUS_HELP_TARGET;

static struct goro_filter *parse_filter(const char *arg)
{
	char error[256];
	struct goro_filter *f = goro_filter_parse(arg, error, sizeof error);

	if (!f)
		exit(cmd_usage("dump", "bad filter '%s': %s", arg, error));
	return f;
}

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
	case 'F':
		goro_filter_free(o->filter);
		o->filter = parse_filter(arg);
		return 0;
	case ARGP_KEY_END:
		if (o->target)
			cmd_refuse_terminal("dump", formats[o->format]);
		/* fall through */
	default:
		return cmd_parse_target("dump", key, arg, &o->target);
	}
}

/* Leave out what the filter does not keep. It asks for names and verdicts. */
static struct goro_error *thin_out(struct goro_scope *scope, struct goro_snapshot *snap,
				   struct goro_filter *filter)
{
	bool *keep = calloc(snap->ng + 1, sizeof *keep);
	struct goro_namer *namer = goro_namer_new(scope);
	struct goro_names *names = namer ? goro_names_take(namer, snap) : NULL;
	bool ok = keep && names;

	if (ok)
		goro_filter_apply(filter, names, keep);
	if (namer) {
		goro_names_free(namer, names);
		goro_namer_free(namer);
	}
	ok = ok && goro_snapshot_keep(snap, keep);
	free(keep);
	return ok ? NULL : &goro_enomem;
}

static struct goro_error *put(const struct options *o, struct goro_scope *scope,
			      struct goro_snapshot *snap)
{
	const struct report_filter filter = { o->filter ? goro_filter_source(o->filter) : NULL,
					      snap->ng };
	const struct report_filter *only = o->filter ? &filter : NULL;
	const struct report r = { stdout, scope, snap, o->format == 0 && cmd_colour(stdout) };
	struct goro_error *err = NULL;

	if (o->filter)
		err = thin_out(scope, snap, o->filter);
	if (err)
		return err;
	if (o->format == 1)
		report_dump_json(&r, only);
	else if (o->format == 2)
		report_dump_go(&r);
	else if (o->format > 2)
		err = cmd_put_profile(scope, snap, PROFILE_GOROUTINE, formats[o->format]);
	else
		report_dump_text(&r, key_ids[o->key], only);
	return err;
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
	/* A crowd is one for all, or they are told one by one; a filter asks each. */
	if (o.format == 0 && key_ids[o.key] != GORO_BY_NONE && !o.filter)
		goro_scope_summarize(scope);
	else if (!o.filter)
		goro_scope_list(scope);
	err = goro_scope_snapshot(scope, &snap);
	if (err)
		goro_scope_close(scope);
	if (err)
		return cmd_fail("dump", err);
	/* What was read is worth showing, also when the target ends before a second look. */
	goro_error_free(goro_scope_judge(scope, snap, &proofs_only, &verdicts));
	err = put(&o, scope, snap);
	goro_verdicts_free(verdicts);
	goro_filter_free(o.filter);
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
