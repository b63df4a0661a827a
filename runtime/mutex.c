/* SPDX-License-Identifier: MIT */
/*
 * mutex.c - the mutex.
 *
 * It allows barging: a running goroutine may take a free lock before those that wait, which is
 * several times faster than handing it over each time. A waiter that did not get it for 1 ms turns
 * on starvation mode: the lock is then handed from one to the next, in the order in which they
 * came, until one has not waited for so long (Go's sync/mutex.go).
 *
 * Who is woken stays in front of the P of who woke it while that one takes mutexes in a loop, see
 * goro_next_stays(): on another core the two would hand the memory of the mutex to and fro.
 */
#include "lockorder.h"
#include "runq.h"
#include "sync.h"

/*
 * In the middle, how many times it was biased to a P in vain; above that the number that
 * lockorder.c gave it.
 */
enum { MUTEX_WOKEN = 1, MUTEX_STARVING = 2, MUTEX_UNDONE = 4, MUTEX_NUMBER = 8 };
_Static_assert(BIAS_TIMES < 1 << (MUTEX_NUMBER - MUTEX_UNDONE), "it does not fit");
_Static_assert(MUTEX_STARVING == ORDER_ON, "the fast path tests for both at once");
enum { MUTEX_SPINS = 4, STARVING_NS = 1000000 };

static inline uint32_t undone(const goro_mutex *mu)
{
	return mu->flags_ >> MUTEX_UNDONE & ((1u << (MUTEX_NUMBER - MUTEX_UNDONE)) - 1);
}

/* lock_ held. */
noinline void goro_mutex_undone(goro_mutex *mu)
{
	if (undone(mu) < BIAS_TIMES)
		mu->flags_ += 1u << MUTEX_UNDONE;
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
	goro_order_lock(number, false, try);
	mp = enter();
	mutex_spin_lock(mu);
	return mp;
}

static noinline void end_starving(goro_mutex *mu)
{
	mutex_spin_lock(mu);
	mu->flags_ &= ~(uint32_t)MUTEX_STARVING;
	unlock(&mu->lock_);
}

/* lock_ held; returns with the mutex owned and lock_ released. */
static noinline struct m *mutex_lock_slow(struct m *mp, goro_mutex *mu, enum goro_reason reason)
{
	struct g *gp = mp->curg;
	struct goro_waiter w = { .g = gp, .object = mu, .kind = reason };
	int64_t since = 0;
	bool woken = false;

	bias_break_row(mp->p, &mu->lock_);
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
			mutex_spin_lock(mu);
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
		if (w.ok) { /* handed to us: owner_ is set */
			if (goro_now() - since <= STARVING_NS)
				end_starving(mu);
			return mp;
		}
		mutex_spin_lock(mu);
		woken = true;
	}
}

/* Nobody has it, nobody is to be handed it, and no order of locks is kept. */
static inline bool is_free(const goro_mutex *mu)
{
	return likely(!mu->owner_ && !((mu->flags_ | goro_lockorder) & MUTEX_STARVING));
}

/* Nobody waits; or one that did is up, and will compete for it with all that come. */
static inline bool wakes_nobody(const goro_mutex *mu)
{
	if (likely(!((uintptr_t)mu->first_ | goro_lockorder)))
		return true;
	return (mu->flags_ & (MUTEX_WOKEN | MUTEX_STARVING)) == MUTEX_WOKEN && !goro_lockorder;
}

/*
 * What is mostly all there is to do, where it needs no lock: see bias.h. (A single P has nobody to
 * say to that it is inside.)
 */
static __always_inline bool lock_inside(struct m *mp, goro_mutex *mu)
{
	bool solo = sched.solo, free;

	if (!solo && !bias_begin(mp->p, &mu->lock_))
		return false;
	free = is_free(mu);
	if (free) {
		mu->owner_ = mp->curg->id;
		mp->curg->held_locks++;
	}
	if (!solo)
		bias_end(mp->p);
	return free;
}

static __always_inline bool unlock_inside(struct m *mp, goro_mutex *mu)
{
	bool solo = sched.solo, ours;

	if (!solo && !bias_begin(mp->p, &mu->lock_))
		return false;
	ours = likely(mu->owner_ == mp->curg->id) && wakes_nobody(mu);
	if (ours) {
		mu->owner_ = 0;
		mp->curg->held_locks--;
	}
	if (!solo)
		bias_end(mp->p);
	return ours;
}

