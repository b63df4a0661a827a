/* SPDX-License-Identifier: MIT */
/*
 * retake.c - what is taken from a worker whose goroutine is in the program's code: its P, or only
 * a goroutine that is next there: from its hand, or the slot in front (see runq.h).
 *
 * Dekker's algorithm with the fence on one side. The worker, in enter():
 *
 *	in_runtime = 1;  (compiler barrier)  if (lost_p) slow path;
 *
 * and we: lost_p = ASKED; membarrier(); if (in_runtime) give up, else what it has is ours.
 * membarrier makes every running thread of the process execute a full fence, so one of the two sees
 * the other. A worker that meets ASKED waits until we have decided. in_runtime is 0 then: it has
 * not begun yet, and so we get the better of one that calls in a loop, too. No signal, no atomic
 * instruction in enter(), and none for what only the owner of a P does.
 */
#include "schedule.h"

enum {
	LEAVE_LOOKS = 50,
	INSIDE_LOOKS = 8,
	LOST_CORE_NS = 100 * 1000,
	FOR_MUTEX_NS = 1000 * 1000,
};

/*
 * It has been asked. Where it is in the runtime it mostly leaves it at once, and cannot come back.
 * Acquire: what it did with its P, and that it had one, came before it left.
 */
static bool is_outside(struct m *mp)
{
	for (int i = 0; atomic_load_explicit(&mp->in_runtime, memory_order_acquire); i++) {
		if (i == LEAVE_LOOKS)
			return false;
		cpu_relax();
	}
	return true;
}

/*
 * The worker that has pp: it is outside, and stays there until let_go(). NULL: it is not, or nobody
 * has pp. lost_p has room for one who asks, so retake_lock is held.
 */
static struct m *hold(struct p *pp)
{
	struct m *mp = atomic_load_explicit(&pp->m, memory_order_acquire);

	if (!mp)
		return NULL;
	atomic_store_explicit(&mp->lost_p, LOST_ASKED, memory_order_relaxed);
	if (os_membarrier() && is_outside(mp))
		return mp;
	atomic_store_explicit(&mp->lost_p, LOST_NO, memory_order_release);
	return NULL;
}

/* Release: it comes back to what we have left it. */
static void let_go(struct m *mp)
{
	atomic_store_explicit(&mp->lost_p, LOST_NO, memory_order_release);
}

static bool take_p(struct p *pp, struct m *mp)
{
	lock_always(&sched.lock);
	if (mp->p != pp) {
		unlock_always(&sched.lock);
		let_go(mp);
		return false;
	}
	pp->nretake++;
	goro_end_slice(pp);
	if (atomic_load_explicit(&mp->foreign, memory_order_relaxed)) {
		/* Maybe for long, and nothing has to wait for it: the P may be idle. */
		atomic_fetch_add(&sched.noutside, 1);
		atomic_store_explicit(&mp->lost_p, LOST_YES, memory_order_release);
		goro_release_p(mp);
		return true;
	}
	mp->p = NULL;
	atomic_store_explicit(&pp->m, NULL, memory_order_relaxed);
	atomic_fetch_add(&sched.nlost, 1);
	atomic_store_explicit(&mp->lost_p, LOST_YES, memory_order_release);
	goro_start_m(pp, false, NULL);
	return true;
}

bool goro_retake(struct p *pp)
{
	struct m *mp;
	bool taken;

	lock_always(&sched.retake_lock);
	mp = hold(pp);
	taken = mp && take_p(pp, mp);
	unlock_always(&sched.retake_lock);
	return taken;
}

/* Its goroutine calls in a loop: so it is met in the runtime sooner or later, for a moment. */
static bool is_inside_often(struct p *pp)
{
	struct m *mp = atomic_load_explicit(&pp->m, memory_order_acquire);

	for (int i = 0; mp && i < INSIDE_LOOKS; i++) {
		if (atomic_load_explicit(&mp->in_runtime, memory_order_relaxed))
			return true;
		cpu_relax();
	}
	return false;
}

bool goro_next_stays(struct p *pp, const struct g *next, int64_t now)
{
	if (goro_next_is_left(pp, now))
		return true;
	if (!next || next != atomic_load_explicit(&pp->mutex_next, memory_order_relaxed) ||
	    !is_inside_often(pp))
		return false;
	atomic_store_explicit(&pp->left_until, now + FOR_MUTEX_NS, memory_order_relaxed);
	return true;
}

/*
 * Whose P is another meanwhile keeps what is next on that one. A worker that we ask in vain has
 * lost its core inside the runtime, perhaps to us: then nobody asks it for a while.
 */
struct g *goro_take_next_of(struct p *pp)
{
	struct g *gp = NULL;
	struct m *mp;

	lock_always(&sched.retake_lock);
	mp = hold(pp);
	if (mp && mp->p == pp) {
		uint32_t n = atomic_load_explicit(&pp->nhand, memory_order_acquire);

		gp = n ? runq_take_hand(pp, n) : runq_take_next(pp);
	}
	if (mp)
		let_go(mp);
	else
		atomic_store_explicit(&pp->left_until, goro_now() + LOST_CORE_NS,
				      memory_order_relaxed);
	unlock_always(&sched.retake_lock);
	return gp;
}
