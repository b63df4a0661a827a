/* SPDX-License-Identifier: MIT */
/*
 * threads - goroutines that belong to a thread, for a debugger that stops in look(), or, with an
 * argument, for a core file: one that is locked to its thread and waits, one that is and runs, and
 * two of threads that the program made itself, one of which waits and one sits in its own code.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "goro_introspect.h"

static goro_chan *never;
static atomic_ulong waiter;
static atomic_int runner; /* its thread */

void look(void);

__attribute__((noinline)) void look(void)
{
	__asm__ volatile("" ::: "memory");
}

static __attribute__((noinline)) void receive_for_ever(void)
{
	int x;

	waiter = goro_id();
	goro_chan_recv(never, &x);
	__asm__ volatile("" ::: "memory");
}

static void locked_waiter(void *unused)
{
	(void)unused;
	goro_lock_os_thread();
	receive_for_ever();
}

/* In libc, without an end. */
static __attribute__((noinline)) void stay_outside(void)
{
	runner = gettid();
	for (;;)
		pause();
}

static void locked_runner(void *unused)
{
	(void)unused;
	goro_lock_os_thread();
	stay_outside();
}

static void *stranger_waits(void *unused)
{
	(void)unused;
	receive_for_ever();
	return NULL;
}

static void *stranger_runs(void *unused)
{
	(void)unused;
	goro_yield();
	stay_outside();
	return NULL;
}

/* One after the other, so that each has its number. */
static void wait_for_waiter(void)
{
	while (!waiter)
		goro_sleep(GORO_MILLISECOND);
	check_parked(waiter, GORO_REASON_CHAN_RECV);
	waiter = 0;
}

static bool sleeps(int tid)
{
	char path[64], state = 0;
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	stat = fopen(path, "r");
	if (!stat || fscanf(stat, "%*d (%*[^)]) %c", &state) != 1)
		exit(1);
	fclose(stat);
	return state == 'S';
}

static void wait_for_runner(void)
{
	while (!runner || !sleeps(runner))
		goro_sleep(GORO_MILLISECOND);
	runner = 0;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	(void)argv;
	never = goro_chan_make(sizeof(int), 0);
	go(locked_waiter, NULL);
	wait_for_waiter();
	go(locked_runner, NULL);
	wait_for_runner();
	if (pthread_create(&thread, NULL, stranger_waits, NULL))
		return 1;
	wait_for_waiter();
	if (pthread_create(&thread, NULL, stranger_runs, NULL))
		return 1;
	wait_for_runner();
	look();
	if (argc > 1)
		abort();
	return 0;
}
