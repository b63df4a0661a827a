/* SPDX-License-Identifier: MIT */
/*
 * waitgroup.c - wait until so many have said that they are done.
 *
 * Those who are done often all ran on one P, so the lock may be biased to it: see bias.h. Nobody
 * parks with it, and most of what comes is many in a row; so a bias that was undone is given again
 * sooner than that of a mutex.
 */
#include "sync.h"

enum { UNDONE_MAX = 2 };

static void wg_lock(goro_waitgroup *wg)
{
	if (unlikely(bias_lock(&wg->lock_)) && wg->undone_ < UNDONE_MAX)
		wg->undone_++;
}

/* What is mostly all there is to do, where it needs no lock: it is
 * not zero yet, or nobody waits. */
static __always_inline bool add_inside(struct m *mp, goro_waitgroup *wg, int delta)
{
	int32_t count;
	bool done;

	if (!bias_begin(mp->p, &wg->lock_))
		return false;
	done = likely(!__builtin_add_overflow(wg->count_, delta, &count)) &&
	       (likely(count > 0) || (count == 0 && !wg->first_));
	if (done)
		wg->count_ = count;
	bias_end(mp->p);
	return done;
}

static noinline void goro_waitgroup_add_slowly(struct m *mp, goro_waitgroup *wg, int delta)
{
	int32_t count;
	bool overflow;

	wg_lock(wg);
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
		bias_unlock(mp->p, &wg->lock_, wg->undone_);
	leave(mp);
}

static __always_inline void add(goro_waitgroup *wg, int delta)
{
	struct m *mp = enter();

	if (add_inside(mp, wg, delta))
		leave(mp);
	else
		goro_waitgroup_add_slowly(mp, wg, delta);
}

void goro_waitgroup_add(goro_waitgroup *wg, int delta)
{
	add(wg, delta);
}

void goro_waitgroup_done(goro_waitgroup *wg)
{
	add(wg, -1);
}

void goro_waitgroup_wait(goro_waitgroup *wg)
{
	struct m *mp = enter();

	wg_lock(wg);
	if (wg->count_ == 0) {
		bias_unlock(mp->p, &wg->lock_, wg->undone_);
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
