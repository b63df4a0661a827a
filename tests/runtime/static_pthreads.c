/* SPDX-License-Identifier: MIT */
/* A static program under GORO_DEBUG=pthread: it is told that nothing is seen, and runs as ever. */
#include <pthread.h>
#include <stdio.h>

#include "goro.h"

int main(void)
{
	pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&mu);
	goro_sleep(GORO_MILLISECOND);
	pthread_mutex_unlock(&mu);
	puts("held and released");
	return 0;
}
