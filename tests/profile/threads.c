/* SPDX-License-Identifier: MIT */
/*
 * threads.c - threads that the program made itself, for profiles: one never calls the runtime, one
 * is a goroutine since its first call, and one becomes one later, when a line comes in.
 */
#include <goro.h>

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

#define KEEP __attribute__((noinline))

static int ready, line; /* atomic */

/* Something to do after a call, so that it stays one. */
#define use(v) __asm__ volatile("" : : "r"((uint64_t)(v)) : "memory")

KEEP static void compute(void)
{
	for (uint64_t i = 0; i < 1000000; i++)
		use(i);
	use(1);
}

KEEP static void *stranger(void *unused)
{
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	for (;;)
		compute();
	return unused;
}

KEEP static void *guest(void *unused)
{
	goro_set_name("guest");
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		compute();
		goro_yield();
	}
	return unused;
}

KEEP static void *late(void *unused)
{
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&line, __ATOMIC_SEQ_CST))
		compute();
	goro_set_name("late");
	for (;;)
		compute();
	return unused;
}

int main(void)
{
	pthread_t t;

	if (pthread_create(&t, NULL, stranger, NULL) || pthread_create(&t, NULL, guest, NULL) ||
	    pthread_create(&t, NULL, late, NULL))
		return 1;
	while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < 3)
		goro_sleep(GORO_MILLISECOND);
	puts("ready");
	fflush(stdout);
	(void)getchar();
	__atomic_store_n(&line, 1, __ATOMIC_SEQ_CST);
	for (;;)
		goro_sleep(GORO_SECOND);
}
