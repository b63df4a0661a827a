/* SPDX-License-Identifier: MIT */
/*
 * two.c - see two.h.
 */
#include "two.h"

#include <sched.h>
#include <signal.h>
#include <stddef.h>

struct half {
	void (*work)(void *arg, unsigned which);
	void *arg;
};

bool two_are_there(void)
{
	cpu_set_t set;

	/* It fails where there are more than fit into the set. */
	return sched_getaffinity(0, sizeof set, &set) || CPU_COUNT(&set) > 1;
}

static bool start(pthread_t *thread, void *(*run)(void *), void *arg)
{
	sigset_t all, before;
	bool ok;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ok = pthread_create(thread, NULL, run, arg) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ok;
}

static void *run_beside(void *beside)
{
	const struct two_beside *b = beside;

	b->work(b->arg);
	return NULL;
}

void two_begin(struct two_beside *b, void (*work)(void *arg), void *arg)
{
	if (!two_are_there() || !two_try(b, work, arg))
		*b = (struct two_beside){ .work = work, .arg = arg };
}

bool two_try(struct two_beside *b, void (*work)(void *arg), void *arg)
{
	*b = (struct two_beside){ .work = work, .arg = arg };
	b->there = start(&b->thread, run_beside, b);
	return b->there;
}

void two_end(struct two_beside *b)
{
	if (b->done)
		return;
	if (b->there)
		pthread_join(b->thread, NULL);
	else
		b->work(b->arg);
	b->done = true;
}

void two_work(void (*work)(void *arg), void *arg)
{
	struct two_beside other;

	two_begin(&other, work, arg);
	work(arg);
	if (other.there)
		two_end(&other);
}

static void *run_half(void *half)
{
	const struct half *h = half;

	h->work(h->arg, 1);
	return NULL;
}

bool two_halves(void (*work)(void *arg, unsigned which), void *arg)
{
	struct half other = { work, arg };
	pthread_t thread;

	if (!start(&thread, run_half, &other))
		return false;
	work(arg, 0);
	pthread_join(thread, NULL);
	return true;
}
