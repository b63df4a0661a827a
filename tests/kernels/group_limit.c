/* SPDX-License-Identifier: MIT */
/*
 * group_limit - a task of a group with a limit starts another in the same group and waits for the
 * room that it takes itself.
 *
 * Errgroup's SetLimit.
 *
 * expect: task, *: unreachable
 * expect: kernel, *: unreachable
 */
#include "kernel.h"

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int task(void *arg)
{
	goro_group_go(arg, nothing, NULL);
	return 0;
}

void kernel(void *unused)
{
	goro_group *g = goro_group_new(NULL);

	(void)unused;
	goro_group_set_limit(g, fixed ? 2 : 1);
	goro_group_go(g, task, g);
	goro_group_wait(g);
	after();
}
