/* SPDX-License-Identifier: MIT */
/*
 * program.c - see program.h.
 */
#include "program.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

pid_t program_start(const char *const argv[])
{
	pid_t parent = getpid(), pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		execv(argv[0], (char *const *)argv);
		perror(argv[0]);
		_exit(127);
	}
	return pid;
}

void program_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

int64_t processor_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

struct goro_scope *program_open(pid_t pid)
{
	int64_t deadline = now_ns() + DEADLINE_NS;
	struct goro_scope *scope;
	struct goro_error *err;

	while ((err = goro_scope_open_pid(&scope, pid))) {
		if (err->code != GORO_UNSUPPORTED || now_ns() > deadline)
			fail_msg("open: %d: %s", (int)err->code, err->message);
		goro_error_free(err);
		nap();
	}
	return scope;
}

struct goro_snapshot *program_snapshot(struct goro_scope *scope,
				       bool (*check)(struct goro_scope *,
						     const struct goro_snapshot *, void *),
				       void *arg)
{
	int64_t deadline = now_ns() + DEADLINE_NS;

	for (;;) {
		struct goro_snapshot *snap;
		struct goro_error *err = goro_scope_snapshot(scope, &snap);

		if (err)
			fail_msg("snapshot: %d: %s", (int)err->code, err->message);
		if (check(scope, snap, arg))
			return snap;
		goro_snapshot_free(snap);
		if (now_ns() > deadline)
			fail_msg("the program did not come to what was expected in time");
		nap();
	}
}
