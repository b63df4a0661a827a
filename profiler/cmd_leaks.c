/* SPDX-License-Identifier: MIT */
/*
 * cmd_leaks.c - goro leaks
 */
#include "cmd.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <string.h>
#include <time.h>

#include "error.h"
#include "leaks_gate.h"

#define LOOKS 11 /* with --for: enough for growth to show, see GROWTH_LOOKS */

static const char *const formats[] = { "text", "json", "junit", "sarif", "github", "pprof", NULL };
static const char *const levels[] = { "leaked", "likely", "suspect", NULL };

enum { OPTION_AGE = 256, OPTION_FOR, OPTION_FAIL, OPTION_PAUSE, OPTION_STOP, OPTION_WHY };

struct options {
	const char *target, *at;
	int format, level;
	uint64_t watch_ns;
	struct goro_verdict_options verdict;
	struct filter filter;
};

static const struct argp_option options[] = {
	{ "format", 'f', "FORMAT", 0,
	  "text, json, junit, sarif, github, or pprof: the LEAKED ones as a profile", 0 },
	{ "suspect-age", OPTION_AGE, "DURATION", 0,
	  "SUSPECT is what has waited longer than that for another goroutine (default 5m; 0: "
	  "never)",
	  0 },
	{ "for", OPTION_FOR, "DURATION", 0,
	  "Look eleven times over that long, so that growth shows (default: look once; of a "
	  "recording always the eleven ticks up to --at)",
	  0 },
	{ "fail-on", OPTION_FAIL, "VERDICT", 0,
	  "Exit with 23 from this verdict on: leaked (default), likely, suspect", 0 },
	CMD_AT_OPTION,
	{ "max-pause", OPTION_PAUSE, "DURATION", 0,
	  "Rather know nothing than stop the program for longer (default 100ms)", 0 },
	{ "no-stop", OPTION_STOP, NULL, 0,
	  "Never stop the program: no proof that something is unreachable", 0 },
	{ "why", OPTION_WHY, "GID", 0, "Show what keeps this goroutine alive", 0 },
	{ 0 },
};

static const char doc[] =
	"Find goroutines that can never go on.\v"
	"Verdicts:\n"
	"  LEAKED   proved: nothing that can still run has a pointer to what it waits\n"
	"           for (unreachable); or it waits for a lock whose owner waits for it\n"
	"           (cycle), for a lock whose owner has ended or is LEAKED itself\n"
	"           (orphan), or for what never comes (never: a nil channel, a select\n"
	"           without cases, a lock it holds itself)\n"
	"  LIKELY   its spawn site had more waiting goroutines at each of five looks\n"
	"           in a row, and none of them was woken (needs --for)\n"
	"  SUSPECT  it has not moved for longer than --suspect-age\n"
	"\n"
	"To prove that something is unreachable, all memory is searched for pointers:\n"
	"first while the program runs, and only if that finds something in a copy made\n"
	"by a stop of some milliseconds, whose length is printed.\n"
	"\n"
	"A DURATION is a number and a unit: 500ms, 2s, 1m, 1h.\n"
	"\n"
	"Exit status:\n"
	"  0    nothing LEAKED (see --fail-on)\n"
	"  23   goroutines are LEAKED\n" //
	STATUS_HELP_TARGET;

