/* SPDX-License-Identifier: MIT */
/*
 * waitgroup_too_many - more is added than is done.
 *
 * Like moby/25348.
 *
 * expect: kernel, sync.WaitGroup.Wait: unreachable
 */
#include "kernel.h"

static void worker(void *arg)
{
	goro_waitgroup_done(arg);
}

void kernel(void *unused)
{
	goro_waitgroup *wg = NEW(goro_waitgroup);

	(void)unused;
	goro_waitgroup_add(wg, fixed ? 3 : 4);
	for (int i = 0; i < 3; i++)
		go(worker, wg);
	goro_waitgroup_wait(wg);
	after();
}
