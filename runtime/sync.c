/* SPDX-License-Identifier: MIT */
/*
 * sync.c - mutex, rwmutex, cond, waitgroup, once: all over one park and ready.
 *
 * Each object has its own queue of waiters and a spin lock around it; there is no global table of
 * addresses as in Go's sema.go, because the objects are ours to lay out.
 *
 * Locks have owners. That is what lets an observer prove a deadlock, and it is stricter than Go: a
 * mutex is unlocked by the goroutine that locked it. Read locks are recorded in the goroutine too
 * (the first few by address, the rest by count).
 *
 * The mutex allows barging: a running goroutine may take a free lock before those that wait, which
 * is several times faster than handing it over each time. A waiter that did not get it for 1 ms
 * turns on starvation mode: the lock is then handed to it directly (Go's sync/mutex.go).
 */
#include "lockorder.h"
#include "runq.h"

/* ---- mutex -------------------------------------------------------------------------------------
 */

/* Above that the number that lockorder.c gave it. */
enum { MUTEX_WOKEN = 1, MUTEX_STARVING = 2, MUTEX_NUMBER = 8 };
_Static_assert(MUTEX_STARVING == ORDER_ON, "the fast path tests for both at once");
enum { MUTEX_SPINS = 4, STARVING_NS = 1000000 };

static void wait_here(struct m **mp, struct goro_waiter *w, enum goro_reason reason, void *object,
		      uint32_t *l)
{
	record_waiting((*mp)->curg, w);
	*mp = goro_park(*mp, reason, object, l);
}

/* lock_ held, and given up for a while. */
static noinline struct m *goro_mutex_order(struct m *mp, goro_mutex *mu, bool try)
{
	uint32_t number;

	if (!(mu->flags_ >> MUTEX_NUMBER))
		mu->flags_ |= goro_order_number() << MUTEX_NUMBER;
	number = mu->flags_ >> MUTEX_NUMBER;
	unlock(&mu->lock_);
	leave(mp);
	goro_order_lock(number, false, try, try ? 3 : 4);
	mp = enter();
	lock(&mu->lock_);
	return mp;
}

/* lock_ held; returns with the mutex owned and lock_ released. */
static noinline struct m *mutex_lock_slow(struct m *mp, goro_mutex *mu, enum goro_reason reason)
{
	struct g *gp = mp->curg;
	struct goro_waiter w = { .g = gp, .object = mu, .kind = reason };
	int64_t since = 0;
	bool woken = false;

	if (unlikely(goro_lockorder))
		mp = goro_mutex_order(mp, mu, false);
	for (int spins = 0;; spins++) {
		if (woken)
			mu->flags_ &= ~(uint32_t)MUTEX_WOKEN;
		woken = false;
		if (!mu->owner_ && !(mu->flags_ & MUTEX_STARVING)) {
			mu->owner_ = gp->id;
			unlock(&mu->lock_);
			return mp;
		}
		/*
		 * If its holder runs on another core it will be free in a moment. But not for long,
		 * and not while others could run here: the holder may be parked, and be one of
		 * them.
		 */
		if (!sched.solo && spins < MUTEX_SPINS && runq_empty(mp->p) &&
		    mu->owner_ != gp->id && !(mu->flags_ & MUTEX_STARVING)) {
			unlock(&mu->lock_);
			for (int i = 0; i < 32; i++)
				cpu_relax();
			lock(&mu->lock_);
			continue;
		}
		w.ok = false;
		if (since) {
			if (goro_now() - since > STARVING_NS)
				mu->flags_ |= MUTEX_STARVING;
			waitq_push_front(&mu->first_, &mu->last_, &w);
		} else {
			since = goro_now();
			waitq_push(&mu->first_, &mu->last_, &w);
		}
		wait_here(&mp, &w, reason, mu, &mu->lock_);
		if (w.ok) /* handed to us: owner_ is set */
			return mp;
		lock(&mu->lock_);
		woken = true;
	}
}

static inline struct m *mutex_lock(struct m *mp, goro_mutex *mu, enum goro_reason reason)
{
	mp->curg->held_locks++;
	lock(&mu->lock_);
	if (likely(!mu->owner_ && !((mu->flags_ | goro_lockorder) & MUTEX_STARVING))) {
		mu->owner_ = mp->curg->id;
		unlock(&mu->lock_);
		return mp;
	}
	mp->curg->held_locks--;
	mp = mutex_lock_slow(mp, mu, reason);
	mp->curg->held_locks++;
	return mp;
}

