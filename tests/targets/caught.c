/* SPDX-License-Identifier: MIT */
/*
 * caught.c - a program that dies while its goroutines are at work: one computes, one is in a
 * blocking call, a thread of the program's own that is a goroutine computes too, and one ends it.
 *
 *	caught fault|abort
 */
#include <goro.h>

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEEP __attribute__((noinline))

static int computing, blocked, outside; /* atomic */
static int *volatile nowhere = (int *)8;

/* Something to do after a call, so that it stays one. */
#define use(v) __asm__ volatile("" : : "r"((uint64_t)(v)) : "memory")

KEEP static void compute_inner(int *flag)
{
	__atomic_store_n(flag, 1, __ATOMIC_SEQ_CST);
	for (uint64_t i = 0;; i++)
		use(i);
}

KEEP static void compute(void *flag)
{
	compute_inner(flag);
	use(1);
}

KEEP static void call_blocks(void *unused)
{
	(void)unused;
	__atomic_store_n(&blocked, 1, __ATOMIC_SEQ_CST);
	for (;;)
		pause();
}

KEEP static void blocks(void *unused)
{
	goro_blocking(call_blocks, unused);
	use(1);
}

static void *thread(void *unused)
{
	(void)unused;
	goro_yield(); /* its first call makes it a goroutine */
	compute_inner(&outside);
	use(1);
	return NULL;
}

KEEP static void fault_inner(void)
{
	*nowhere = 1;
	use(1);
}

KEEP static void fault(void *how)
{
	while (!__atomic_load_n(&computing, __ATOMIC_SEQ_CST) ||
	       !__atomic_load_n(&blocked, __ATOMIC_SEQ_CST) ||
	       !__atomic_load_n(&outside, __ATOMIC_SEQ_CST))
		goro_sleep(GORO_MILLISECOND);
	if (strcmp(how, "abort") == 0)
		abort();
	fault_inner();
	use(1);
}

int main(int argc, char **argv)
{
	pthread_t t;

	if (argc != 2)
		return 2;
	goro_set_maxprocs(4);
	go(compute, &computing);
	go(blocks, NULL);
	go(fault, argv[1]);
	if (pthread_create(&t, NULL, thread, NULL))
		return 1;
	goro_chan_recv(NULL, NULL);
	return 0;
}
