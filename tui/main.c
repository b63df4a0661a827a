/* SPDX-License-Identifier: MIT */
/* main.c - gotop's command line. */
#define _GNU_SOURCE
#include "app.h"
#include "launch.h"
#include "model.h"
#include "util.h"
#include "view.h"

#include <argp.h>
#include <langinfo.h>
#include <locale.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *argp_program_version = "gotop 0.1.0";

enum { OPT_GROUP = 256, OPT_NO_MOUSE, OPT_ASCII, OPT_COLOR, OPT_SCREEN, OPT_PROFILE };

static const struct argp_option options[] = {
	{ "batch", 'b', NULL, 0, "Print plain text instead of a screen", 0 },
	{ "iterations", 'n', "N", 0, "In batch mode: how often (default 1; 0: until it ends)", 0 },
	{ "delay", 'd', "SEC", 0, "Seconds from one refresh to the next, 0.1 to 60 (default 1)",
	  0 },
	{ "sort", 's', "COLUMN", 0,
	  "Sort by a column of the tables that have it: count mark rate wait oldest mem heap "
	  "verdict "
	  "site gid state for on held worker name spawn where waiters chain object proof queue "
	  "self total function "
	  "switches steals. A minus "
	  "behind "
	  "it inverts the order",
	  0 },
	{ "filter", 'F', "EXPR", 0,
	  "Only goroutines for which EXPR holds, e.g. 'state=chan and for>5s'", 0 },
	{ "group", OPT_GROUP, "KEY", 0, "Group by spawn, stack, state, or none", 0 },
	{ "screen", OPT_SCREEN, "NAME", 0,
	  "Begin with this screen, or print it: groups, list, waits, leaks, "
	  "profile or sched",
	  0 },
	{ "profile", OPT_PROFILE, "MODE", 0,
	  "What the profile screen samples: wall (the default), offcpu or cpu", 0 },
	{ "no-mouse", OPT_NO_MOUSE, NULL, 0, "Leave the mouse to the terminal", 0 },
	{ "ascii", OPT_ASCII, NULL, 0, "Draw with ASCII characters only", 0 },
	{ "color", OPT_COLOR, "WHEN", 0, "auto, always or never; NO_COLOR is honoured in auto", 0 },
	{ NULL, 'h', NULL, OPTION_HIDDEN, NULL, 0 },
	{ 0 },
};

struct arguments {
	struct app_options app;
	char **command;
	char *sort;
	const char *color;
	bool batch;
	unsigned long iterations;
};

static int64_t parse_delay(struct argp_state *state, const char *arg)
{
	char *end;
	double s = strtod(arg, &end);

	if (end == arg || *end || !(s >= 0.1 && s <= 60))
		argp_error(state, "-d needs seconds from 0.1 to 60, not '%s'", arg);
	return (int64_t)(s * (double)NSEC_PER_SEC);
}

static enum goro_group_key parse_group(struct argp_state *state, const char *arg)
{
	for (int k = GORO_BY_SPAWN; k <= GORO_BY_NONE; k++)
		if (strcmp(arg, group_key_name((enum goro_group_key)k)) == 0)
			return (enum goro_group_key)k;
	argp_error(state, "--group is one of spawn stack state none, not '%s'", arg);
	return GORO_BY_SPAWN;
}

static enum goro_profile_mode parse_mode(struct argp_state *state, const char *arg)
{
	for (int k = 0; k < GORO_NPROFILE_MODES; k++)
		if (strcmp(arg, goro_profile_mode_name((enum goro_profile_mode)k)) == 0)
			return (enum goro_profile_mode)k;
	argp_error(state, "--profile is one of wall offcpu cpu, not '%s'", arg);
	return GORO_PROFILE_WALL;
}

static void parse_sort(struct argp_state *state, struct arguments *a, const char *arg)
{
	size_t n = strlen(arg);
	struct model m;

	free(a->sort);
	a->sort = xstrdup(arg);
	a->app.sort_inverted = n && arg[n - 1] == '-';
	if (a->app.sort_inverted)
		a->sort[n - 1] = '\0';
	a->app.sort = a->sort;
	model_init(&m, false);
	if (!app_apply_sort(&m, &a->app))
		argp_error(state, "no column '%s' to sort by; see --help", a->sort);
	model_free(&m);
}

