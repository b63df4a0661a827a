/* SPDX-License-Identifier: MIT */
/*
 * report.h - the last thing that a program writes: what is wrong, and the stacks.
 */
#ifndef GORO_REPORT_H
#define GORO_REPORT_H

#include "runtime.h"

/* GORO_TRACEBACK, in Go's meaning. */
enum report_level { REPORT_NONE, REPORT_SINGLE, REPORT_ALL, REPORT_SYSTEM, REPORT_CRASH };

struct report {
	struct g *g;	/* whose stack comes first; NULL: no goroutine's */
	void *ucontext; /* that stack's registers; NULL: there is none to come first */
	bool exact;	/* a signal interrupted it: the pc is not that of a call */
	bool in_call;	/* in the midst of a call of ours, with which it begins */
	bool others;	/* all others follow */
};

void goro_report_init(void);
enum report_level goro_report_level(void);

/*
 * In this order, by the thread that found out: begin (only one thread comes back from that), say,
 * write, end. All of it may be called in a signal handler, of a thread that holds any lock of the
 * C library's.
 */
void goro_report_begin(void);
void goro_report_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void goro_report_write(const struct report *r);
GORO_NORETURN void goro_report_end(void);

/* Between begin and write: fn(arg) finds out what is to be said, guarded, on a stack of its own. */
void goro_report_look(void (*fn)(void *arg), void *arg);

/* Within it: false if fn faulted, aborted or hung. What it has locked then stays locked. */
bool goro_report_try(void (*fn)(void *arg), void *arg);

void goro_traceback(const struct report *r);

/* The function of the API that was called, where that is where a signal came. */
const char *goro_called_at(const void *ucontext);

#endif /* GORO_REPORT_H */
