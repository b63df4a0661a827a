/* SPDX-License-Identifier: MIT */
/*
 * park.c - a goroutine in every kind of wait, each two functions deep, and main as well.
 *
 * What an observer must see. "count state", then the program's own functions, leaf first; @mark is
 * the line of this file that carries the mark.
 *
 * stack 1 chan receive
 *	receive @receive
 *	in_receive @in_receive
 * stack 1 chan send
 *	send @send
 *	in_send @in_send
 * stack 1 select
 *	choose @choose
 *	in_choose @in_choose
 * stack 1 select
 *	choose_of_many @choose_of_many
 *	in_choose_of_many @in_choose_of_many
 * stack 1 chan receive (nil chan)
 *	in_nil @in_nil
 * stack 1 select (no cases)
 *	in_no_cases @in_no_cases
 * stack 1 sync.Mutex.Lock
 *	lock @lock
 *	in_lock @in_lock
 * stack 1 sync.RWMutex.Lock
 *	write_lock @write_lock
 *	in_write_lock @in_write_lock
 * stack 1 sync.RWMutex.RLock
 *	read_lock @read_lock
 *	in_read_lock @in_read_lock
 * stack 1 sync.Cond.Wait
 *	wait_for_cond @cond
 *	in_cond @in_cond
 * stack 1 sync.WaitGroup.Wait
 *	wait_for_group @group
 *	in_group @in_group
 * stack 1 sleep
 *	in_sleep @in_sleep
 * stack 1 chan receive
 *	main @main
 */
#include "target.h"

#define MANY 20

static goro_chan *never;
static goro_mutex held, cond_mutex;
static goro_rwmutex shared;
static goro_cond cond;
static goro_waitgroup group;

static NOINLINE void receive(goro_chan *c)
{
	int v;

	goro_chan_recv(c, &v); /* @receive */
	used(v);
}

static void in_receive(void *arg)
{
	receive(arg); /* @in_receive */
	used(1);
}

static NOINLINE void send(goro_chan *c, int v)
{
	goro_chan_send(c, &v); /* @send */
	used(v + 1);
}

static void in_send(void *arg)
{
	send(arg, 7); /* @in_send */
	used(2);
}

static NOINLINE void choose(goro_chan *a, goro_chan *b)
{
	int v = 3;
	struct goro_case cases[] = { goro_recv_case(a, &v), goro_send_case(b, &v) };

	used(goro_select(cases, 2)); /* @choose */
	used(v);
}

static void in_choose(void *arg)
{
	choose(arg, goro_chan_of(int, 0)); /* @in_choose */
	used(3);
}

/* More cases than the runtime keeps on the stack. */
static NOINLINE void choose_of_many(goro_chan **c)
{
	struct goro_case cases[MANY];

	for (int i = 0; i < MANY; i++)
		cases[i] = (struct goro_case)goro_recv_case(c[i], NULL);
	used(goro_select(cases, MANY)); /* @choose_of_many */
	used(30);
}

static void in_choose_of_many(void *arg)
{
	goro_chan *c[MANY];

	(void)arg;
	for (int i = 0; i < MANY; i++)
		c[i] = goro_chan_of(int, 0);
	choose_of_many(c); /* @in_choose_of_many */
	used(31);
}

static void in_nil(void *arg)
{
	goro_chan_recv(arg, NULL); /* @in_nil */
	used(4);
}

static void in_no_cases(void *arg)
{
	used(goro_select(arg, 0)); /* @in_no_cases */
	used(5);
}

static NOINLINE void lock(goro_mutex *mu)
{
	goro_mutex_lock(mu); /* @lock */
	used(6);
}

static void in_lock(void *arg)
{
	lock(arg); /* @in_lock */
	used(7);
}

static NOINLINE void write_lock(goro_rwmutex *rw)
{
	goro_rwmutex_lock(rw); /* @write_lock */
	used(8);
}

static void in_write_lock(void *arg)
{
	write_lock(arg); /* @in_write_lock */
	used(9);
}

static NOINLINE void read_lock(goro_rwmutex *rw)
{
	goro_rwmutex_rlock(rw); /* @read_lock */
	used(10);
}

static void in_read_lock(void *arg)
{
	read_lock(arg); /* @in_read_lock */
	used(11);
}

static NOINLINE void wait_for_cond(goro_cond *c, goro_mutex *mu)
{
	goro_cond_wait(c, mu); /* @cond */
	used(12);
}

static void in_cond(void *arg)
{
	goro_mutex_lock(&cond_mutex);
	wait_for_cond(arg, &cond_mutex); /* @in_cond */
	goro_mutex_unlock(&cond_mutex);
}

static NOINLINE void wait_for_group(goro_waitgroup *wg)
{
	goro_waitgroup_wait(wg); /* @group */
	used(13);
}

static void in_group(void *arg)
{
	wait_for_group(arg); /* @in_group */
	used(14);
}

static void in_sleep(void *arg)
{
	(void)arg;
	goro_sleep(3600 * GORO_SECOND); /* @in_sleep */
	used(15);
}

int main(void)
{
	never = goro_chan_of(int, 0);
	goro_mutex_lock(&held);
	goro_rwmutex_lock(&shared);
	goro_waitgroup_add(&group, 2);
	go(in_receive, never);
	go(in_send, goro_chan_of(int, 0));
	go(in_choose, goro_chan_of(int, 0));
	go(in_choose_of_many, NULL);
	go(in_nil, NULL);
	go(in_no_cases, NULL);
	go(in_lock, &held);
	go(in_write_lock, &shared);
	go(in_read_lock, &shared);
	go(in_cond, &cond);
	go(in_group, &group);
	go(in_sleep, NULL);
	goro_chan_recv(never, NULL); /* @main */
	used(16);
	return 0;
}
