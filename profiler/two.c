/* SPDX-License-Identifier: MIT */
/*
 * two.c - see two.h.
 */
#include "two.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

struct job {
	void (*work)(void *arg);
	void *arg;
};

static void *run(void *job)
{
	const struct job *j = job;

	j->work(j->arg);
	return NULL;
}

static bool have_two(void)
{
	cpu_set_t set;

	/* It fails where there are more than fit into the set. */
	return sched_getaffinity(0, sizeof set, &set) || CPU_COUNT(&set) > 1;
}

void two_work(void (*work)(void *arg), void *arg)
{
	struct job job = { work, arg };
	pthread_t thread;
	sigset_t all, before;
	bool other = false;

	if (have_two()) {
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		other = pthread_create(&thread, NULL, run, &job) == 0;
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	work(arg);
	if (other)
		pthread_join(thread, NULL);
}
