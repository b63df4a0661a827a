/* SPDX-License-Identifier: MIT */
/*
 * holds - a goroutine waits for another one with a pthread mutex locked, which this time does no
 * harm. The exit status is 3.
 */
#include <pthread.h>

#include "goro.h"

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static goro_waitgroup wg;

static void hold(void *c)
{
	pthread_mutex_lock(&mu); /* LOCKS */
	goro_chan_recv(c, NULL); /* WAITS */
	pthread_mutex_unlock(&mu);
	goro_waitgroup_done(&wg);
}

int main(void)
{
	goro_chan *c = goro_chan_of(int, 0);

	goro_waitgroup_add(&wg, 1);
	go(hold, c);
	goro_sleep(GORO_MILLISECOND);
	goro_chan_send(c, &(int){ 1 });
	goro_waitgroup_wait(&wg);
	goro_chan_free(c);
	return 3;
}
