/* SPDX-License-Identifier: MIT */
/*
 * Sleep storm: 10,000 goroutines that sleep for random times. Nobody wakes early, everybody wakes;
 * how late the latest was is printed, not judged: that is the machine's affair.
 */
#include "stress.h"

#define NAPS 8

struct dormitory {
	goro_waitgroup wg;
	atomic_uint next;
	atomic_long woken;
	_Atomic int64_t latest;
};

static void sleep_some(void *arg)
{
	struct dormitory *d = arg;
	uint64_t random = stress_seed(d->next++);

	for (int i = 0; i < NAPS; i++) {
		uint64_t kind = stress_random(&random) % 8;
		int64_t ns = (int64_t)(stress_random(&random) % (20 * GORO_MILLISECOND));
		int64_t start = goro_now(), late;

		if (kind == 0)
			ns = 0;
		else if (kind == 1)
			ns %= 1000;
		goro_sleep(ns);
		late = goro_now() - start - ns;
		must(late >= 0);
		if (late > d->latest)
			d->latest = late;
		d->woken++;
	}
	goro_waitgroup_done(&d->wg);
}

int main(int argc, char **argv)
{
	int64_t end = stress_end(argc, argv), latest = 0;
	long woken = 0;

	do {
		struct dormitory d = { 0 };

		goro_waitgroup_add(&d.wg, STRESS_LIVE);
		stress_start(STRESS_LIVE, sleep_some, &d);
		goro_waitgroup_wait(&d.wg);
		must(d.woken == (long)STRESS_LIVE * NAPS);
		woken += d.woken;
		latest = d.latest > latest ? d.latest : latest;
	} while (goro_now() < end);
	printf("%ld naps, none too short, the latest %.1f ms late\n", woken, (double)latest / 1e6);
	return 0;
}
