/* SPDX-License-Identifier: MIT */
/*
 * stress.h - what the stress programs share. Each runs waves of work until its time is over
 * (argument: seconds, default 3) and after each wave checks conservation: nothing lost, nothing
 * twice. With the same number of workers a failure need not come back; longer runs find more:
 *
 *	GORO_MAXPROCS=4 build/tests/stress/stress_select 600
 */
#ifndef STRESS_H
#define STRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "goro.h"

/*
 * Goroutines alive at once, and how much less of them ThreadSanitizer gets to do: it has room for
 * some 8,000 fibers and takes most of a millisecond to make one.
 */
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define STRESS_LIVE 1000
#define STRESS_SLOW 5
#else
#define STRESS_LIVE 10000
#define STRESS_SLOW 1
#endif

#define must(condition) stress_must((condition), __FILE__, __LINE__, #condition)

static inline void stress_must(bool good, const char *file, int line, const char *what)
{
	if (!good) {
		fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
		_Exit(1);
	}
}

/* When to stop starting waves. */
static inline int64_t stress_end(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : 3;

	if (seconds < 1) {
		fprintf(stderr, "usage: %s [SECONDS]\n", argv[0]);
		exit(2);
	}
	return goro_now() + seconds * GORO_SECOND;
}

/* xorshift64*: each goroutine has its own state, so no lock and no shared cache line. */
static inline uint64_t stress_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

static inline uint64_t stress_seed(uint64_t n)
{
	return (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Calls f(arg) n times on goroutines. */
static inline void stress_start(int n, goro_fn *f, void *arg)
{
	for (int i = 0; i < n; i++)
		go(f, arg);
}

#endif /* STRESS_H */
