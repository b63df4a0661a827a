/* SPDX-License-Identifier: MIT */
/*
 * barrier_one_short - a barrier for four, and the last one has given up before it came there.
 *
 * A barrier of POSIX is used so; in Go it is a sync.Cond, as in moby/30408.
 *
 * expect: party, sync.Cond.Wait: unreachable 3
 */
#include "kernel.h"

enum { PARTIES = 4 };

struct barrier {
	goro_mutex mu;
	goro_cond cond;
	int missing;
};

struct party {
	struct barrier *barrier;
	bool gives_up;
};

static void arrive(struct barrier *b)
{
	goro_mutex_lock(&b->mu);
	if (--b->missing == 0)
		goro_cond_broadcast(&b->cond);
	while (b->missing > 0)
		goro_cond_wait(&b->cond, &b->mu);
	goro_mutex_unlock(&b->mu);
}

static void party(void *arg)
{
	struct party *p = arg;

	if (p->gives_up && !fixed)
		return;
	arrive(p->barrier);
	after();
}

void kernel(void *unused)
{
	struct barrier *b = NEW(struct barrier);

	(void)unused;
	b->missing = PARTIES;
	for (int i = 0; i < PARTIES; i++) {
		struct party p = { b, i == 0 };

		go_copy(party, &p);
	}
}