void goro_mutex_lock(goro_mutex *mu)
{
	leave(mutex_lock(enter(), mu, GORO_REASON_MUTEX));
}

bool goro_mutex_try_lock(goro_mutex *mu)
{
	struct m *mp = enter();
	bool got;

	lock(&mu->lock_);
	if (unlikely(goro_lockorder))
		mp = goro_mutex_order(mp, mu, true);
	got = !mu->owner_ && !(mu->flags_ & MUTEX_STARVING);
	if (got) {
		mu->owner_ = mp->curg->id;
		mp->curg->held_locks++;
	} else if (unlikely(goro_lockorder)) {
		goro_order_unlock(mp->curg, mu->flags_ >> MUTEX_NUMBER);
	}
	unlock(&mu->lock_);
	leave(mp);
	return got;
}

GORO_NORETURN static noinline void goro_mutex_bad_unlock(struct m *mp, goro_mutex *mu)
{
	uint64_t owner = mu->owner_;

	unlock(&mu->lock_);
	leave(mp);
	if (!owner)
		goro_throw("sync: unlock of unlocked mutex");
	goro_panic("sync: unlock of mutex held by goroutine %lu", (unsigned long)owner);
}

/* lock_ held and released. */
static noinline void mutex_wake_one(struct m *mp, goro_mutex *mu)
{
	struct goro_waiter *w;

	if (unlikely(goro_lockorder)) {
		goro_order_unlock(mp->curg, mu->flags_ >> MUTEX_NUMBER);
		if (!mu->first_) {
			unlock(&mu->lock_);
			return;
		}
	}
	if (!(mu->flags_ & MUTEX_STARVING)) {
		/* One at a time: the one that is up will compete for it. */
		if (mu->flags_ & MUTEX_WOKEN) {
			unlock(&mu->lock_);
			return;
		}
		mu->flags_ |= MUTEX_WOKEN;
	}
	w = waitq_pop(&mu->first_, &mu->last_);
	if (mu->flags_ & MUTEX_STARVING) {
		mu->owner_ = w->g->id;
		w->ok = true;
		mu->flags_ &= ~(uint32_t)MUTEX_STARVING;
	}
	unlock(&mu->lock_);
	goro_ready(mp, w->g);
}

static inline void mutex_unlock(struct m *mp, goro_mutex *mu)
{
	lock(&mu->lock_);
	if (unlikely(mu->owner_ != mp->curg->id)) {
		if (!g_is_reclaimed(mp->curg))
			goro_mutex_bad_unlock(mp, mu);
		unlock(&mu->lock_); /* the call that was to lock it was cut short: see reclaim.c */
		return;
	}
	mu->owner_ = 0;
	mp->curg->held_locks--;
	if (unlikely((uintptr_t)mu->first_ | goro_lockorder))
		mutex_wake_one(mp, mu);
	else
		unlock(&mu->lock_);
}

void goro_mutex_unlock(goro_mutex *mu)
{
	struct m *mp = enter();

	mutex_unlock(mp, mu);
	leave(mp);
}

/* ---- rwmutex -----------------------------------------------------------------------------------
 */

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
	goro_order_lock(number, reads, try, 3);
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

/* ---- cond --------------------------------------------------------------------------------------
 */

void goro_cond_wait(goro_cond *c, goro_mutex *mu)
{
	struct m *mp = enter();
	struct goro_waiter w = { .g = mp->curg,
				 .object = c,
				 .elem = mu, /* for reclaim.c */
				 .kind = GORO_REASON_COND };

	/* Before we are in the queue, which a panic would leave on a stack that is given up. */
	if (unlikely(__atomic_load_n(&mu->owner_, __ATOMIC_RELAXED) != mp->curg->id)) {
		lock(&mu->lock_);
		goro_mutex_bad_unlock(mp, mu);
	}
	/* In the queue before the mutex is free, and parked before the queue is: no signal is
	 * missed. */
	lock(&c->lock_);
	waitq_push(&c->first_, &c->last_, &w);
	mutex_unlock(mp, mu);
	wait_here(&mp, &w, GORO_REASON_COND, c, &c->lock_);
	leave(mutex_lock(mp, mu, GORO_REASON_MUTEX));
}

