/* SPDX-License-Identifier: MIT */
/*
 * abba - two goroutines lock two mutexes in opposite order, while main sleeps or, with the argument
 * "asleep", waits too, so that everybody does.
 *
 * goro leaks: LEAKED (cycle), two goroutines: first() waits for b at FIRST, second() for a at
 * SECOND.
 */
#include <string.h>

#include "goro.h"

static goro_mutex a, b;
static goro_waitgroup both;

static void meet(void)
{
	goro_waitgroup_done(&both);
	goro_waitgroup_wait(&both);
}

static void first(void *arg)
{
	(void)arg;
	goro_mutex_lock(&a);
	meet();
	goro_mutex_lock(&b); /* FIRST */
	goro_mutex_unlock(&b);
}

static void second(void *arg)
{
	(void)arg;
	goro_mutex_lock(&b);
	meet();
	goro_mutex_lock(&a); /* SECOND */
	goro_mutex_unlock(&a);
}

int main(int argc, char **argv)
{
	goro_waitgroup done = { 0 };

	goro_waitgroup_add(&both, 2);
	go(first, NULL);
	go(second, NULL);
	if (argc > 1 && !strcmp(argv[1], "asleep")) {
		goro_waitgroup_add(&done, 1);
		goro_waitgroup_wait(&done);
	}
	goro_sleep(600 * GORO_SECOND);
	return 0;
}
