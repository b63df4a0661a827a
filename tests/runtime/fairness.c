/* SPDX-License-Identifier: MIT */
/*
 * With one processor (GORO_MAXPROCS=1): a goroutine that ticks goes on beside one that computes,
 * and beside one that sits in libc. What it is beside lasts until it has ticked so often, or much
 * longer than any delay that is allowed: so this can fail, but not because the machine is busy. The
 * worst delays are printed.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "goro.h"

#define TICK	 GORO_MILLISECOND
#define FOR_EVER (60 * GORO_SECOND)
#define ALLOWED	 (2 * GORO_SECOND)
#define SLEEP	 5 /* seconds */
enum { TICKS = 200 };

static atomic_int ticks;
static atomic_bool over;
static int pipe_end[2];
static goro_waitgroup beside;

/* By the C library's clock: the runtime is not to be called. */
static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * GORO_SECOND + ts.tv_nsec;
}

static void give_up(const char *what)
{
	fprintf(stderr, "%s: %d of %d ticks after %d s\n", what, ticks, TICKS,
		(int)(FOR_EVER / GORO_SECOND));
	_exit(1);
}

static void compute(void *unused)
{
	int64_t end = now() + FOR_EVER;

	(void)unused;
	while (ticks < TICKS) {
		if (now() > end)
			give_up("beside one that computes");
	}
	goro_waitgroup_done(&beside);
}

static void compute_locked(void *unused)
{
	goro_lock_os_thread();
	compute(unused);
}

static void sleep_in_libc(void *unused)
{
	(void)unused;
	sleep(SLEEP);
	over = true;
	goro_waitgroup_done(&beside);
}

/* The byte comes when the ticks are done. */
static void read_in_libc(void *unused)
{
	char byte;

	(void)unused;
	if (read(pipe_end[0], &byte, 1) != 1)
		_exit(1);
	goro_waitgroup_done(&beside);
}

static int64_t tick_until(bool (*enough)(void))
{
	int64_t worst = 0;

	do {
		int64_t due = goro_now() + TICK, late;

		goro_sleep(TICK);
		late = goro_now() - due;
		worst = late > worst ? late : worst;
		ticks++;
	} while (!enough());
	return worst;
}

static bool ticked_enough(void)
{
	return ticks >= TICKS;
}

static bool is_over(void)
{
	return over;
}

static int64_t run(const char *what, goro_fn *fn, int n, bool (*enough)(void))
{
	int64_t worst;

	ticks = 0;
	goro_waitgroup_add(&beside, n);
	for (int i = 0; i < n; i++)
		go(fn, NULL);
	worst = tick_until(enough);
	if (fn == read_in_libc && write(pipe_end[1], "x", 1) != 1)
		_exit(1);
	goro_waitgroup_wait(&beside);
	printf("beside %s: %d ticks of 1 ms, the worst %.1f ms late\n", what, ticks,
	       (double)worst / 1e6);
	fflush(stdout);
	return worst;
}

int main(void)
{
	int64_t worst;

	if (goro_maxprocs() != 1) {
		fprintf(stderr, "start it with GORO_MAXPROCS=1\n");
		return 2;
	}
	if (pipe(pipe_end))
		return 1;
	run("one that computes", compute, 1, ticked_enough);
	run("three that compute", compute, 3, ticked_enough);
	run("one that computes on its own thread", compute_locked, 1, ticked_enough);
	run("one in read()", read_in_libc, 1, ticked_enough);
	worst = run("one in sleep(5)", sleep_in_libc, 1, is_over);
	if (worst > ALLOWED) {
		fprintf(stderr, "beside one in sleep(5): %.1f ms late\n", (double)worst / 1e6);
		return 1;
	}
	return 0;
}
