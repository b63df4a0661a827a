/* SPDX-License-Identifier: MIT */
/*
 * keeps - a goroutine that is leaked, and what only it leads to: a list of 1000 objects. Some of
 * these lead to another list, as what is in use does, and the end of that one to a third.
 *
 * Prints "ready", and ends when its standard input does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "goro.h"

enum { OBJECTS = 1000 };

struct object {
	struct object *next, *shared;
	char text[480];
};

static struct object *volatile in_use;
static goro_waitgroup parked;

static struct object *list(struct object *shared, struct object *last)
{
	struct object *first = last;

	for (int i = 0; i < OBJECTS; i++) {
		struct object *o = calloc(1, sizeof(*o));

		if (!o)
			abort();
		o->next = first;
		o->shared = i % 100 ? NULL : shared;
		first = o;
	}
	return first;
}

static void leaks(void *arg)
{
	struct object *volatile kept = arg;
	goro_chan *never = goro_chan_of(int, 0);

	goro_waitgroup_done(&parked);
	goro_chan_recv(never, NULL);
	free(kept);
}

/* On a stack that nobody else uses later, and that is wiped. */
static void builds(void *arg)
{
	struct object *third = list(NULL, NULL), *second = list(NULL, third);

	(void)arg;
	in_use = list(second, NULL);
	goro_waitgroup_add(&parked, 1);
	go(leaks, list(second, NULL));
	goro_waitgroup_done(&parked);
}

int main(void)
{
	char byte;

	goro_waitgroup_add(&parked, 1);
	go(builds, NULL);
	goro_waitgroup_wait(&parked);
	printf("ready\n");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	return 0;
}
