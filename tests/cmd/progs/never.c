/* SPDX-License-Identifier: MIT */
/*
 * never - waits that cannot end: a nil channel twice, a select without cases, a mutex locked twice,
 * an rwmutex read by its writer, and one written by its reader.
 *
 * goro leaks: LEAKED (never), six goroutines at the lines marked below.
 */
#include "goro.h"

static goro_mutex mu;
static goro_rwmutex rw, upgraded;

static void nil_receive(void *arg)
{
	(void)arg;
	goro_chan_recv(NULL, NULL); /* RECEIVE */
}

static void nil_send(void *arg)
{
	(void)arg;
	goro_chan_send(NULL, NULL); /* SEND */
}

static void no_cases(void *arg)
{
	(void)arg;
	goro_select(NULL, 0); /* SELECT */
}

static void lock_twice(void *arg)
{
	(void)arg;
	goro_mutex_lock(&mu);
	goro_mutex_lock(&mu); /* TWICE */
	goro_mutex_unlock(&mu);
}

static void read_what_it_writes(void *arg)
{
	(void)arg;
	goro_rwmutex_lock(&rw);
	goro_rwmutex_rlock(&rw); /* READ */
	goro_rwmutex_runlock(&rw);
}

static void write_what_it_reads(void *arg)
{
	(void)arg;
	goro_rwmutex_rlock(&upgraded);
	goro_rwmutex_lock(&upgraded); /* WRITE */
	goro_rwmutex_unlock(&upgraded);
}

int main(void)
{
	go(nil_receive, NULL);
	go(nil_send, NULL);
	go(no_cases, NULL);
	go(lock_twice, NULL);
	go(read_what_it_writes, NULL);
	go(write_what_it_reads, NULL);
	goro_sleep(600 * GORO_SECOND);
	return 0;
}
