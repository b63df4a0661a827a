/* SPDX-License-Identifier: MIT */
/*
 * busy.c - a program for profiles: what it does, and how much of it, is known.
 *
 * One goroutine computes all the time, three parts in heavy() to one in light(). Twenty wait for a
 * channel that never gets a value. One starts goroutines that end at once, another one a tenth as
 * many. Two hand a mutex to each other that each of them holds for a millisecond.
 */
#include <goro.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define KEEP __attribute__((noinline))

static uint64_t sink;
static goro_mutex mutex;

/* Something to do after a call, so that it stays one; all goroutines do it to the same word. No
 * function, which would be one more frame. */
#define use(v) \
	__atomic_store_n(&sink, __atomic_load_n(&sink, __ATOMIC_RELAXED) + (v), __ATOMIC_RELAXED)

static int64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

KEEP static void spin(int64_t ns)
{
	int64_t end = cpu_ns() + ns;

	do {
		for (int i = 0; i < 2000; i++)
			use((uint64_t)i);
	} while (cpu_ns() < end);
}

KEEP static void heavy(void)
{
	spin(3000000);
	use(1);
}

KEEP static void light(void)
{
	spin(1000000);
	use(1);
}

static void crunch(void *unused)
{
	(void)unused;
	goro_set_name("cruncher");
	goro_set_label("shard", "7");
	for (;;) {
		heavy();
		light();
		goro_yield();
	}
}

KEEP static void wait_for_never(goro_chan *c)
{
	int value;

	goro_chan_recv(c, &value);
	use(1);
}

static void waiter(void *c)
{
	wait_for_never(c);
	use(1);
}

static void brief(void *unused)
{
	(void)unused;
	use(1);
}

KEEP static void start_many(void)
{
	for (int i = 0; i < 20; i++)
		goro_go(brief, NULL); /* many */
	use(1);
}

KEEP static void start_few(void)
{
	for (int i = 0; i < 2; i++)
		goro_go(brief, NULL); /* few */
	use(1);
}

static void spawner(void *unused)
{
	(void)unused;
	for (;;) {
		start_many();
		start_few();
		goro_sleep(2 * GORO_MILLISECOND);
	}
}

KEEP static void hold(void)
{
	goro_mutex_lock(&mutex);
	goro_sleep(GORO_MILLISECOND);
	goro_mutex_unlock(&mutex);
	use(1);
}

static void contender(void *unused)
{
	(void)unused;
	for (;;)
		hold();
}

int main(void)
{
	goro_chan *never = goro_chan_make(sizeof(int), 0);

	goro_go(crunch, NULL);
	for (volatile int i = 0; i < 20; i++) /* unrolled it would be twenty sites */
		goro_go(waiter, never);
	goro_go(spawner, NULL);
	goro_go(contender, NULL);
	goro_go(contender, NULL);
	puts("ready");
	fflush(stdout);
	goro_sleep(INT64_MAX);
	return 0;
}
