/* SPDX-License-Identifier: MIT */
/*
 * double_lock - a method locks and calls another one that locks as well. Who comes later waits for
 * a lock whose holder is stuck.
 *
 * Like cockroach/584, cockroach/9935, moby/36114, syncthing/4829.
 *
 * expect: update, sync.Mutex.Lock: never
 * expect: reader, sync.Mutex.Lock: orphan
 */
#include "kernel.h"

struct store {
	goro_mutex mu;
	int value;
};

static void set(struct store *s, int value)
{
	goro_mutex_lock(&s->mu);
	s->value = value;
	goro_mutex_unlock(&s->mu);
}

static void update(void *arg)
{
	struct store *s = arg;

	goro_mutex_lock(&s->mu);
	if (fixed)
		s->value = 1;
	else
		set(s, 1);
	goro_mutex_unlock(&s->mu);
}

static void reader(void *arg)
{
	struct store *s = arg;

	goro_mutex_lock(&s->mu);
	goro_mutex_unlock(&s->mu);
	after();
}

void kernel(void *unused)
{
	struct store *s = NEW(struct store);

	(void)unused;
	go(update, s);
	if (!fixed)
		UNTIL_WAITED(&s->mu);
	go(reader, s);
}
