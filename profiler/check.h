/* SPDX-License-Identifier: MIT */
/*
 * check.h - goro check: run a program, look at its goroutines when it ends.
 *
 * Four parts. check_run.c starts the program and waits for whatever happens; check_gate.c talks to
 * the goro processes of the tree, which knock when they are about to end; check_find.c decides what
 * of a snapshot is a finding; check_report.c prints the findings once all is over.
 */
#ifndef GORO_CHECK_H
#define GORO_CHECK_H

#include <jansson.h>
#include <poll.h>
#include "profiler.h"

struct check_options {
	char **command;	    /* NULL-terminated */
	const char **allow; /* globs */
	size_t nallow;
	uint64_t grace_ns;
	uint64_t timeout_ns; /* 0: none */
	bool json;
};

/* Why goroutines are findings. */
enum check_kind {
	CHECK_LEAKED,	/* proved to be stuck */
	CHECK_DEADLOCK, /* all goroutines are asleep */
	CHECK_LEFTOVER, /* still there after main has ended and the grace period is over */
};

/*
 * Goroutines that are findings for one reason at one place. All is text, since the process will
 * have ended when it is printed; what is equal in text is one group, also over several processes.
 */
struct check_group {
	enum check_kind kind;
	char *program;
	char *state;
	char *blocked;	 /* where it stands; "" if that is not known */
	char *spawn;	 /* who started it; "" for main */
	char *frames;	 /* indented lines */
	char *evidence;	 /* lines; "" for none */
	json_t *details; /* spawn, stack */
	size_t count;
	uint64_t oldest_ns;
};

struct check_findings {
	struct check_group *v;
	size_t n;
	unsigned checked; /* processes that knocked and could be looked into */
	bool no_memory;
};

/* ---- check_find.c ---------------------------------------------------------------------------- */

/* Which goroutines of a process count. */
enum check_what {
	CHECK_AT_EXIT, /* all but main, the one that calls exit, and those allowed */
	CHECK_ASLEEP,  /* all */
	CHECK_PROVED,  /* those with a proof */
};

/* Is anything left over that is not allowed? caller: the goroutine that calls exit. */
bool check_leftover(struct goro_scope *scope, const struct goro_snapshot *snap,
		    const struct check_options *opt, uint64_t caller);

/* Add what is to be found in a snapshot. */
struct goro_error *check_find(struct check_findings *f, struct goro_scope *scope,
			      struct goro_snapshot *snap, const struct check_options *opt,
			      enum check_what what, uint64_t caller);

void check_findings_free(struct check_findings *f);

/* ---- check_gate.c ---------------------------------------------------------------------------- */

struct gate;

/* Listen in a fresh directory; sets GORO_CHECK. NULL with a message on stderr: it failed. */
struct gate *gate_open(const struct check_options *opt, struct check_findings *f);
/* Nobody may knock any more. Those who did are still looked at. */
void gate_shut(struct gate *gate);
void gate_close(struct gate *gate); /* lets everybody go */

/* For poll(): fills fds, returns how many; *deadline gets the time of the next look if it is
 * nearer. */
size_t gate_poll(struct gate *gate, struct pollfd *fds, size_t max, int64_t *deadline);
/* Do what is to be done now. */
void gate_run(struct gate *gate);
/* Somebody is being looked at. */
bool gate_busy(const struct gate *gate);
/* From now on let everybody go unseen. */
void gate_open_wide(struct gate *gate);

#define GATE_FDS 64 /* at most so many processes are looked at at a time */

int64_t check_now(void); /* CLOCK_MONOTONIC ns */

/* ---- check_run.c, check_report.c ------------------------------------------------------------- */

/* Returns the status without regard to findings: CMD's, or 124, 126, 127. */
int check_run(const struct check_options *opt, struct check_findings *f);

void check_report(FILE *out, const struct check_options *opt, struct check_findings *f, int status);

#endif /* GORO_CHECK_H */
