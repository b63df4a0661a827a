/* SPDX-License-Identifier: MIT */
/*
 * once_again - what is to be done once asks for itself.
 *
 * expect: asker, sync.Once.Do: never
 * expect: other, sync.Once.Do: orphan
 */
#include "kernel.h"

struct lazy {
	goro_once once;
};

static void init(void *arg)
{
	struct lazy *l = arg;

	if (!fixed)
		goro_once_do(&l->once, init, l);
}

static void asker(void *arg)
{
	struct lazy *l = arg;

	goro_once_do(&l->once, init, l);
	after();
}

static void other(void *arg)
{
	struct lazy *l = arg;

	goro_once_do(&l->once, init, l);
	after();
}

void kernel(void *unused)
{
	struct lazy *l = NEW(struct lazy);

	(void)unused;
	go(asker, l);
	if (!fixed)
		UNTIL_WAITED(&l->once.mu_);
	go(other, l);
}