static uint64_t parse_goroutine(const char *arg)
{
	unsigned long long id;
	char *end;

	errno = 0;
	id = strtoull(arg, &end, 10);
	if (!isdigit((unsigned char)*arg) || *end || errno || !id)
		exit(cmd_usage("leaks", "--why takes the number of a goroutine, not '%s'", arg));
	return id;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case CMD_OPTION_AT:
		o->at = arg;
		return 0;
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->filter;
		return 0;
	case 'f':
		o->format = cmd_one_of("leaks", "the format is", arg, formats);
		return 0;
	case OPTION_AGE:
		cmd_duration_option("leaks", "--suspect-age", arg, &o->verdict.suspect_age_ns);
		return 0;
	case OPTION_FOR:
		cmd_duration_option("leaks", "--for", arg, &o->watch_ns);
		return 0;
	case OPTION_FAIL:
		o->level = cmd_one_of("leaks", "--fail-on takes", arg, levels);
		return 0;
	case OPTION_PAUSE:
		cmd_duration_option("leaks", "--max-pause", arg, &o->verdict.max_pause_ns);
		if (!o->verdict.max_pause_ns)
			exit(cmd_usage("leaks", "--max-pause 0 is --no-stop"));
		return 0;
	case OPTION_STOP:
		o->verdict.reach = false;
		return 0;
	case OPTION_WHY:
		o->verdict.why = parse_goroutine(arg);
		return 0;
	case ARGP_KEY_END:
		if (o->target)
			cmd_refuse_terminal("leaks", formats[o->format]);
		if (o->verdict.why && !o->verdict.reach)
			exit(cmd_usage("leaks", "--why needs a stop, which --no-stop forbids"));
		/* fall through */
	default:
		return cmd_parse_target("leaks", key, arg, &o->target);
	}
}

static void sleep_until(uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL))
		;
}

static struct goro_error *look_again(const struct options *o, struct goro_scope *scope,
				     struct goro_snapshot **snap, struct goro_verdicts **verdicts)
{
	struct goro_error *err;

	goro_verdicts_free(*verdicts);
	goro_snapshot_free(*snap);
	*verdicts = NULL;
	*snap = NULL;
	err = goro_scope_snapshot(scope, snap);
	return err ? err : goro_scope_judge(scope, *snap, &o->verdict, verdicts);
}

/*
 * A recording has the looks before this one in it. Those that are damaged, or have no whole one to
 * be compared with, teach nothing.
 */
static struct goro_error *look_back(const struct options *o, struct goro_scope *scope,
				    struct goro_snapshot **snap, struct goro_verdicts **verdicts,
				    size_t *skipped)
{
	size_t last = (*snap)->tick, tick = last > LOOKS ? last - LOOKS + 1 : 1;
	struct goro_error *err;

	for (; tick < last; tick++) {
		goro_scope_seek(scope, tick);
		err = look_again(o, scope, snap, verdicts);
		if (err && (err == &goro_enomem || err->code != GORO_PARTIAL))
			return err;
		*skipped += err != NULL;
		goro_error_free(err);
	}
	goro_scope_seek(scope, last);
	return look_again(o, scope, snap, verdicts);
}

/* Look once, or LOOKS times; the last look is what is reported. */
static struct goro_error *look(const struct options *o, struct goro_scope *scope,
			       struct goro_snapshot **snap, struct goro_verdicts **verdicts,
			       size_t *skipped)
{
	struct goro_error *err;
	uint64_t start = (uint64_t)(*snap)->time;
	bool watch = o->watch_ns && (*snap)->source == GORO_LIVE;

	if ((*snap)->source == GORO_RECORDING)
		return look_back(o, scope, snap, verdicts, skipped);
	err = goro_scope_judge(scope, *snap, &o->verdict, verdicts);
	for (unsigned i = 1; !err && watch && i < LOOKS; i++) {
		sleep_until(start + o->watch_ns / (LOOKS - 1) * i);
		err = look_again(o, scope, snap, verdicts);
	}
	return err;
}

/* Is all there that it was judged by? */
static int history_status(const struct goro_snapshot *snap, size_t skipped)
{
	int status = cmd_completeness("leaks", snap);

	if (!skipped)
		return status;
	fprintf(stderr,
		"goro: leaks: %zu of the ticks before tick %zu could not be judged, for the "
		"recording is damaged there\n",
		skipped, snap->tick);
	return GORO_PARTIAL;
}

