/* SPDX-License-Identifier: MIT */
/*
 * cmd_record.c - goro record
 */
#include "cmd.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct options {
	const char *target, *output;
	uint64_t interval_ns, duration_ns;
	bool has_duration;
};

static const struct argp_option options[] = {
	{ "output", 'o', "FILE", 0,
	  "Write to FILE; what was in it stays until the first look is done", 0 },
	{ "interval", 'i', "SECONDS", 0, "From one look to the next (default 1; or 100ms, 1m ...)",
	  0 },
	{ "duration", 'd', "SECONDS", 0,
	  "Stop after that long (default: when the process ends, or at Ctrl-C); 0: look once, and "
	  "again at once, because a proof takes two looks",
	  0 },
	{ 0 },
};

static const char doc[] =
	"Write what the goroutines do over time to one file. Every other command takes the file as "
	"its TARGET; it needs neither the process nor the program any more. Each look is in the "
	"file when it is done: if this is killed, the file is good up to the last look.\v"
	"Exit status:\n"
	"  0    done; or the process ended after it had been looked at\n" //
	STATUS_HELP_TARGET;

static void parse_seconds(const char *option, const char *arg, uint64_t *ns)
{
	if (!cmd_seconds(arg, ns))
		exit(cmd_usage("record", "%s takes seconds, or a duration like 100ms, not '%s'",
			       option, arg));
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'o':
		o->output = strcmp(arg, "-") ? arg : "/dev/stdout";
		return 0;
	case 'i':
		parse_seconds("--interval", arg, &o->interval_ns);
		if (o->interval_ns < 1000000)
			exit(cmd_usage("record", "--interval is 1ms at least, not '%s'", arg));
		return 0;
	case 'd':
		parse_seconds("--duration", arg, &o->duration_ns);
		o->has_duration = true;
		return 0;
	case ARGP_KEY_END:
		if (o->target && !o->output)
			exit(cmd_usage("record", "where to? Give -o FILE"));
		/* fall through */
	default:
		return cmd_parse_target("record", key, arg, &o->target);
	}
}

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static sigset_t before; /* what was blocked before we blocked ours */

/* They come while we sleep and at no other time, so none comes just before a long sleep begins. */
static void catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = stop };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		sigaction(signals[i], &sa, NULL);
		sigaddset(&set, signals[i]);
	}
	sigprocmask(SIG_BLOCK, &set, &before);
}

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Until then, or until a signal. */
static void sleep_until(int64_t ns)
{
	int64_t left = ns - now_ns();
	struct timespec ts = { 0 };

	if (left > 0)
		ts = (struct timespec){ (time_t)(left / 1000000000), (long)(left % 1000000000) };
	ppoll(NULL, 0, &ts, &before);
}

struct progress {
	uint64_t ticks;
	int64_t start;
	size_t goroutines;
	bool live, terminal;
	int status;
};

static void show(const struct progress *p, const struct goro_recorder *r, const char *end)
{
	char time[TEXT_NUMBER], bytes[TEXT_NUMBER];

	fprintf(stderr, "%srecorded %" PRIu64 " tick%s in %s, %zu goroutine%s, %s%s",
		p->terminal ? "\r\033[K" : "", p->ticks, plural(p->ticks),
		text_duration(time, (uint64_t)(now_ns() - p->start)), p->goroutines,
		plural(p->goroutines), text_bytes(bytes, goro_recorder_bytes(r)), end);
}

static struct goro_error *add_tick(struct goro_scope *scope, struct goro_recorder *r,
				   struct progress *p)
{
	struct goro_snapshot *snap;
	struct goro_error *err = goro_scope_snapshot(scope, &snap);

	if (err)
		return err;
	err = goro_recorder_add(r, snap);
	p->ticks += !err;
	p->goroutines = goro_snapshot_count(snap);
	p->live = snap->source == GORO_LIVE;
	/* A process that runs moves on, and each tick says what it lacks. A file will not get
	 * better. */
	if (!err && !p->live)
		p->status = cmd_completeness("record", snap);
	goro_snapshot_free(snap);
	if (!err && p->terminal)
		show(p, r, "");
	return err;
}

/* A look that comes too late does not move those after it. */
static struct goro_error *record(const struct options *o, struct goro_scope *scope,
				 struct goro_recorder *r, struct progress *p)
{
	int64_t next = p->start;
	struct goro_error *err = NULL;

	while (!stopped) {
		err = add_tick(scope, r, p);
		if (err || !p->live)
			break;
		if (o->has_duration && o->duration_ns == 0) {
			err = add_tick(scope, r, p);
			break;
		}
		if (p->ticks == 1)
			cmd_give_way(); /* not before: somebody waits for the first look */
		do
			next += (int64_t)o->interval_ns;
		while (next < now_ns());
		if (o->has_duration && next - p->start > (int64_t)o->duration_ns)
			break;
		sleep_until(next);
	}
	return err;
}

int cmd_record(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "TARGET", doc, NULL, NULL, NULL };
	struct options o = { .interval_ns = UINT64_C(1000000000) };
	struct progress p = { .start = now_ns(), .terminal = isatty(STDERR_FILENO) };
	struct goro_recorder *r = NULL;
	struct goro_scope *scope = NULL;
	struct goro_error *err;
	int status = GORO_OK;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	err = goro_scope_open(&scope, o.target);
	if (!err && goro_scope_ticks(scope)) {
		status = cmd_usage("record", "%s is a recording already", o.target);
		goro_scope_close(scope);
		return status;
	}
	if (!err) {
		cmd_save_memory(scope);
		err = goro_recorder_open(&r, scope, o.output);
	}
	if (!err) {
		catch_signals();
		err = record(&o, scope, r, &p);
		show(&p, r,
		     err && err->code == GORO_NO_TARGET ? "; the process has ended\n" : "\n");
	}
	if (err && err->code == GORO_NO_TARGET && p.ticks)
		goro_error_free(err);
	else if (err)
		status = cmd_fail("record", err);
	else
		status = p.status;
	goro_recorder_close(r);
	goro_scope_close(scope);
	return status;
}
