/* SPDX-License-Identifier: MIT */
/*
 * cmd_check.c - goro check
 */
#include "check.h"
#include "cmd.h"

#include <errno.h>
#include <string.h>

static const char *const formats[] = { "text", "json", NULL };

enum { OPTION_ALLOW = 256, OPTION_GRACE, OPTION_TIMEOUT };

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
	  "Kill CMD and all its children after that long: TERM, and KILL two seconds later", 0 },
	{ "format", 'f', "FORMAT", 0, "text or json", 0 },
	{ "output", 'o', "FILE", 0, "Write the report to FILE, not to stderr", 0 },
	{ 0 },
};

static const char doc[] =
	"Run CMD and look at its goroutines when it ends.\v"
	"A finding is a goroutine that is left over when main has ended and the grace period is\n"
	"over, one that is stuck for ever (see `goro leaks'), or a deadlock of all. Every program\n"
	"that CMD starts is checked as well, if it has a goro runtime. After --timeout only what\n"
	"is stuck for ever is a finding.\n"
	"\n"
	"CMD's input, output and status are its own; the report goes to stderr.\n"
	"A DURATION is a number and a unit: 500ms, 2s, 1m.\n"
	"\n"
	"Exit status:\n"
	"  23   findings\n"
	"  2    wrong usage\n"
	"  6    the check could not be set up, or its report not be written\n"
	"  124  CMD was killed after --timeout, and there are no findings\n"
	"  126  CMD cannot be run\n"
	"  127  CMD was not found\n"
	"  else that of CMD; 128+N if signal N killed it";

static void parse_duration(const char *option, const char *arg, uint64_t *ns)
{
	if (!cmd_duration(arg, ns))
		exit(cmd_usage("check", "%s takes a duration like 500ms, 2s or 1m, not '%s'",
			       option, arg));
}

static void allow(struct check_options *check, const char *glob)
{
	const char **v = realloc(check->allow, (check->nallow + 1) * sizeof *v);

	if (!v)
		exit(cmd_usage("check", "out of memory"));
	check->allow = v;
	check->allow[check->nallow++] = glob;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	int format;

	switch (key) {
	case OPTION_ALLOW:
		allow(&o->check, arg);
		return 0;
	case OPTION_GRACE:
		parse_duration("--grace", arg, &o->check.grace_ns);
		return 0;
	case OPTION_TIMEOUT:
		parse_duration("--timeout", arg, &o->check.timeout_ns);
		return 0;
	case 'f':
		format = cmd_choice(arg, formats);
		if (format < 0)
			exit(cmd_usage("check", "the format is text or json, not '%s'", arg));
		o->check.json = format == 1;
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

static int write_report(FILE *out, const struct options *o, struct check_findings *f, int status)
{
	bool bad;

	check_report(out, &o->check, f, status);
	bad = fflush(out) || ferror(out);
	if (out != stderr)
		bad |= fclose(out) != 0;
	if (!bad)
		return f->n ? GORO_FINDINGS : status;
	fprintf(stderr, "goro: check: cannot write the report to %s: %s\n",
		o->file ? o->file : "stderr", strerror(errno));
	return f->n ? GORO_FINDINGS : GORO_PARTIAL;
}

int cmd_check(int argc, char **argv)
{
	static const struct argp argp = {
		options, parse, "-- CMD [ARG...]", doc, NULL, NULL, NULL
	};
	struct options o = { .check = { .grace_ns = UINT64_C(1000000000) } };
	struct check_findings findings = { 0 };
	FILE *out = stderr;
	int status;

	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &o);
	if (o.file) {
		out = fopen(o.file, "we");
		if (!out)
			return cmd_usage("check", "cannot write %s: %s", o.file, strerror(errno));
	}
	status = check_run(&o.check, &findings);
	status = write_report(out, &o, &findings, status);
	check_findings_free(&findings);
	free(o.check.allow);
	return status;
}
