/* SPDX-License-Identifier: MIT */
/*
 * cmd_metrics.c - goro metrics
 */
#include "cmd.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include "report_metrics.h"

#define DEFAULT_AGE (5 * 60 * UINT64_C(1000000000))

struct options {
	const char *target, *listen;
	uint64_t top;
	struct goro_verdict_options verdict;
};

enum { OPTION_LISTEN = 256, OPTION_AGE, OPTION_TOP };

static const struct argp_option options[] = {
	{ "listen", OPTION_LISTEN, "[ADDR:]PORT", 0,
	  "serve them at http://ADDR:PORT/metrics until the process ends or Ctrl-C; without ADDR "
	  "on "
	  "the loopback interface only",
	  0 },
	{ "suspect-age", OPTION_AGE, "DURATION", 0,
	  "from which age on a wait is suspect; default 5m, 0 for never", 0 },
	{ "top", OPTION_TOP, "N", 0, "tell the N biggest spawn sites apart; default 10", 0 },
	{ 0 },
};

static const char doc[] = "Print metrics of a process as OpenMetrics text, or serve them to "
			  "Prometheus.\v"
			  "Exit status:\n"
			  "  0    done\n" //
	STATUS_HELP_TARGET;

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case OPTION_LISTEN:
		o->listen = arg;
		return 0;
	case OPTION_AGE:
		cmd_duration_option("metrics", "--suspect-age", arg, &o->verdict.suspect_age_ns);
		return 0;
	case OPTION_TOP:
		if (!cmd_number(arg, &o->top) || o->top > 10000)
			exit(cmd_usage("metrics", "--top takes 0 to 10000, not '%s'", arg));
		return 0;
	default:
		return cmd_parse_target("metrics", key, arg, &o->target);
	}
}

struct job {
	const struct options *options;
	struct goro_scope *scope;
	_Atomic bool ended; /* the process has */
	int status;	    /* of one look to the terminal */
};

/* One look, judged: what Prometheus asks for, or what goes to the terminal. */
static struct goro_error *put(FILE *out, bool older, void *arg)
{
	struct job *job = arg;
	struct goro_verdicts *verdicts = NULL;
	struct goro_snapshot *snap;
	struct goro_error *err = goro_scope_snapshot(job->scope, &snap);

	if (err) {
		job->ended = err->code == GORO_NO_TARGET;
		return err;
	}
	/* What was read is worth telling, also when the target ends before a second look. */
	goro_error_free(goro_scope_judge(job->scope, snap, &job->options->verdict, &verdicts));
	report_openmetrics(out, &(struct metrics){ .scope = job->scope,
						   .snap = snap,
						   .verdicts = verdicts,
						   .top = job->options->top,
						   .older = older });
	/* Prometheus has a metric for it. */
	if (!job->options->listen)
		job->status = cmd_completeness_but_stacks("metrics", snap);
	goro_verdicts_free(verdicts);
	goro_snapshot_free(snap);
	return NULL;
}

/* Until Ctrl-C, or until the process is gone: then nobody would ever get an answer again. */
static int serve(struct job *job, int pid)
{
	const struct timespec second = { .tv_sec = 1 };
	struct metrics_server *server;
	struct goro_error *err;
	sigset_t ends;
	char url[128];
	int sig;

	/* Before the server's thread exists, so that it inherits this. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	cmd_give_way();
	err = metrics_serve(&server, job->options->listen, put, job, url, sizeof url);
	if (err)
		return cmd_fail("metrics", err);
	fprintf(stderr, "goro: metrics: %s\n", url);
	do {
		sig = sigtimedwait(&ends, NULL, &second);
		if (kill(pid, 0) && errno == ESRCH)
			job->ended = true;
	} while (sig < 0 && !job->ended);
	metrics_stop(server);
	if (!job->ended)
		return GORO_OK;
	fprintf(stderr, "goro: metrics: process %d has ended\n", pid);
	return GORO_NO_TARGET;
}

int cmd_metrics(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "TARGET", doc, NULL, NULL, NULL };
	struct options o = { .top = 10, .verdict = { .suspect_age_ns = DEFAULT_AGE } };
	struct job job = { .options = &o };
	struct goro_snapshot *snap;
	struct goro_error *err;
	int status, pid;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	err = cmd_open_target(o.target, NULL, &job.scope);
	if (err)
		return cmd_fail("metrics", err);
	cmd_save_memory(job.scope);
	err = goro_scope_snapshot(job.scope, &snap);
	if (err) {
		goro_scope_close(job.scope);
		return cmd_fail("metrics", err);
	}
	pid = snap->pid;
	goro_snapshot_free(snap);
	if (o.listen) {
		status = serve(&job, pid);
	} else {
		err = put(stdout, false, &job);
		status = err ? cmd_fail("metrics", err) : cmd_finish("metrics", job.status);
	}
	goro_scope_close(job.scope);
	return status;
}
