/* SPDX-License-Identifier: MIT */
/*
 * fork_join - fork several goroutines, join them all with a WaitGroup.
 *
 * Add before go, never inside the goroutine: else wait may look before anybody has added. Each
 * goroutine writes a result of its own, so they need no lock; the WaitGroup orders what they wrote
 * before what main reads. (goro_waitgroup_go_copy() does add, go and done in one.)
 */
#include <stdio.h>

#include "goro.h"

#define PARTS 4

struct part {
	int from, to;
	long *sum;
	goro_waitgroup *wg;
};

static void add_up(void *arg)
{
	struct part *part = arg;
	long sum = 0;

	for (int i = part->from; i < part->to; i++)
		sum += i;
	*part->sum = sum;
	goro_waitgroup_done(part->wg);
}

int main(void)
{
	goro_waitgroup wg = { 0 };
	long sums[PARTS], total = 0;

	for (int i = 0; i < PARTS; i++) {
		struct part part = { i * 250, (i + 1) * 250, &sums[i], &wg };

		goro_waitgroup_add(&wg, 1);
		go_copy(add_up, &part); /* fork */
	}
	goro_waitgroup_wait(&wg); /* join */

	for (int i = 0; i < PARTS; i++) {
		printf("part %d: %ld\n", i, sums[i]);
		total += sums[i];
	}
	printf("0 + 1 + ... + 999 = %ld\n", total);
	return 0;
}
