/* SPDX-License-Identifier: MIT */
/*
 * jobs.h - what the recipes test: a worker that does jobs until it is told to stop.
 */
#ifndef JOBS_H
#define JOBS_H

#include "goro.h"

struct jobs {
	goro_chan *in;
	int done;
};

static void jobs_worker(void *arg)
{
	struct jobs *jobs = (struct jobs *)arg;
	int n;

	while (goro_chan_recv(jobs->in, &n))
		jobs->done += n;
}

static inline void jobs_start(struct jobs *jobs)
{
	jobs->in = goro_chan_of(int, 0);
	jobs->done = 0;
	go(jobs_worker, jobs);
}

static inline void jobs_do(struct jobs *jobs, int n)
{
	goro_chan_send(jobs->in, &n);
}

/* The worker ends some time after that. */
static inline void jobs_stop(struct jobs *jobs)
{
	goro_chan_close(jobs->in);
}

#endif /* JOBS_H */
