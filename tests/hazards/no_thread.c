/* SPDX-License-Identifier: MIT */
/*
 * There is no thread to be had for what has become runnable, and the only worker sleeps in the
 * kernel until a descriptor is ready, which none will be: it must be got up. Whoever makes others
 * runnable here is a thread of the program's own, which runs none of them.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stress.h"

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg);

static atomic_bool none_left;
static atomic_int refused;

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
			  void *arg)
{
	if (!atomic_load(&none_left))
		return __real_pthread_create(thread, attr, fn, arg);
	atomic_fetch_add(&refused, 1);
	return EAGAIN;
}

static goro_chan *one, *many;

static void read_for_ever(void *fd)
{
	char c;

	must(goro_read(*(int *)fd, &c, 1) != 1);
}

static void wait_with_others(void *wg)
{
	goro_chan_recv(many, NULL);
	goro_waitgroup_done(wg);
}

/* First one that it makes ready, then more than a queue holds. */
static void *wake(void *arg)
{
	usleep(50 * 1000); /* any time is right, but then the worker sleeps */
	goro_chan_send(one, NULL);
	usleep(50 * 1000);
	goro_chan_close(many);
	return arg;
}

int main(void)
{
	goro_waitgroup wg = { 0 };
	pthread_t thread;
	int pair[2];

	one = goro_chan_make(0, 0);
	many = goro_chan_make(0, 0);
	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	go_copy(read_for_ever, &pair[0]);
	goro_waitgroup_add(&wg, 1000);
	for (int i = 0; i < 1000; i++)
		go(wait_with_others, &wg);
	goro_yield();
	must(!__real_pthread_create(&thread, NULL, wake, NULL));
	none_left = true;
	goro_chan_recv(one, NULL);
	printf("one came, for whom %d threads were refused\n", refused);
	goro_waitgroup_wait(&wg);
	printf("a thousand came, for whom %d were\n", refused);
	must(!pthread_join(thread, NULL));
	return 0;
}
