/* SPDX-License-Identifier: MIT */
/*
 * once_blocks - what is to be done once waits for an answer that nobody sends; all who ask wait
 * too.
 *
 * expect: first, chan receive: unreachable
 * expect: other, sync.Once.Do: orphan 3
 */
#include "kernel.h"

struct lazy {
	goro_once once;
	goro_chan *answer;
};

static void init(void *arg)
{
	struct lazy *l = arg;

	goro_chan_recv(l->answer, NULL);
	after();
}

static void first(void *arg)
{
	struct lazy *l = arg;

	goro_once_do(&l->once, init, l);
	after();
}

static void other(void *arg)
{
	struct lazy *l = arg;

	goro_once_do(&l->once, init, l);
	after();
}

void kernel(void *unused)
{
	struct lazy *l = NEW(struct lazy);

	(void)unused;
	l->answer = goro_chan_of(int, 0);
	go(first, l);
	while (!__atomic_load_n(&l->once.mu_.owner_, __ATOMIC_RELAXED) &&
	       !__atomic_load_n(&l->once.done_, __ATOMIC_RELAXED))
		goro_yield();
	for (int i = 0; i < 3; i++)
		go(other, l);
	if (fixed)
		goro_chan_close(l->answer);
}
