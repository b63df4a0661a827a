/* SPDX-License-Identifier: MIT */
/*
 * parked - goroutines that wait in known functions, for a debugger that stops in look(), or, with
 * an argument, for a core file. With GORO_COLD the stack of one is cold by then, or it ends
 * with 77.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "goro.h"

static goro_chan *never;
static goro_mutex mu;
static goro_waitgroup wg;
static int *volatile on_its_stack;

void look(void);

__attribute__((noinline)) void look(void)
{
	__asm__ volatile("" ::: "memory");
}

static __attribute__((noinline)) void receive_at_depth(int depth)
{
	int x;

	on_its_stack = &x;
	if (depth > 0)
		receive_at_depth(depth - 1);
	else
		goro_chan_recv(never, &x);
	__asm__ volatile("" ::: "memory");
}

static void receiver(void *arg)
{
	receive_at_depth(*(int *)arg);
}

static void locker(void *unused)
{
	(void)unused;
	goro_mutex_lock(&mu);
	goro_mutex_unlock(&mu);
}

static void waiter(void *unused)
{
	(void)unused;
	goro_waitgroup_wait(&wg);
}

static void fresh(void *unused)
{
	(void)unused;
}

static void wait_until_cold(void)
{
	void *page = (void *)((uintptr_t)on_its_stack & ~(uintptr_t)4095);
	int64_t end = goro_now() + 20 * GORO_SECOND;
	unsigned char there = 1;

	while (there & 1 && goro_now() < end) {
		goro_sleep(GORO_MILLISECOND);
		if (mincore(page, 4096, &there))
			abort();
	}
	if (there & 1)
		exit(77);
}

int main(int argc, char **argv)
{
	int depth = 3;

	(void)argv;

	never = goro_chan_make(sizeof(int), 0);
	goro_mutex_lock(&mu);
	goro_waitgroup_add(&wg, 1);
	go_copy(receiver, &depth);
	go(locker, NULL);
	go(waiter, NULL);
	goro_sleep(10 * GORO_MILLISECOND); /* with one worker: until all of them wait */
	if (getenv("GORO_COLD"))
		wait_until_cold();
	go(fresh, NULL);
	look();
	if (argc > 1)
		abort();
	return 0;
}
