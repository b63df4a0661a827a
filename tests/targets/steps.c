/* SPDX-License-Identifier: MIT */
/*
 * steps.c - a little of everything that switches stacks or lacks unwind data, between two
 * breakpoints, for tests/profiler/test_steps.c to go through it instruction by instruction.
 *
 *	steps [calls]		"calls": only those of libraries
 *
 */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "target.h"

static goro_chan *there, *back;
static goro_mutex held;
static goro_waitgroup group;

static void stop(void)
{
	__asm__ volatile("int3" : : : "memory");
}

/* Before the runtime makes any thread or stack. */
static __attribute__((constructor)) void begin(void)
{
	stop();
}

static NOINLINE void answer(void *arg)
{
	int v;

	for (int i = 0; i < 2; i++) {
		goro_chan_recv(there, &v);
		used(v);
		goro_chan_send(back, &v);
	}
	goro_waitgroup_done(arg);
}

static NOINLINE void yields(void *arg)
{
	goro_yield();
	goro_mutex_lock(&held);
	goro_mutex_unlock(&held);
	goro_waitgroup_done(arg);
}

static NOINLINE void goroutines(void)
{
	int v = 1;

	goro_mutex_lock(&held);
	goro_waitgroup_add(&group, 3);
	go(answer, &group);
	go(yields, &group);
	go(yields, &group);
	for (int i = 0; i < 2; i++) {
		goro_chan_send(there, &v);
		goro_yield();
		goro_select((struct goro_case[]){ goro_recv_case(back, &v) }, 1);
	}
	goro_mutex_unlock(&held);
	goro_waitgroup_wait(&group);
	used(v);
}

static void *thread(void *arg)
{
	return arg;
}

static NOINLINE void threads(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, thread, NULL) == 0)
		used(pthread_detach(t));
}

/* The second one of each finds the procedure linkage table filled in. */
static NOINLINE void calls(void)
{
	for (int i = 0; i < 2; i++) {
		used(getppid());
		used(sigaddset(&(sigset_t){ 0 }, SIGINT));
		used(goro_now());
	}
}

int main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : "";

	calls();
	if (strcmp(only, "calls") != 0) {
		there = goro_chan_of(int, 0);
		back = goro_chan_of(int, 0);
		goroutines();
		threads();
	}
	stop();
	return 0;
}
