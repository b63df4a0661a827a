/* SPDX-License-Identifier: MIT */
/*
 * captive - a goroutine waits for a channel that is gone, with a lock in hand that all can reach.
 * Only it could unlock it, so who waits for the lock is stuck as well, and who waits for a lock of
 * that one.
 *
 * goro leaks: LEAKED (unreachable) for holder(), LEAKED (orphan) for captive(), which names holder,
 * and for reader(), which names captive; nothing of patient(), whose lock is held by one who
 * sleeps.
 */
#include "goro.h"

static goro_mutex lock, other;
static goro_rwmutex table;
static goro_waitgroup parked;

static void holder(void *arg)
{
	goro_chan *gone = goro_chan_of(int, 0); /* made here, so that nobody else ever had it */

	(void)arg;
	goro_mutex_lock(&lock);
	goro_waitgroup_done(&parked);
	goro_chan_recv(gone, NULL); /* HOLDER */
	goro_mutex_unlock(&lock);
}

static void captive(void *arg)
{
	(void)arg;
	goro_rwmutex_lock(&table);
	goro_waitgroup_done(&parked);
	goro_mutex_lock(&lock); /* CAPTIVE */
	goro_mutex_unlock(&lock);
	goro_rwmutex_unlock(&table);
}

static void reader(void *arg)
{
	(void)arg;
	goro_waitgroup_done(&parked);
	goro_rwmutex_rlock(&table); /* READER */
	goro_rwmutex_runlock(&table);
}

static void sleeper(void *arg)
{
	(void)arg;
	goro_mutex_lock(&other);
	goro_waitgroup_done(&parked);
	goro_sleep(600 * GORO_SECOND);
	goro_mutex_unlock(&other);
}

static void patient(void *arg)
{
	(void)arg;
	goro_waitgroup_done(&parked);
	goro_mutex_lock(&other);
	goro_mutex_unlock(&other);
}

static void start(void (*function)(void *))
{
	goro_waitgroup_add(&parked, 1);
	go(function, NULL);
	goro_waitgroup_wait(&parked);
}

int main(void)
{
	start(holder);
	start(captive);
	start(reader);
	start(sleeper);
	start(patient);
	goro_sleep(600 * GORO_SECOND);
	return 0;
}
