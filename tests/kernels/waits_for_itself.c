/* SPDX-License-Identifier: MIT */
/*
 * waits_for_itself - one of a group waits for the group.
 *
 * The self-wait of GOAT's and of GFuzz's lists.
 *
 * expect: last, sync.WaitGroup.Wait: unreachable
 * expect: kernel, sync.WaitGroup.Wait: unreachable
 */
#include "kernel.h"

static void member(void *group)
{
	goro_waitgroup_done(group);
}

static void last(void *group)
{
	if (fixed)
		goro_waitgroup_done(group);
	goro_waitgroup_wait(group);
	if (!fixed)
		goro_waitgroup_done(group);
	after();
}

void kernel(void *unused)
{
	goro_waitgroup *group = NEW(goro_waitgroup);

	(void)unused;
	goro_waitgroup_add(group, 3);
	go(member, group);
	go(member, group);
	go(last, group);
	goro_waitgroup_wait(group);
	after();
}
