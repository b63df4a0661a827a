/* SPDX-License-Identifier: MIT */
/*
 * sema_by_halves - each of two has half of what there is, and wants the other half.
 *
 * Hold and wait, with a counting semaphore: golang.org/x/sync's.
 *
 * expect: worker, semacquire: unreachable 2
 */
#include "kernel.h"

struct memory {
	goro_sema room;
	goro_waitgroup both;
};

static void worker(void *arg)
{
	struct memory *m = arg;

	if (fixed) {
		goro_sema_acquire(&m->room, 4);
	} else {
		goro_sema_acquire(&m->room, 2);
		meet(&m->both);
		goro_sema_acquire(&m->room, 2);
	}
	goro_sema_release(&m->room, 4);
	after();
}

void kernel(void *unused)
{
	struct memory *m = NEW(struct memory);

	(void)unused;
	m->room.size_ = 4;
	goro_waitgroup_add(&m->both, 2);
	go(worker, m);
	go(worker, m);
}
