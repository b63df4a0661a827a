/* SPDX-License-Identifier: MIT */
/*
 * cmd_replay.c - goro replay
 */
#include "cmd.h"

#include <inttypes.h>
#include "error.h"

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

/* What cannot be shown, of all ticks together. */
struct gaps {
	size_t ticks, first; /* damaged ones, and the first of them */
	uint64_t bad_records, truncated, damaged;
};

/* Its line is the only one, so it is said once and not for each tick. */
static int say_gaps(const struct gaps *gaps, size_t shown)
{
	char bytes[TEXT_NUMBER];

	if (!gaps->ticks && !gaps->bad_records && !gaps->truncated && !gaps->damaged)
		return GORO_OK;
	fflush(stdout);
	fputs("goro: replay: this is not all", stderr);
	if (gaps->ticks)
		fprintf(stderr, "; %zu of %zu ticks are damaged, the first is %zu", gaps->ticks,
			gaps->ticks + shown, gaps->first);
	if (gaps->damaged)
		fprintf(stderr, "; the recording is damaged behind its last tick, %s are lost",
			text_bytes(bytes, gaps->damaged));
	if (gaps->bad_records || gaps->truncated)
		fprintf(stderr,
			"; in all ticks %" PRIu64 " records could not be read, %" PRIu64
			" stacks not to their end",
			gaps->bad_records, gaps->truncated);
	fputs("; see `goro doctor'\n", stderr);
	return GORO_PARTIAL;
}

static struct goro_error *show(const struct options *o, struct goro_scope *scope, size_t tick,
			       bool first, struct gaps *gaps)
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
	gaps->bad_records += snap->bad_records;
	gaps->truncated += snap->truncated;
	gaps->damaged = snap->damaged;
	goro_verdicts_free(verdicts);
	goro_snapshot_free(snap);
	return NULL;
}

/* A tick that is damaged is left out. *shown 0: none can be read, and the error says so. */
static struct goro_error *show_all(const struct options *o, struct goro_scope *scope, size_t from,
				   size_t to, struct gaps *gaps, size_t *shown)
{
	struct goro_error *first = NULL;

	for (size_t tick = from; tick <= to && !ferror(stdout); tick++) {
		struct goro_error *err = show(o, scope, tick, *shown == 0, gaps);

		if (err == &goro_enomem) {
			goro_error_free(first);
			return err;
		}
		*shown += !err;
		if (err && !gaps->ticks++)
			gaps->first = tick;
		if (first)
			goro_error_free(err);
		else
			first = err;
	}
	if (!*shown)
		return first;
	goro_error_free(first);
	return NULL;
}

int cmd_replay(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "FILE", doc, NULL, NULL, NULL };
	struct options o = { 0 };
	struct goro_scope *scope;
	struct goro_error *err;
	struct gaps gaps = { 0 };
	size_t from = 1, to, shown = 0;
	int status;

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
	if (!err)
		err = show_all(&o, scope, from, to, &gaps, &shown);
	status = err ? cmd_fail("replay", err) : cmd_finish("replay", say_gaps(&gaps, shown));
	goro_scope_close(scope);
	return status;
}
