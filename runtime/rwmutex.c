/* SPDX-License-Identifier: MIT */
/*
 * rwmutex.c - the lock that many readers or one writer have. First come, first served: a reader
 * that comes after a writer waits for it, so that writers do not starve.
 */
#include "lockorder.h"
#include "sync.h"

static void note_rlock(struct g *gp, goro_rwmutex *rw)
{
	gp->held_locks++;
	for (int i = 0; i < G_NRLOCKS; i++) {
		if (!gp->rlocks[i]) {
			gp->rlocks[i] = rw;
			return;
		}
	}
	gp->rlocks_more++;
}

static bool forget_rlock(struct g *gp, goro_rwmutex *rw)
{
	for (int i = 0; i < G_NRLOCKS; i++) {
		if (gp->rlocks[i] == rw) {
			gp->rlocks[i] = NULL;
			gp->held_locks--;
			return true;
		}
	}
	if (!gp->rlocks_more)
		return false;
	gp->rlocks_more--;
	gp->held_locks--;
	return true;
}

static void rw_wait(struct m **mp, goro_rwmutex *rw, enum goro_reason reason)
{
	struct goro_waiter w = { .g = (*mp)->curg, .object = rw, .kind = reason };

	waitq_push(&rw->first_, &rw->last_, &w);
	wait_here(mp, &w, reason, rw, &rw->lock_);
}

/* lock_ held and released: hand the lock to whoever is first in line, readers in a bunch. */
static void rw_grant(struct m *mp, goro_rwmutex *rw)
{
	struct g *first = NULL, *last = NULL;
	uint32_t n = 0;

	while (rw->first_ && !rw->writer_) {
		bool writes = rw->first_->kind == GORO_REASON_RWMUTEX_W;
		struct g *gp;

		if (writes && rw->readers_)
			break;
		gp = waitq_pop(&rw->first_, &rw->last_)->g;
		if (writes) {
			rw->writer_ = gp->id;
			gp->held_locks++;
		} else {
			rw->readers_++;
			note_rlock(gp, rw);
		}
		gp->link = NULL;
		if (last)
			last->link = gp;
		else
			first = gp;
		last = gp;
		n++;
	}
	unlock(&rw->lock_);
	if (n == 1)
		goro_ready(mp, first);
	else if (n)
		goro_ready_batch(mp, first, n);
}

/* lock_ held, and given up for a while. */
static noinline struct m *goro_rw_order(struct m *mp, goro_rwmutex *rw, bool reads, bool try)
{
	uint32_t number;

	if (!rw->number_)
		rw->number_ = goro_order_number();
	number = rw->number_;
	unlock(&rw->lock_);
	leave(mp);
	goro_order_lock(number, reads, try);
	mp = enter();
	lock(&rw->lock_);
	return mp;
}

void goro_rwmutex_rlock(goro_rwmutex *rw)
{
	struct m *mp = enter();

	lock(&rw->lock_);
	if (unlikely(goro_lockorder))
		mp = goro_rw_order(mp, rw, true, false);
	if (!rw->writer_ && !rw->first_) {
		rw->readers_++;
		note_rlock(mp->curg, rw);
		unlock(&rw->lock_);
	} else {
		rw_wait(&mp, rw, GORO_REASON_RWMUTEX_R);
	}
	leave(mp);
}

bool goro_rwmutex_try_rlock(goro_rwmutex *rw)
{
	struct m *mp = enter();
	bool got;

	lock(&rw->lock_);
	if (unlikely(goro_lockorder))
		mp = goro_rw_order(mp, rw, true, true);
	got = !rw->writer_ && !rw->first_;
	if (got) {
		rw->readers_++;
		note_rlock(mp->curg, rw);
	} else if (unlikely(goro_lockorder)) {
		goro_order_unlock(mp->curg, rw->number_);
	}
	unlock(&rw->lock_);
	leave(mp);
	return got;
}

/* The call that was to lock it: see reclaim.c. Off the runtime, but still on its own thread. */
static bool was_cut_short(struct m *mp)
{
	return g_is_reclaimed(mp->curg);
}

void goro_rwmutex_runlock(goro_rwmutex *rw)
{
	struct m *mp = enter();

	lock(&rw->lock_);
	if (unlikely(!rw->readers_)) {
		unlock(&rw->lock_);
		leave(mp);
		if (was_cut_short(mp))
			return;
		goro_throw("sync: RUnlock of unlocked RWMutex");
	}
	if (unlikely(!forget_rlock(mp->curg, rw))) {
		unlock(&rw->lock_);
		leave(mp);
		if (was_cut_short(mp))
			return;
		goro_panic("sync: RUnlock of RWMutex that this goroutine has not locked");
	}
	if (unlikely(goro_lockorder))
		goro_order_unlock(mp->curg, rw->number_);
	rw->readers_--;
	rw_grant(mp, rw);
	leave(mp);
}

void goro_rwmutex_lock(goro_rwmutex *rw)
{
	struct m *mp = enter();

	lock(&rw->lock_);
	if (unlikely(goro_lockorder))
		mp = goro_rw_order(mp, rw, false, false);
	if (!rw->writer_ && !rw->readers_) {
		rw->writer_ = mp->curg->id;
		mp->curg->held_locks++;
		unlock(&rw->lock_);
	} else {
		rw_wait(&mp, rw, GORO_REASON_RWMUTEX_W);
	}
	leave(mp);
}

bool goro_rwmutex_try_lock(goro_rwmutex *rw)
{
	struct m *mp = enter();
	bool got;

	lock(&rw->lock_);
	if (unlikely(goro_lockorder))
		mp = goro_rw_order(mp, rw, false, true);
	got = !rw->writer_ && !rw->readers_;
	if (got) {
		rw->writer_ = mp->curg->id;
		mp->curg->held_locks++;
	} else if (unlikely(goro_lockorder)) {
		goro_order_unlock(mp->curg, rw->number_);
	}
	unlock(&rw->lock_);
	leave(mp);
	return got;
}

void goro_rwmutex_unlock(goro_rwmutex *rw)
{
	struct m *mp = enter();
	uint64_t writer;

	lock(&rw->lock_);
	writer = rw->writer_;
	if (unlikely(writer != mp->curg->id)) {
		unlock(&rw->lock_);
		leave(mp);
		if (was_cut_short(mp))
			return;
		if (!writer)
			goro_throw("sync: Unlock of unlocked RWMutex");
		goro_panic("sync: Unlock of RWMutex held by goroutine %lu", (unsigned long)writer);
	}
	if (unlikely(goro_lockorder))
		goro_order_unlock(mp->curg, rw->number_);
	rw->writer_ = 0;
	mp->curg->held_locks--;
	rw_grant(mp, rw);
	leave(mp);
}

void goro_rwmutex_forget(struct m *mp, goro_rwmutex *rw, struct goro_waiter *w)
{
	waitq_remove(&rw->first_, &rw->last_, w);
	if (goro_lockorder)
		goro_order_unlock(w->g, rw->number_);
	lock(&rw->lock_);
	rw_grant(mp, rw); /* to readers that were behind a writer */
}
