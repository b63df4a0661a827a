/* SPDX-License-Identifier: MIT */
/* A library that calls back with its mutex locked; loaded when the program runs. */
#include <pthread.h>

void hold_and_call(void (*fn)(void *));

void hold_and_call(void (*fn)(void *))
{
	static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&mu);
	fn(0);
	pthread_mutex_unlock(&mu);
}
