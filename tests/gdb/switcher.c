/* SPDX-License-Identifier: MIT */
/*
 * switcher - switches of every kind, for every_instruction.py: between goroutines, with the
 * scheduler's own stack, to a fresh one, and with other control words on the two sides.
 */
#include <fenv.h>

#include "goro.h"

static goro_waitgroup wg;

static void yielder(void *arg)
{
	fesetround(*(int *)arg);
	for (int i = 0; i < 2; i++)
		goro_yield();
	goro_waitgroup_done(&wg);
}

static void sleeper(void *unused)
{
	(void)unused;
	goro_sleep(GORO_MILLISECOND);
	goro_waitgroup_done(&wg);
}

int main(void)
{
	int up = FE_UPWARD, down = FE_DOWNWARD;

	goro_waitgroup_add(&wg, 3);
	go_copy(yielder, &up);
	go_copy(yielder, &down);
	go(sleeper, NULL);
	goro_waitgroup_wait(&wg);
	return 0;
}
