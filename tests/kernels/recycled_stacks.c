/* SPDX-License-Identifier: MIT */
/*
 * recycled_stacks - a channel is forgotten whose address is still all over stacks that others have
 * now: those of a crowd that has ended, taken over by another that lives on.
 *
 * Like the go statements that a detector from outside missed in Go's own goroutineleak tests, for
 * the same reason.
 *
 * expect: forgotten, chan receive: unreachable
 * expect: keeper, sleep: alive 40
 */
#include "kernel.h"

enum { CROWD = 40 };

struct crowd {
	goro_chan *c;
	goro_waitgroup done;
};

/* What deep calls leave behind. */
static __attribute__((noinline)) void dig(goro_chan *c, int depth)
{
	goro_chan *copies[16];

	for (int i = 0; i < 16; i++)
		copies[i] = c;
	__asm__ volatile("" ::"r"(copies) : "memory");
	if (depth)
		dig(c, depth - 1);
	__asm__ volatile("" ::"r"(copies) : "memory");
}

static void digger(void *arg)
{
	struct crowd *crowd = arg;

	dig(crowd->c, 16);
	goro_waitgroup_done(&crowd->done);
}

static void keeper(void *unused)
{
	(void)unused;
	if (!fixed)
		goro_sleep(3600 * GORO_SECOND);
	after();
}

static void forgotten(void *arg)
{
	goro_chan_recv(arg, NULL);
	after();
}

void kernel(void *unused)
{
	struct crowd *crowd = NEW(struct crowd);

	(void)unused;
	crowd->c = goro_chan_of(int, 0);
	go(forgotten, crowd->c);
	goro_waitgroup_add(&crowd->done, CROWD);
	for (int i = 0; i < CROWD; i++)
		go(digger, crowd);
	goro_waitgroup_wait(&crowd->done);
	if (fixed)
		goro_chan_close(crowd->c);
	for (int i = 0; i < CROWD; i++)
		go(keeper, NULL);
}
