/* SPDX-License-Identifier: MIT */
/*
 * ring - five philosophers, each with a fork in one hand: a cycle of five locks.
 *
 * expect: philosopher, sync.Mutex.Lock: cycle 5
 */
#include "kernel.h"

enum { SEATS = 5 };

struct table {
	goro_mutex fork[SEATS];
	goro_waitgroup all;
};

struct seat {
	struct table *table;
	int number;
};

static void philosopher(void *arg)
{
	struct seat *seat = arg;
	struct table *t = seat->table;
	int left = seat->number, right = (left + 1) % SEATS;
	int first = fixed && right < left ? right : left, second = first == left ? right : left;

	goro_mutex_lock(&t->fork[first]);
	if (!fixed)
		meet(&t->all);
	goro_mutex_lock(&t->fork[second]);
	goro_mutex_unlock(&t->fork[second]);
	goro_mutex_unlock(&t->fork[first]);
}

void kernel(void *unused)
{
	struct table *t = NEW(struct table);

	(void)unused;
	goro_waitgroup_add(&t->all, SEATS);
	for (int i = 0; i < SEATS; i++)
		go_copy(philosopher, &(struct seat){ t, i });
}
