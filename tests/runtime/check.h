/* SPDX-License-Identifier: MIT */
/*
 * check.h - tests of a runtime whose fatal errors end the process.
 *
 * So each case runs in a process of its own, once for each number of workers: the program starts
 * itself again with the name of the case (fork() would not do: a child has no goroutines). A case
 * that must die says with which status and what it must have written on stderr. cmocka is no help
 * here: it comes back from a failed assertion by longjmp, which is undefined on another thread, and
 * a goroutine may be on another thread after any call.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "goro.h"

/*
 * What takes ThreadSanitizer long, the making of goroutines before all, it gets to do that much
 * less of: it sees what is unordered wherever it happens once, and needs no crowd for it.
 */
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define CHECK_SLOW 10
#else
#define CHECK_SLOW 1
#endif

/* A failed check ends the case at once, from whichever goroutine. */
#define check(condition)                                            \
	do {                                                        \
		if (!(condition))                                   \
			check_fail(__FILE__, __LINE__, #condition); \
	} while (0)

#define check_eq(got, wanted)                                                            \
	do {                                                                             \
		int64_t got_ = (int64_t)(got), wanted_ = (int64_t)(wanted);              \
		if (got_ != wanted_)                                                     \
			check_fail_eq(__FILE__, __LINE__, #got, got_, #wanted, wanted_); \
	} while (0)

_Noreturn void check_fail(const char *file, int line, const char *what);
_Noreturn void check_fail_eq(const char *file, int line, const char *got_text, int64_t got,
			     const char *wanted_text, int64_t wanted);

#define CHECK_PATTERNS 10

struct check_case {
	const char *name;
	void (*run)(void);
	int status;			      /* it must exit with this */
	const char *says[CHECK_PATTERNS + 1]; /* extended regexes found in stderr, in this order */
	const char *anywhere[CHECK_PATTERNS + 1]; /* the same, in any order */
	const char *never;			  /* and one that must not be found there */
	const char *env;			  /* NAME=VALUE, or NULL */
	const char *workers; /* GORO_MAXPROCS to run it with, default "1 2 4" */
};

/* main() of a test program. With names as arguments runs only these. */
int check_main(int argc, char **argv, const struct check_case *cases, size_t n);

/* Run a program to its end. Its output, cut at 1 MiB, is the caller's to free. */
struct check_run {
	int status; /* exit status; 128 + N when killed by signal N */
	bool timed_out;
	char *out, *err;
};
struct check_run check_run(char *const argv[], int timeout_seconds);

/* Where `text` continues after a match of the regex, or NULL. */
const char *check_match(const char *text, const char *regex);

/* Block until goroutine `id` is parked for the reason (enum goro_reason), seen as an observer would
 * see it. This is how a test gets "B waits before C does" without guessing with sleeps. */
void check_parked(uint64_t id, int reason);

/* Poll a condition, with a deadline: for what needs no goroutine to be parked. */
#define check_eventually(condition)                         \
	do {                                                \
		int64_t end_ = goro_now() + CHECK_PATIENCE; \
		while (!(condition)) {                      \
			check(goro_now() < end_);           \
			goro_sleep(GORO_MILLISECOND);       \
		}                                           \
	} while (0)
#define CHECK_PATIENCE (20 * GORO_SECOND)

#endif /* CHECK_H */
