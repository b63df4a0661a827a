/* SPDX-License-Identifier: MIT */
/*
 * check.h - goro check: run a program, look at its goroutines when it ends.
 *
 * Five parts. check_run.c starts the program and waits for whatever happens; check_tree.c knows
 * what it has started; check_gate.c talks to the goro processes among them, which knock when they
 * are about to end; check_find.c decides what of a snapshot is a finding; check_report.c prints the
 * findings once all is over.
 */
#ifndef GORO_CHECK_H
#define GORO_CHECK_H

#include <poll.h>

#include "filter.h"

struct check_options {
	char **command;	    /* NULL-terminated */
	const char **allow; /* globs */
	size_t nallow;
	uint64_t grace_ns;
	uint64_t timeout_ns; /* 0: none */
	uint64_t every_ns;   /* 0: only at the end */
	uint64_t repeat;
	unsigned fail; /* bit 1 << kind: sites of that kind are failures */
	enum check_format { CHECK_TEXT, CHECK_JSON, CHECK_JUNIT, CHECK_SARIF, CHECK_GITHUB } format;
	bool apart; /* the report goes to a file, not to stderr */
	struct filter filter;
};

struct check_findings {
	struct sites sites;
	void *seen;	   /* goroutines of this run that were counted: a tree of tsearch(3) */
	unsigned checked;  /* processes that could be looked into */
	unsigned missed;   /* that came to their exit, and could not */
	int killed_by;	   /* the signal that ended CMD, in any run; 0: none did */
	int typed;	   /* SIGINT or SIGQUIT, if that came from the terminal; or 0 */
	char unknown[256]; /* why it was not to be proved that something is unreachable */
	bool started;	   /* CMD could be */
	bool timed_out;
	bool interrupted; /* we were told to end: no more runs */
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

/* Add what is to be found in a snapshot and was not found before in this run. */
struct goro_error *check_find(struct check_findings *f, struct goro_scope *scope,
			      struct goro_snapshot *snap, const struct check_options *opt,
			      enum check_what what, uint64_t caller);

/* Count a process that is looked into, once a run. */
void check_note_process(struct check_findings *f, int pid);
/* Another process may have the same ids from now on. */
void check_forget_seen(struct check_findings *f);
void check_findings_free(struct check_findings *f);

/* ---- check_gate.c ---------------------------------------------------------------------------- */

struct gate;

/* Listen in a fresh directory; sets GORO_CHECK. NULL with a message on stderr: it failed. */
struct gate *gate_open(const struct check_options *opt, struct check_findings *f);
/* The process group of the program. */
void gate_expect(struct gate *gate, int group);
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

#define GATE_FDS   64 /* at most so many processes are looked at at a time */
#define GATE_DOORS 2  /* and so many descriptors more to poll */

int64_t check_now(void); /* CLOCK_MONOTONIC ns */

/* ---- check_tree.c ---------------------------------------------------------------------------- */

/* Is it of the program whose process group that is, while our gate is open? */
bool check_tree_has(int group, int pid);
/* Send a signal to all of them, or with 0 none. Returns how many are alive. */
size_t check_tree_signal(int group, int signo);

/* ---- check_run.c, check_report.c ------------------------------------------------------------- */

/* Returns the status without regard to findings: CMD's, or 124, 126, 127. */
int check_run(const struct check_options *opt, struct check_findings *f);

/*
 * What was typed at the terminal only CMD has got, which had it: send it to the others of our
 * process group, and die of it if `status` says that CMD did, so that a shell ends its loop.
 */
void check_pass_on(const struct check_findings *f, int status);

/* Nobody came to an exit at which he could be looked at, and --every found nobody either. */
bool check_saw_nobody(const struct check_findings *f);
/* Does anything that was found fail? */
bool check_failed(const struct check_options *opt, const struct check_findings *f);

/* status: what check_run() returned, of the first run in which that was not 0. */
void check_report(FILE *out, const struct check_options *opt, struct check_findings *f, int status);

#endif /* GORO_CHECK_H */
