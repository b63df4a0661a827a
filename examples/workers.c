/* SPDX-License-Identifier: MIT */
/*
 * workers - a pool: a few goroutines take jobs from one channel and put results on another.
 *
 * Closing `jobs` tells the workers that no more will come: what is queued is still done. The last
 * worker to leave must close `results`; a goroutine that waits for the WaitGroup does it, so that
 * main can range over the results meanwhile.
 */
#include <stdio.h>

#include "goro.h"

#define WORKERS 4
#define JOBS	100

struct result {
	int job, square;
};

struct pool {
	goro_chan *jobs, *results;
	goro_waitgroup wg;
};

static void worker(void *arg)
{
	struct pool *pool = arg;
	int job;

	while (goro_chan_recv(pool->jobs, &job)) {
		struct result result = { job, job * job };

		goro_chan_send(pool->results, &result);
	}
	goro_waitgroup_done(&pool->wg);
}

static void hand_out(void *arg)
{
	struct pool *pool = arg;

	for (int job = 1; job <= JOBS; job++)
		goro_chan_send(pool->jobs, &job);
	goro_chan_close(pool->jobs);
}

static void close_when_done(void *arg)
{
	struct pool *pool = arg;

	goro_waitgroup_wait(&pool->wg);
	goro_chan_close(pool->results);
}

int main(void)
{
	struct pool pool = {
		goro_chan_of(int, 0),
		goro_chan_of(struct result, WORKERS),
		{ 0 },
	};
	struct result result;
	long done = 0, sum = 0;

	goro_waitgroup_add(&pool.wg, WORKERS);
	for (int i = 0; i < WORKERS; i++)
		go(worker, &pool);
	go(hand_out, &pool);
	go(close_when_done, &pool);

	while (goro_chan_recv(pool.results, &result)) {
		done++;
		sum += result.square;
	}
	printf("%ld jobs by %d workers\n", done, WORKERS);
	printf("1 + 4 + 9 + ... + 10000 = %ld\n", sum);
	return 0;
}
