/* SPDX-License-Identifier: MIT */
/*
 * wait_in_loop - all are counted before the loop that starts them, and the wait is inside of it:
 * after the first nobody is left who could count down.
 *
 * Like moby/25348.
 *
 * expect: kernel, sync.WaitGroup.Wait: unreachable
 */
#include "kernel.h"

static void remove_plugin(void *group)
{
	goro_waitgroup_done(group);
}

void kernel(void *unused)
{
	goro_waitgroup *group = NEW(goro_waitgroup);

	(void)unused;
	goro_waitgroup_add(group, 3);
	for (int i = 0; i < 3; i++) {
		go(remove_plugin, group);
		if (!fixed)
			goro_waitgroup_wait(group);
	}
	goro_waitgroup_wait(group);
	after();
}