void goro_cond_signal(goro_cond *c)
{
	struct m *mp = enter();
	struct goro_waiter *w;
	struct g *gp;

	lock(&c->lock_);
	w = waitq_pop(&c->first_, &c->last_);
	gp = w ? w->g : NULL;
	unlock(&c->lock_);
	if (gp)
		goro_ready(mp, gp);
	leave(mp);
}

/* Take a whole queue of waiters and make them runnable; l is held and released. */
static void wake_all(struct m *mp, struct goro_waiter **first, struct goro_waiter **last,
		     uint32_t *l)
{
	struct g *g_first = NULL, *g_last = NULL;
	struct goro_waiter *w;
	uint32_t n = 0;

	while ((w = waitq_pop(first, last))) {
		w->g->link = NULL;
		if (g_last)
			g_last->link = w->g;
		else
			g_first = w->g;
		g_last = w->g;
		n++;
	}
	unlock(l);
	if (n == 1)
		goro_ready(mp, g_first);
	else if (n)
		goro_ready_batch(mp, g_first, n);
}

void goro_cond_broadcast(goro_cond *c)
{
	struct m *mp = enter();

	lock(&c->lock_);
	wake_all(mp, &c->first_, &c->last_, &c->lock_);
	leave(mp);
}

/* ---- waitgroup ---------------------------------------------------------------------------------
 */

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
		wake_all(mp, &wg->first_, &wg->last_, &wg->lock_);
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

/* ---- once --------------------------------------------------------------------------------------
 */

static void once_ended(void *arg)
{
	goro_once *once = arg;

	__atomic_store_n(&once->done_, 1, __ATOMIC_RELEASE);
	goro_mutex_unlock(&once->mu_);
}

void goro_once_do(goro_once *once, goro_fn *fn, void *arg)
{
	struct goro_deferred end;

	/* Acquire: what fn wrote is seen by those who did not wait for it. */
	if (__atomic_load_n(&once->done_, __ATOMIC_ACQUIRE))
		return;
	leave(mutex_lock(enter(), &once->mu_, GORO_REASON_ONCE));
	if (once->done_) {
		goro_mutex_unlock(&once->mu_);
		return;
	}
	/* If it panics or exits it has run, too. */
	goro_deferred_begin_(&end, once_ended, once);
	fn(arg);
	goro_deferred_end_(&end);
}

/* ---- a wait that is given up: reclaim.c --------------------------------------------------------
 */

static void forget_lock(struct m *mp, goro_mutex *mu, struct goro_waiter *w)
{
	waitq_remove(&mu->first_, &mu->last_, w);
	/* Nobody is left to be handed it. */
	if (!mu->first_)
		mu->flags_ &= ~(uint32_t)MUTEX_STARVING;
	if (goro_lockorder)
		goro_order_unlock(w->g, mu->flags_ >> MUTEX_NUMBER);
	(void)mp;
}

static void forget_rw(struct m *mp, goro_rwmutex *rw, struct goro_waiter *w)
{
	waitq_remove(&rw->first_, &rw->last_, w);
	if (goro_lockorder)
		goro_order_unlock(w->g, rw->number_);
	lock(&rw->lock_);
	rw_grant(mp, rw); /* to readers that were behind a writer */
}

void goro_sync_forget(struct m *mp, struct goro_waiter *w)
{
	goro_cond *c = w->object;
	goro_waitgroup *wg = w->object;

	switch (w->kind) {
	case GORO_REASON_MUTEX:
	case GORO_REASON_ONCE:
		forget_lock(mp, w->object, w);
		break;
	case GORO_REASON_RWMUTEX_R:
	case GORO_REASON_RWMUTEX_W:
		forget_rw(mp, w->object, w);
		break;
	case GORO_REASON_COND:
		waitq_remove(&c->first_, &c->last_, w);
		break;
	case GORO_REASON_WAITGROUP:
		waitq_remove(&wg->first_, &wg->last_, w);
		break;
	default:
		goro_throw("a wait to give up of kind %u", w->kind);
	}
}
