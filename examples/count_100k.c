/* SPDX-License-Identifier: MIT */
/*
 * count_100k - a hundred thousand goroutines at once, counted.
 *
 * No pool and no limit: start one per thing to do. They all exist at the same time because each
 * waits at the gate until the last one has been started.
 */
#include <stdio.h>

#include "goro.h"

#define GOROUTINES 100000

struct census {
	goro_mutex mu;
	long counted;
	goro_chan *gate;
	goro_waitgroup wg;
};

static void be_counted(void *arg)
{
	struct census *census = arg;

	goro_chan_recv(census->gate, NULL);
	goro_mutex_lock(&census->mu);
	census->counted++;
	goro_mutex_unlock(&census->mu);
	goro_waitgroup_done(&census->wg);
}

int main(void)
{
	struct census census = { .gate = goro_chan_make(0, 0) };

	goro_waitgroup_add(&census.wg, GOROUTINES);
	for (int i = 0; i < GOROUTINES; i++)
		go(be_counted, &census);
	printf("goroutines now: %zu, main included\n", goro_count());

	goro_chan_close(census.gate);
	goro_waitgroup_wait(&census.wg);
	printf("counted: %ld\n", census.counted);
	goro_chan_free(census.gate);
	return 0;
}
