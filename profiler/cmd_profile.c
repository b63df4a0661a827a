/* SPDX-License-Identifier: MIT */
/*
 * cmd_profile.c - goro profile
 */
#include "cmd.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include "error.h"
#include "report_profile.h"
#include "sampler.h"

static const char *const modes[] = { "cpu",   "wall",	   "offcpu", "spawn",
				     "stack", "goroutine", "heap",   NULL };
static const char *const ways[] = { "auto", "perf", "ptrace", NULL };

struct options {
	const char *target, *at, *output;
	const struct profile_format *format;
	struct sampler_options sampler;
	bool partial; /* after the profile: something could not be read */
};

/* Ctrl-C ends the profile; what there is gets written. A second one ends us. */
static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static const struct argp_option options[] = {
	{ "mode", 'm', "MODE", 0,
	  "cpu (the default): processor time; wall: time of all goroutines, by state; offcpu: time "
	  "in which they waited, by reason; spawn: who starts goroutines; stack: bytes of stacks; "
	  "goroutine: how many are where; heap: who holds it, of what goro run started",
	  0 },
	{ "rate", 'r', "HZ", 0, "look that often a second, on average; default 99", 0 },
	{ "duration", 'd', "DURATION", 0,
	  "for so long; seconds, or 500ms, 1m; default 10s; 0: until Ctrl-C", 0 },
	{ "output", 'o', "FILE", 0, "write to FILE instead of the standard output", 0 },
	{ "format", 'f', "FORMAT", 0,
	  "pprof, folded, svg, speedscope or perfetto; the default is what the name of FILE ends "
	  "in, else pprof",
	  0 },
	{ "how", 'H', "WAY", 0,
	  "cpu: catch threads by perf events (perf), by ptrace, or by what is permitted (auto, the "
	  "default)",
	  0 },
	CMD_AT_OPTION,
	{ 0 },
};

static const char doc[] = "Take a profile of a running process.\v"
			  "Exit status:\n"
			  "  0    done\n" //
	STATUS_HELP_TARGET;

static const struct profile_format *find_format(const char *name)
{
	for (const struct profile_format *f = profile_formats; f->name; f++) {
		if (!strcmp(name, f->name))
			return f;
	}
	return NULL;
}

/* By the name of the file that it goes to. */
static const struct profile_format *guess_format(const char *output)
{
	static const struct {
		const char *end, *format;
	} ends[] = { { ".svg", "svg" },
		     { ".folded", "folded" },
		     { ".speedscope.json", "speedscope" },
		     { ".perfetto.json", "perfetto" },
		     { ".trace.json", "perfetto" },
		     { ".speedscope", "speedscope" },
		     { ".perfetto", "perfetto" } };
	size_t len = output ? strlen(output) : 0;

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		size_t n = strlen(ends[i].end);

		if (len > n && !strcmp(output + len - n, ends[i].end))
			return find_format(ends[i].format);
	}
	return find_format("pprof");
}

static void finish_options(struct options *o)
{
	if (!o->format)
		o->format = guess_format(o->output);
	if (o->format->write == report_perfetto && o->sampler.kind != PROFILE_CPU &&
	    o->sampler.kind != PROFILE_WALL && o->sampler.kind != PROFILE_OFFCPU)
		exit(cmd_usage("profile",
			       "perfetto shows who ran when, and mode %s does not know: "
			       "use -m cpu or wall",
			       modes[o->sampler.kind]));
	if (!o->output && o->format->binary && isatty(STDOUT_FILENO))
		exit(cmd_usage("profile", "%s is nothing for a terminal: give -o FILE",
			       o->format->name));
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	uint64_t number;

	switch (key) {
	case CMD_OPTION_AT:
		o->at = arg;
		return 0;
	case 'm':
		o->sampler.kind =
			(enum profile_kind)cmd_one_of("profile", "the mode is", arg, modes);
		return 0;
	case 'r':
		if (!cmd_number(arg, &number) || number < 1 || number > 10000)
			exit(cmd_usage("profile", "the rate is 1 to 10000 a second, not '%s'",
				       arg));
		o->sampler.hz = (unsigned)number;
		return 0;
	case 'd':
		if (!cmd_seconds(arg, &o->sampler.duration_ns))
			exit(cmd_usage("profile", "a duration is like 10, 500ms or 1m, not '%s'",
				       arg));
		return 0;
	case 'o':
		o->output = arg;
		return 0;
	case 'f':
		o->format = find_format(arg);
		if (!o->format)
			exit(cmd_usage("profile",
				       "the format is pprof, folded, svg, speedscope or perfetto, "
				       "not '%s'",
				       arg));
		return 0;
	case 'H':
		o->sampler.way = (enum sampler_way)cmd_one_of("profile", "the way is", arg, ways);
		return 0;
	case ARGP_KEY_END:
		if (o->target)
			finish_options(o);
		/* fall through */
	default:
		return cmd_parse_target("profile", key, arg, &o->target);
	}
}

