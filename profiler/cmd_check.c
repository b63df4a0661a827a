/* SPDX-License-Identifier: MIT */
/*
 * cmd_check.c - goro check
 */
#include "check.h"
#include "cmd.h"

#include <errno.h>
#include <string.h>

static const char *const formats[] = {
	[CHECK_TEXT] = "text",	 [CHECK_JSON] = "json",	    [CHECK_JUNIT] = "junit",
	[CHECK_SARIF] = "sarif", [CHECK_GITHUB] = "github", NULL,
};

enum { OPTION_ALLOW = 256, OPTION_GRACE, OPTION_TIMEOUT, OPTION_EVERY, OPTION_REPEAT, OPTION_FAIL };

#define CAN_FAIL                                                                \
	((1u << SITE_LEAKED) | (1u << SITE_DEADLOCK) | (1u << SITE_LOCKORDER) | \
	 (1u << SITE_PTHREAD) | (1u << SITE_LEFTOVER))

struct options {
	struct check_options check;
	const char *file;
};

static const struct argp_option options[] = {
	{ "allow-leftover", OPTION_ALLOW, "GLOB", 0,
	  "Goroutines may be left over whose function, or the function or \"file.c:12\" that "
	  "started them, matches; may be given several times",
	  0 },
	{ "grace", OPTION_GRACE, "DURATION", 0,
	  "After main has ended, the others get that long to end (default 1s)", 0 },
	{ "timeout", OPTION_TIMEOUT, "DURATION", 0,
	  "Kill CMD and all that it has started after that long: TERM, and KILL two seconds later",
	  0 },
	{ "every", OPTION_EVERY, "DURATION", 0,
	  "While CMD runs, look that often for goroutines that are stuck for ever", 0 },
	{ "repeat", OPTION_REPEAT, "N", 0, "Run CMD N times, and report what was found together",
	  0 },
	{ "fail-on", OPTION_FAIL, "KIND,...", 0,
	  "What exits with 23: leaked, deadlock, lockorder, pthread, leftover (default: all), or "
	  "none",
	  0 },
	{ "format", 'f', "FORMAT", 0, "text, json, junit, sarif or github", 0 },
	{ "output", 'o', "FILE", 0, "Write the report to FILE, not to stderr", 0 },
	{ 0 },
};

static const char doc[] =
	"Run CMD and look at its goroutines when it ends.\v"
	"A finding is a goroutine that is left over when main has ended and the grace\n"
	"period is over, one that is stuck for ever (see `goro leaks'), or a deadlock\n"
	"of all. Every program that CMD starts is checked as well, if it has a goro\n"
	"runtime. After --timeout only what is stuck for ever is a finding; what the\n"
	"others did then is told.\n"
	"\n"
	"With GORO_LOCKORDER=1 in the environment, locks that CMD takes in both orders\n"
	"are findings too, even if they caused no deadlock this time; and with\n"
	"GORO_DEBUG=pthread goroutines that wait while they hold a pthread mutex, which\n"
	"belongs to a thread.\n"
	"\n"
	"CMD's input, output and status are its own; the report goes to stderr.\n"
	"A DURATION is a number and a unit: 500ms, 2s, 1m. What the files of --suppress\n"
	"and --baseline look like is in goro(1).\n"
	"\n"
	"Exit status:\n"
	"  23   findings (see --fail-on), neither suppressed nor in the baseline\n"
	"  2    wrong usage\n"
	"  6    the check could not be set up, or a program not be looked into at\n"
	"       its exit, or the report not be written\n"
	"  124  CMD was killed after --timeout, and there are no findings\n"
	"  126  CMD cannot be run\n"
	"  127  CMD was not found\n"
	"  else that of CMD; 128+N if signal N killed it; with --repeat the first that\n"
	"       is not 0";

static void allow(struct check_options *check, const char *glob)
{
	const char **v = realloc(check->allow, (check->nallow + 1) * sizeof *v);

	if (!v)
		exit(cmd_usage("check", "out of memory"));
	check->allow = v;
	check->allow[check->nallow++] = glob;
}

