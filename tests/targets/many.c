/* SPDX-License-Identifier: MIT */
/*
 * many.c - ten thousand goroutines, and some that never stand still.
 *
 * stack 4000 chan receive
 *	receive @receive
 *	receiver @receiver
 * stack 3000 select
 *	choose @choose
 *	chooser @chooser
 * stack 3000 sync.Mutex.Lock
 *	locker @locker
 */
#include "target.h"

static goro_chan *never;
static goro_mutex held;

static NOINLINE void receive(goro_chan *c)
{
	goro_chan_recv(c, NULL); /* @receive */
	used(1);
}

static void receiver(void *arg)
{
	receive(arg); /* @receiver */
	used(2);
}

static NOINLINE void choose(goro_chan *c, goro_chan *d)
{
	struct goro_case cases[] = { goro_recv_case(c, NULL), goro_recv_case(d, NULL) };

	used(goro_select(cases, 2)); /* @choose */
	used(3);
}

static void chooser(void *arg)
{
	choose(arg, never); /* @chooser */
	used(4);
}

static void locker(void *arg)
{
	goro_mutex_lock(arg); /* @locker */
	used(5);
}

static void restless(void *arg)
{
	(void)arg;
	for (;;) {
		goro_sleep(GORO_MICROSECOND);
		goro_yield();
	}
}

int main(void)
{
	never = goro_chan_of(int, 0);
	goro_mutex_lock(&held);
	for (int i = 0; i < 4000; i++)
		go(receiver, never);
	for (int i = 0; i < 3000; i++)
		go(chooser, goro_chan_of(int, 0));
	for (int i = 0; i < 3000; i++)
		go(locker, &held);
	for (int i = 0; i < 4; i++)
		go(restless, NULL);
	restless(NULL);
	return 0;
}
