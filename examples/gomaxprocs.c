/* SPDX-License-Identifier: MIT */
/*
 * gomaxprocs - the same work with 1, 2, ... workers.
 *
 * Goroutines say what may run at once; GORO_MAXPROCS, or goro_set_maxprocs() while the program
 * runs, says how many do. The work is nothing but computing, cut into more goroutines than there
 * are cores: the run time falls until the cores are used up.
 *
 *	gomaxprocs [N]		up to N workers (default: one for each core)
 */
#include <stdio.h>
#include <stdlib.h>

#include "goro.h"

#define GOROUTINES 16
#define STEPS	   4000000

struct share {
	uint64_t seed;
	goro_waitgroup *wg;
};

static void compute(void *arg)
{
	struct share *share = arg;
	volatile uint64_t result;
	uint64_t x = share->seed;

	for (int i = 0; i < STEPS; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	result = x;
	(void)result;
	goro_waitgroup_done(share->wg);
}

static void measure(void)
{
	goro_waitgroup wg = { 0 };
	int64_t start = goro_now();

	goro_waitgroup_add(&wg, GOROUTINES);
	for (uint64_t i = 1; i <= GOROUTINES; i++)
		go_copy(compute, &((struct share){ i, &wg }));
	goro_waitgroup_wait(&wg);
	printf("GORO_MAXPROCS=%d: %ld ms\n", goro_maxprocs(),
	       (long)((goro_now() - start) / GORO_MILLISECOND));
}

int main(int argc, char **argv)
{
	int most = argc > 1 ? atoi(argv[1]) : goro_maxprocs();

	if (most < 1 || most > 64) {
		fprintf(stderr, "usage: gomaxprocs [N], with N from 1 to 64\n");
		return 2;
	}
	for (int workers = 1; workers <= most; workers++) {
		goro_set_maxprocs(workers);
		measure();
	}
	return 0;
}