static void fail_on(struct check_options *check, const char *list)
{
	check->fail = 0;
	/* An empty list is a word that is none: a variable that is not
	 * set must not open the gate. */
	for (const char *word = list; *word || word == list; word += *word == ',') {
		size_t n = strcspn(word, ",");
		int kind = 0;

		while (kind < SITE_KINDS && (strlen(site_kind_name(kind)) != n ||
					     strncmp(word, site_kind_name(kind), n) != 0))
			kind++;
		if (kind < SITE_KINDS && CAN_FAIL & 1u << kind)
			check->fail |= 1u << kind;
		else if (strcmp(list, "none") != 0)
			exit(cmd_usage("check",
				       "--fail-on takes leaked, deadlock, lockorder, pthread and "
				       "leftover, "
				       "with commas between, or none; not '%s'",
				       list));
		word += n;
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->check.filter;
		return 0;
	case OPTION_EVERY:
		cmd_duration_option("check", "--every", arg, &o->check.every_ns);
		return 0;
	case OPTION_REPEAT:
		if (!cmd_number(arg, &o->check.repeat) || !o->check.repeat)
			exit(cmd_usage("check", "--repeat takes a number from 1, not '%s'", arg));
		return 0;
	case OPTION_FAIL:
		fail_on(&o->check, arg);
		return 0;
	case OPTION_ALLOW:
		allow(&o->check, arg);
		return 0;
	case OPTION_GRACE:
		cmd_duration_option("check", "--grace", arg, &o->check.grace_ns);
		return 0;
	case OPTION_TIMEOUT:
		cmd_duration_option("check", "--timeout", arg, &o->check.timeout_ns);
		return 0;
	case 'f':
		o->check.format =
			(enum check_format)cmd_one_of("check", "the format is", arg, formats);
		return 0;
	case 'o':
		o->file = arg;
		return 0;
	case ARGP_KEY_ARG:
		o->check.command = state->argv + state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		if (!o->check.command)
			exit(cmd_usage("check", "which command? Give it after --"));
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Run it as often as was asked for. Returns the first status that is not 0. */
static int run_all(const struct check_options *opt, struct check_findings *f)
{
	int status = 0;

	for (uint64_t i = 0; i < opt->repeat && !f->interrupted; i++) {
		int one = check_run(opt, f);

		status = status ? status : one;
		if (one == GORO_NOT_FOUND || one == GORO_NOT_RUNNABLE)
			break;
	}
	return status;
}

/* To stderr if no file was asked for. Returns 0, or errno when it could not be written. */
static int put_report(struct options *o, struct cmd_output *out, struct check_findings *f,
		      int status)
{
	int error, end;

	if (!o->file) {
		check_report(stderr, &o->check, f, status);
		return !fflush(stderr) && !ferror(stderr) ? 0 : errno ? errno : EIO;
	}
	error = cmd_output_begin(out) ? 0 : errno;
	if (!error)
		check_report(out->file, &o->check, f, status);
	end = cmd_output_end(out, !error);
	return error ? error : end;
}

/* Of what nobody looked at there is none; the one that may be there is better. */
static bool write_baseline(struct options *o, struct check_findings *f, int status)
{
	const char *path = o->check.filter.write_path;

	if (!path || f->sites.n || (f->started && !check_saw_nobody(f)))
		return filter_write(&o->check.filter, &f->sites);
	fprintf(stderr, "goro: check: no baseline was written to %s: nothing was checked\n", path);
	return status != 0;
}

static int write_report(struct cmd_output *out, struct options *o, struct check_findings *f,
			int status)
{
	bool failed, bad;
	int error;

	filter_apply(&o->check.filter, &f->sites);
	failed = check_failed(&o->check, f);
	error = put_report(o, out, f, status);
	if (error)
		fprintf(stderr, "goro: check: cannot write the report to %s: %s\n",
			o->file ? o->file : "stderr", strerror(error));
	bad = error || !write_baseline(o, f, status);
	/* A test that could not be checked has not passed. */
	bad |= f->missed && !status;
	return failed ? GORO_FINDINGS : bad ? GORO_PARTIAL : status;
}

int cmd_check(int argc, char **argv)
{
	static const struct argp_child children[] = { { &filter_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = { options, parse, "-- CMD [ARG...]", doc, children,
					  NULL,	   NULL };
	struct options o = { .check = { .grace_ns = UINT64_C(1000000000),
					.repeat = 1,
					.fail = CAN_FAIL,
					.filter.command = "check" } };
	struct check_findings findings = { 0 };
	struct cmd_output out;
	int status;

	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &o);
	o.check.apart = o.file;
	if (!cmd_output_open(&out, o.file))
		return cmd_usage("check", "cannot write %s: %s", o.file, strerror(errno));
	status = run_all(&o.check, &findings);
	status = write_report(&out, &o, &findings, status);
	check_pass_on(&findings, status);
	check_findings_free(&findings);
	filter_free(&o.check.filter);
	free(o.check.allow);
	return status;
}
