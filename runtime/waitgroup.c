/* SPDX-License-Identifier: MIT */
/*
 * waitgroup.c - wait until so many have said that they are done.
 */
#include "sync.h"

void goro_waitgroup_add(goro_waitgroup *wg, int delta)
{
	struct m *mp = enter();
	int32_t count;
	bool overflow;

	lock(&wg->lock_);
	overflow = __builtin_add_overflow(wg->count_, delta, &count);
	wg->count_ = count;
	if (unlikely(count < 0 || overflow)) {
		unlock(&wg->lock_);
		leave(mp);
		goro_panic("sync: negative WaitGroup counter");
	}
	if (count == 0 && wg->first_)
		goro_wake_all(mp, &wg->first_, &wg->last_, &wg->lock_);
	else
		unlock(&wg->lock_);
	leave(mp);
}

void goro_waitgroup_done(goro_waitgroup *wg)
{
	goro_waitgroup_add(wg, -1);
}

void goro_waitgroup_wait(goro_waitgroup *wg)
{
	struct m *mp = enter();

	lock(&wg->lock_);
	if (wg->count_ == 0) {
		unlock(&wg->lock_);
	} else {
		struct goro_waiter w = {
			.g = mp->curg,
			.object = wg,
			.kind = GORO_REASON_WAITGROUP,
		};

		waitq_push(&wg->first_, &wg->last_, &w);
		wait_here(&mp, &w, GORO_REASON_WAITGROUP, wg, &wg->lock_);
	}
	leave(mp);
}