/* ---- words for people ------------------------------------------------------------------------ */

static const char *looks(const struct profile *p)
{
	if (p->taken == 1)
		return p->kind == PROFILE_CPU ? "sample" : "look";
	return p->kind == PROFILE_CPU ? "samples" : "looks";
}

static void show_progress(const struct profile *p, uint64_t elapsed_ns, void *arg)
{
	const struct options *o = arg;
	char elapsed[TEXT_NUMBER], all[TEXT_NUMBER];

	fprintf(stderr, "\r%s: %s", profile_kinds[p->kind].name,
		text_duration(elapsed, elapsed_ns));
	if (o->sampler.duration_ns)
		fprintf(stderr, " of %s", text_duration(all, o->sampler.duration_ns));
	fprintf(stderr, ", %" PRIu64 " %s, %" PRIu64 " missed; Ctrl-C writes what there is \033[K",
		p->taken, looks(p), p->missed);
	fflush(stderr);
}

static void tell(const struct profile *p)
{
	char duration[TEXT_NUMBER];

	fprintf(stderr, "goro: profile: %" PRIu64 " %s", p->taken, looks(p));
	if (p->hz)
		fprintf(stderr, " in %s", text_duration(duration, (uint64_t)(p->end - p->begin)));
	if (p->how)
		fprintf(stderr, " by %s", p->how);
	if (p->missed)
		fprintf(stderr,
			"; %" PRIu64 " missed: the machine or the target is too busy for "
			"this rate",
			p->missed);
	if (p->truncated)
		fprintf(stderr, "; %" PRIu64 " stacks do not reach their end", p->truncated);
	if (p->note)
		fprintf(stderr, "; %s", p->note);
	if (p->ended)
		fprintf(stderr, "; the process has ended");
	fputc('\n', stderr);
}

/* ---- the command ----------------------------------------------------------------------------- */

static int fail_output(const char *name)
{
	fprintf(stderr, "goro: profile: cannot write %s: %s\n", name, strerror(errno));
	return GORO_PARTIAL;
}

static int put(const struct options *o, struct cmd_output *out, struct goro_scope *scope,
	       struct profile *p)
{
	if (!cmd_output_begin(out))
		return fail_output(o->output);
	if (!profile_resolve(p, scope) || !o->format->write(out->file, scope, p)) {
		fputs("goro: profile: out of memory\n", stderr);
		return GORO_PARTIAL;
	}
	return GORO_OK;
}

void cmd_refuse_terminal(const char *name, const char *format)
{
	const struct profile_format *f = find_format(format);

	if (f && f->binary && isatty(STDOUT_FILENO))
		exit(cmd_usage(name, "%s is nothing for a terminal: send it to a file", format));
}

struct goro_error *cmd_put_profile(struct goro_scope *scope, const struct goro_snapshot *snap,
				   enum profile_kind kind, const char *format)
{
	const struct profile_format *f = find_format(format);
	struct profile *p;
	struct goro_error *err = goro_scope_profile_snapshot(scope, snap, kind, &p);

	if (err)
		return err;
	if (!profile_resolve(p, scope) || !f->write(stdout, scope, p))
		err = &goro_enomem;
	profile_free(p);
	return err;
}

static int run(struct options *o, struct cmd_output *out)
{
	const struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESETHAND };
	struct goro_scope *scope;
	struct profile *profile;
	struct goro_error *err = cmd_open_target(o->target, o->at, &scope);
	int status;

	if (err)
		return cmd_fail("profile", err);
	if (o->sampler.kind == PROFILE_CPU)
		goro_scope_summarize(scope); /* who runs is told by their stacks */
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	o->sampler.stop = &stop;
	if (isatty(STDERR_FILENO)) {
		o->sampler.progress = show_progress;
		o->sampler.progress_arg = o;
	}
	err = goro_scope_profile(scope, &o->sampler, &profile);
	if (o->sampler.progress)
		fputs("\r\033[K", stderr);
	if (err) {
		goro_scope_close(scope);
		return cmd_fail("profile", err);
	}
	status = put(o, out, scope, profile);
	tell(profile);
	o->partial = profile->note != NULL;
	profile_free(profile);
	goro_scope_close(scope);
	return status;
}

int cmd_profile(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "TARGET", doc, NULL, NULL, NULL };
	struct options o = { .sampler = { .hz = 99, .duration_ns = 10000000000 } };
	struct cmd_output out;
	int status, error;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	/* Before the profile: nobody wants to learn of a wrong name after it. */
	if (!cmd_output_open(&out, o.output))
		return cmd_usage("profile", "cannot write %s: %s", o.output, strerror(errno));
	status = run(&o, &out);
	error = cmd_output_end(&out, status == GORO_OK);
	if (!error)
		return status == GORO_OK && o.partial ? GORO_PARTIAL : status;
	errno = error;
	return fail_output(o.output ? o.output : "the output");
}