static noinline struct m *goro_mutex_lock_it(struct m *mp, goro_mutex *mu, enum goro_reason reason)
{
	mutex_spin_lock(mu);
	if (is_free(mu)) {
		mu->owner_ = mp->curg->id;
		unlock(&mu->lock_);
	} else {
		mp = mutex_lock_slow(mp, mu, reason);
	}
	mp->curg->held_locks++;
	return mp;
}

static __always_inline struct m *mutex_lock(struct m *mp, goro_mutex *mu, enum goro_reason reason)
{
	if (lock_inside(mp, mu))
		return mp;
	return goro_mutex_lock_it(mp, mu, reason);
}

static noinline void goro_park_lock(struct m *mp, goro_mutex *mu)
{
	leave(goro_mutex_lock_it(mp, mu, GORO_REASON_MUTEX));
}

static noinline void goro_mutex_lock_anew(goro_mutex *mu)
{
	leave(mutex_lock(enter(), mu, GORO_REASON_MUTEX));
}

void goro_mutex_lock(goro_mutex *mu)
{
	struct m *mp = enter_quickly();

	if (unlikely(!mp))
		goro_mutex_lock_anew(mu);
	else if (lock_inside(mp, mu))
		leave(mp);
	else
		goro_park_lock(mp, mu);
}

bool goro_mutex_try_lock(goro_mutex *mu)
{
	struct m *mp = enter();
	bool got;

	if (lock_inside(mp, mu)) {
		leave(mp);
		return true;
	}
	mutex_spin_lock(mu);
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

noinline void goro_mutex_bad_unlock(struct m *mp, goro_mutex *mu)
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
		if (mu->flags_ & MUTEX_WOKEN) { /* the order of locks is kept, or we had not come */
			unlock(&mu->lock_);
			return;
		}
		mu->flags_ |= MUTEX_WOKEN;
	}
	w = waitq_pop(&mu->first_, &mu->last_);
	if (mu->flags_ & MUTEX_STARVING) {
		mu->owner_ = w->g->id;
		w->ok = true;
		if (!mu->first_)
			mu->flags_ &= ~(uint32_t)MUTEX_STARVING;
	}
	unlock(&mu->lock_);
	atomic_store_explicit(&mp->p->mutex_next, w->g, memory_order_relaxed);
	goro_ready(mp, w->g);
}

static noinline void goro_mutex_unlock_it(struct m *mp, goro_mutex *mu)
{
	mutex_spin_lock(mu);
	if (unlikely(mu->owner_ != mp->curg->id)) {
		if (!g_is_reclaimed(mp->curg))
			goro_mutex_bad_unlock(mp, mu);
		unlock(&mu->lock_); /* the call that was to lock it was cut short: see reclaim.c */
		return;
	}
	mu->owner_ = 0;
	mp->curg->held_locks--;
	if (wakes_nobody(mu))
		bias_unlock(mp->p, &mu->lock_, undone(mu));
	else
		mutex_wake_one(mp, mu);
}

static __always_inline void mutex_unlock(struct m *mp, goro_mutex *mu)
{
	if (!unlock_inside(mp, mu))
		goro_mutex_unlock_it(mp, mu);
}

static noinline void goro_unlock_waited(struct m *mp, goro_mutex *mu)
{
	goro_mutex_unlock_it(mp, mu);
	leave(mp);
}

static noinline void goro_mutex_unlock_anew(goro_mutex *mu)
{
	struct m *mp = enter();

	mutex_unlock(mp, mu);
	leave(mp);
}

void goro_mutex_unlock(goro_mutex *mu)
{
	struct m *mp = enter_quickly();

	if (unlikely(!mp))
		goro_mutex_unlock_anew(mu);
	else if (unlock_inside(mp, mu))
		leave(mp);
	else
		goro_unlock_waited(mp, mu);
}

struct m *goro_mutex_lock_for(struct m *mp, goro_mutex *mu, enum goro_reason reason)
{
	return mutex_lock(mp, mu, reason);
}

void goro_mutex_unlock_in(struct m *mp, goro_mutex *mu)
{
	mutex_unlock(mp, mu);
}

void goro_mutex_forget(goro_mutex *mu, struct goro_waiter *w)
{
	waitq_remove(&mu->first_, &mu->last_, w);
	/* Nobody is left to be handed it. */
	if (!mu->first_)
		mu->flags_ &= ~(uint32_t)MUTEX_STARVING;
	if (goro_lockorder)
		goro_order_unlock(w->g, mu->flags_ >> MUTEX_NUMBER);
}