/* "0 leaked" of a recording is no more than was looked for. */
static void say_what_is_missing(const struct goro_snapshot *snap)
{
	if (snap->source != GORO_RECORDING)
		return;
	fputs("goro: leaks: a recording has no memory in it: nothing is proved to be unreachable",
	      stderr);
	if (snap->tick < LOOKS)
		fprintf(stderr, "; and growth shows only over %d ticks", LOOKS);
	fputc('\n', stderr);
}

/* Say once what the proof by reachability could not do. */
static int reach_status(const struct goro_reach *r, int status)
{
	if (r->unknown[0]) {
		fprintf(stderr, "goro: leaks: reachability is unknown: %s\n", r->unknown);
		return status ? status : GORO_PARTIAL;
	}
	return status;
}

static int verdict_status(const struct goro_verdicts *v, int level)
{
	size_t n = v->leaked + (level >= 1 ? v->likely : 0) + (level >= 2 ? v->suspect : 0);

	return n ? GORO_FINDINGS : GORO_OK;
}

static struct goro_error *print(const struct options *o, struct goro_scope *scope,
				const struct goro_snapshot *snap,
				const struct goro_verdicts *verdicts, const struct sites *sites)
{
	const struct report r = { stdout, scope, snap, o->format == 0 && cmd_colour(stdout) };

	if (o->format == 0 && o->verdict.why)
		report_why_text(&r, verdicts, o->verdict.why);
	else if (o->format == 0)
		report_leaks_text(&r, verdicts);
	else if (o->format == 1)
		report_leaks_json(&r, verdicts, o->verdict.why);
	else if (!strcmp(formats[o->format], "pprof"))
		return cmd_put_profile(scope, snap, PROFILE_LEAK, "pprof");
	else
		leaks_report(stdout, formats[o->format], &o->filter, snap, sites, o->level,
			     verdict_status(verdicts, o->level));
	return NULL;
}

int cmd_leaks(int argc, char **argv)
{
	static const struct argp_child children[] = { { &filter_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = { options, parse, "TARGET", doc, children, NULL, NULL };
	struct options o = { .verdict = { .suspect_age_ns = UINT64_C(300000000000), .reach = true },
			     .filter.command = "leaks" };
	struct sites sites = { 0 };
	struct goro_verdicts *verdicts = NULL;
	struct goro_scope *scope;
	struct goro_snapshot *snap;
	struct goro_error *err;
	size_t skipped = 0;
	int status;

	/* Bits for a whole heap: given back when they are freed, and
	 * where they are zero no memory. */
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	argp_parse(&argp, argc, argv, 0, NULL, &o);
	err = cmd_open_target(o.target, o.at, &scope);
	if (err)
		return cmd_fail("leaks", err);
	goro_scope_foresee(scope, &o.verdict);
	err = goro_scope_snapshot(scope, &snap);
	if (err) {
		goro_scope_close(scope);
		return cmd_fail("leaks", err);
	}
	if (o.verdict.why && !goro_snapshot_find(snap, o.verdict.why))
		err = goro_error_new(GORO_NO_TARGET,
				     "there is no goroutine %" PRIu64
				     " in %s (it may have ended); `goro dump' lists them",
				     o.verdict.why, o.target);
	if (!err)
		err = look(&o, scope, &snap, &verdicts, &skipped);
	if (!err) {
		leaks_filter(&o.filter, scope, snap, verdicts, &sites);
		err = print(&o, scope, snap, verdicts, &sites);
	}
	if (err) {
		status = cmd_fail("leaks", err);
	} else {
		filter_report(stderr, &o.filter, &sites);
		status = reach_status(&verdicts->reach, history_status(snap, skipped));
		if (verdict_status(verdicts, o.level))
			status = GORO_FINDINGS;
		if (status == GORO_OK)
			say_what_is_missing(snap);
		status = cmd_finish("leaks", status);
		if (!filter_write(&o.filter, &sites) && status == GORO_OK)
			status = GORO_PARTIAL;
	}
	goro_verdicts_free(verdicts);
	sites_free(&sites);
	filter_free(&o.filter);
	goro_snapshot_free(snap);
	goro_scope_close(scope);
	return status;
}
