/* SPDX-License-Identifier: MIT */
/*
 * threads.c - goroutines that are tied to a thread: locked, pinned, and threads of the program
 * itself, whose stacks end where the C library begins a thread.
 *
 * stack 1 chan receive
 *	receive @receive
 *	in_locked @in_locked
 * stack 1 chan receive
 *	receive @receive
 *	in_pinned @in_pinned
 * stack 3 sync.Mutex.Lock
 *	lock @lock
 *	in_thread @in_thread
 * stack 1 chan receive
 *	main @main
 */
#include <pthread.h>

#include "target.h"

static goro_chan *never;
static goro_mutex held;

static NOINLINE void receive(goro_chan *c)
{
	int v;

	goro_chan_recv(c, &v); /* @receive */
	used(v);
}

static void in_locked(void *arg)
{
	goro_lock_os_thread();
	receive(arg); /* @in_locked */
	used(1);
}

static void in_pinned(void *arg)
{
	receive(arg); /* @in_pinned */
	used(2);
}

static NOINLINE void lock(goro_mutex *mu)
{
	goro_mutex_lock(mu); /* @lock */
	used(3);
}

static void *in_thread(void *arg)
{
	lock(arg); /* @in_thread */
	used(4);
	return arg;
}

int main(void)
{
	pthread_t thread;

	never = goro_chan_of(int, 0);
	goro_mutex_lock(&held);
	go(in_locked, never);
	goro_go_with(&(struct goro_options){ .pinned = true }, in_pinned, never);
	go(keep_alive, NULL);
	for (int i = 0; i < 3; i++)
		if (pthread_create(&thread, NULL, in_thread, &held))
			return 1;
	goro_chan_recv(never, NULL); /* @main */
	used(5);
	return 0;
}
