/* SPDX-License-Identifier: MIT */
/*
 * holds - a goroutine sleeps with a pthread mutex locked, which this time does no harm. The exit
 * status is 3.
 */
#include <pthread.h>

#include "goro.h"

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static goro_waitgroup wg;

static void hold(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&mu);      /* LOCKS */
	goro_sleep(GORO_MILLISECOND); /* WAITS */
	pthread_mutex_unlock(&mu);
	goro_waitgroup_done(&wg);
}

int main(void)
{
	goro_waitgroup_add(&wg, 1);
	go(hold, NULL);
	goro_waitgroup_wait(&wg);
	return 3;
}
