/* SPDX-License-Identifier: MIT */
/*
 * rwr - a goroutine reads, another one wants to write, the first one wants to read again: it queues
 * behind the writer, which waits for it.
 *
 * goro leaks: LEAKED (cycle), two goroutines: reader() at AGAIN and writer() at WRITE.
 */
#include "goro.h"

static goro_rwmutex rw;

static void writer(void *arg)
{
	(void)arg;
	goro_rwmutex_lock(&rw); /* WRITE */
	goro_rwmutex_unlock(&rw);
}

static void reader(void *arg)
{
	(void)arg;
	goro_rwmutex_rlock(&rw);
	go(writer, NULL);
	/* Once the writer waits, nobody else is let in. */
	while (goro_rwmutex_try_rlock(&rw)) {
		goro_rwmutex_runlock(&rw);
		goro_sleep(GORO_MILLISECOND);
	}
	goro_rwmutex_rlock(&rw); /* AGAIN */
	goro_rwmutex_runlock(&rw);
	goro_rwmutex_runlock(&rw);
}

int main(void)
{
	go(reader, NULL);
	goro_sleep(600 * GORO_SECOND);
	return 0;
}
