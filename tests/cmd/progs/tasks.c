/* SPDX-License-Identifier: MIT */
/*
 * tasks - main returns while goroutines wait that a group, a flight and a waitgroup have started
 * for it.
 */
#include "goro.h"

static goro_waitgroup begun, counted;

static int task(void *arg)
{
	goro_waitgroup_done(&begun);
	goro_chan_recv(arg, NULL);
	return 0;
}

static int fetch(void *arg, void *result)
{
	*(int *)result = task(arg);
	return 0;
}

static void part(void *arg)
{
	task(arg);
}

int main(void)
{
	static goro_flight flight;
	static goro_chan *c;
	goro_group *group = goro_group_new(NULL);

	c = goro_chan_of(int, 0);
	goro_waitgroup_add(&begun, 3);
	goro_group_go(group, task, c);				  /* TASK */
	goro_flight_start(&flight, "key", fetch, c, sizeof(int)); /* FETCH */
	goro_waitgroup_go(&counted, part, c);			  /* PART */
	goro_waitgroup_wait(&begun);
	return 0;
}
