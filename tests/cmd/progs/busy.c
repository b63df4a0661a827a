/* SPDX-License-Identifier: MIT */
/*
 * busy - goroutines that fight for locks all the time, so that at any moment some wait for owners
 * that wait, and locks are handed over while they are looked at. Nothing is ever stuck: whatever
 * `goro leaks` proves here is false.
 */
#include "goro.h"

#define GOROUTINES 12

static goro_mutex a, b;
static goro_rwmutex rw;

static void work(void *arg)
{
	long number = (long)arg;
	volatile unsigned spins;

	for (unsigned i = 0;; i++) {
		goro_mutex_lock(&a);
		goro_rwmutex_rlock(&rw);
		goro_mutex_lock(&b);
		for (spins = 0; spins < 2000; spins++)
			;
		if (i % 8 == 0)
			goro_yield(); /* with everything locked */
		goro_mutex_unlock(&b);
		goro_rwmutex_runlock(&rw);
		goro_mutex_unlock(&a);
		if ((i + (unsigned)number) % 4 == 0) {
			goro_rwmutex_lock(&rw);
			goro_yield();
			goro_rwmutex_unlock(&rw);
		}
	}
}

int main(void)
{
	for (long i = 0; i < GOROUTINES; i++)
		go(work, (void *)i);
	goro_sleep(600 * GORO_SECOND);
	return 0;
}