static void parse_filter(struct argp_state *state, struct arguments *a, const char *arg)
{
	char err[256];

	goro_filter_free(a->app.filter);
	a->app.filter = goro_filter_parse(arg, err, sizeof(err));
	if (!a->app.filter)
		argp_error(state, "bad filter '%s': %s", arg, err);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	char *end;

	switch (key) {
	case 'b':
		a->batch = true;
		return 0;
	case 'n':
		a->iterations = strtoul(arg, &end, 10);
		if (*end || arg[0] < '0' || arg[0] > '9')
			argp_error(state, "-n needs a number, not '%s'", arg);
		return 0;
	case 'd':
		a->app.interval_ns = parse_delay(state, arg);
		return 0;
	case 's':
		parse_sort(state, a, arg);
		return 0;
	case 'F':
		parse_filter(state, a, arg);
		return 0;
	case OPT_GROUP:
		a->app.group_key = parse_group(state, arg);
		return 0;
	case OPT_SCREEN:
		if (view_by_name(arg) == NVIEWS)
			argp_error(state,
				   "--screen is one of groups list waits leaks profile "
				   "sched, not '%s'",
				   arg);
		a->app.screen = arg;
		return 0;
	case OPT_PROFILE:
		a->app.profile = parse_mode(state, arg);
		return 0;
	case OPT_NO_MOUSE:
		a->app.mouse = false;
		return 0;
	case OPT_ASCII:
		a->app.ascii = true;
		return 0;
	case OPT_COLOR:
		if (strcmp(arg, "auto") && strcmp(arg, "always") && strcmp(arg, "never"))
			argp_error(state, "--color is auto, always or never, not '%s'", arg);
		a->color = arg;
		return 0;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	case ARGP_KEY_ARG:
		/* What follows "--" is a command, with its own options. */
		if (state->quoted && state->next > state->quoted) {
			if (a->app.target)
				argp_error(state, "either TARGET or -- CMD, not both");
			a->command = &state->argv[state->next - 1];
			state->next = state->argc;
			return 0;
		}
		if (a->app.target)
			argp_error(state, "one TARGET only: '%s' is too many", arg);
		if (!*arg)
			argp_error(state, "TARGET is empty: give a process id or name");
		a->app.target = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "[TARGET]\n-- CMD [ARGS...]",
	.doc = "Watch the goroutines of a running program."
	       "\vTARGET is a process id, the name of one process, a core file, or a recording"
	       " (goro record), which it plays. Without it gotop shows the processes it can"
	       " attach to. With -- it starts CMD, which goes on when gotop quits (Q ends it"
	       " too). Nothing here changes the target. Only a proof that is asked for (F8), and "
	       "samples"
	       " of processor time where perf events are forbidden, stop it for moments."
	       "\n\nExit status: 0 all right, 2 usage, 3 no such target or it ended, 4 no"
	       " permission, 5 not a goro program, 6 the output cannot be written, 126 or 127 CMD "
	       "cannot be run or found.",
};

static bool utf8_locale(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

static bool want_color(const char *when)
{
	const char *none = getenv("NO_COLOR");

	if (strcmp(when, "auto") == 0)
		return !none || !*none;
	return strcmp(when, "always") == 0;
}

static bool have_screen(void)
{
	const char *term = getenv("TERM");

	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

int main(int argc, char **argv)
{
	struct arguments a = {
		.app = { .interval_ns = NSEC_PER_SEC, .mouse = true, .clock = clock_now },
		.color = "auto",
		.iterations = 1,
	};
	struct child child = { .pid = 0 };
	bool kill_child = false;
	int status;

	/* What a look at a million goroutines needs goes back to the system with it. */
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	setlocale(LC_ALL, "");
	argp_err_exit_status = GORO_USAGE;
	/* In order: "gotop 12 -- true" must not be taken for "gotop -- 12 true". */
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &a);
	a.app.ascii |= !utf8_locale();
	a.app.color = want_color(a.color);
	if (!have_screen())
		a.batch = true;
	if (a.command) {
		status = launch(&child, a.command, !a.batch);
		if (status)
			return status;
		a.app.child = (int)child.pid;
		a.app.child_name = child.name;
	}
	status = a.batch ? batch_run(&a.app, a.iterations) : app_run(&a.app, &kill_child);
	if (child.pid)
		launch_finish(&child, kill_child);
	free(a.sort);
	return status;
}
