/* SPDX-License-Identifier: MIT */
/*
 * errno belongs to the goroutine, on whatever thread it goes on, and however well the compiler
 * remembers the address of errno: this file is compiled by each compiler, with and without
 * optimisation across files.
 */
#include <unistd.h>

#include "stress.h"

enum { GOROUTINES = 400, ROUNDS = 200 };

static goro_waitgroup wg;
static atomic_int moved;

static void keep(void *arg)
{
	int mine = 1000 + *(int *)arg;
	pid_t thread = gettid();

	for (int i = 0; i < ROUNDS; i++) {
		errno = mine;
		goro_yield();
		must(errno == mine);
		if (i % 20 == 0) {
			errno = mine + i;
			goro_sleep(GORO_MICROSECOND);
			must(errno == mine + i);
			close(-1); /* the C library's errno is the same one */
			must(errno == EBADF);
		}
	}
	atomic_fetch_add(&moved, gettid() != thread);
	goro_waitgroup_done(&wg);
}

static void fresh(void *unused)
{
	(void)unused;
	must(errno == 0);
	errno = EDOM;
	goro_waitgroup_done(&wg);
}

static void wave(void)
{
	goro_waitgroup_add(&wg, 2 * GOROUTINES);
	for (int i = 0; i < GOROUTINES; i++) {
		go_copy(keep, &i);
		go(fresh, NULL);
	}
	errno = ERANGE;
	goro_waitgroup_wait(&wg);
	must(errno == ERANGE);
}

int main(void)
{
	int64_t end = goro_now() + 60 * GORO_SECOND;

	/* On a busy machine one worker may be done before the next one gets a core. */
	do
		wave();
	while (goro_maxprocs() > 1 && !moved && goro_now() < end);
	must(goro_maxprocs() == 1 || moved > 0);
	printf("all goroutines kept their errno, %d of them on another thread\n", moved);
	return 0;
}
