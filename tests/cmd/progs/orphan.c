/* SPDX-License-Identifier: MIT */
/*
 * orphan - a goroutine ends without unlocking; another one waits for its lock, a third one for a
 * lock of the second.
 *
 * goro leaks: LEAKED (orphan) twice: heir() at HEIR names the owner's spawn site START, and last()
 * at LAST names heir.
 */
#include "goro.h"

static goro_mutex lost, next;
static goro_waitgroup locked;

static void owner(void *arg)
{
	(void)arg;
	goro_mutex_lock(&lost);
	goro_waitgroup_done(&locked);
}

static void heir(void *arg)
{
	(void)arg;
	goro_mutex_lock(&next);
	goro_waitgroup_done(&locked);
	goro_mutex_lock(&lost); /* HEIR */
	goro_mutex_unlock(&lost);
}

static void last(void *arg)
{
	(void)arg;
	goro_mutex_lock(&next); /* LAST */
	goro_mutex_unlock(&next);
}

int main(void)
{
	goro_waitgroup_add(&locked, 1);
	go(owner, NULL); /* START */
	goro_waitgroup_wait(&locked);
	goro_waitgroup_add(&locked, 1);
	go(heir, NULL);
	goro_waitgroup_wait(&locked);
	go(last, NULL);
	goro_sleep(600 * GORO_SECOND);
	return 0;
}
