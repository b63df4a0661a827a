/* SPDX-License-Identifier: MIT */
/*
 * locked.c - goroutines that stay on one thread: goro_lock_os_thread(), and the pinned ones.
 *
 * A locked goroutine is never in the queue of a P, where any worker would run it. Whoever makes it
 * runnable hands its thread an idle P at once; is there none, it waits in the global queue, and the
 * worker that finds it there hands its own P over and goes to look for another. So all the queues
 * and switches that are worth being fast know nothing of locked goroutines: one test in ready(), of
 * a word that is at hand, finds them. (Go keeps them in the ordinary queues and looks at every
 * goroutine that it runs.)
 *
 * The other half: a worker must not run anything else where a locked goroutine parks, yields or
 * ends. As long as it has a P, that P's `attention` is set, which sends each of these to the
 * worker's own stack, as it does for a timer that is due. There the worker gives up its P and stops
 * until it is handed one.
 *
 * Between the park (which lets others make the goroutine runnable) and the stop the worker still
 * has a P. Who wants to wake it then leaves a note in next_g, under sched.lock, and it goes on with
 * the P that it has. So for whoever has the lock: m.stopped says that it can be handed a P, and a
 * locked goroutine in the global queue has a worker that is stopped, or none yet.
 */
#include "schedule.h"

/* ---- sched.lock held ------------------------------------------------------------------------ */

void goro_m_stop(struct m *mp)
{
	mp->stopped = true;
	atomic_store_explicit(&mp->futex, 0, memory_order_relaxed);
}

/* Must somebody hold pp, or see to timers and descriptors, while it is idle? */
static bool p_is_needed(struct p *pp, int64_t when)
{
	if (!runq_empty(pp) || sched.runq_len)
		return true;
	if (goro_netpoll_waiters() && !sched.poller)
		return true;
	return when < (sched.timekeeper ? sched.timekeeper->sleep_until : INT64_MAX);
}

void goro_release_p(struct m *mp)
{
	struct p *pp = mp->p;
	int64_t when = goro_timers_next();

	mp->p = NULL;
	atomic_store_explicit(&pp->m, NULL, memory_order_release);
	if (p_is_needed(pp, when)) {
		san_release(pp);
		goro_start_m(pp, false, NULL);
		return;
	}
	goro_idle_p_put(pp);
	if (when == INT64_MAX && goro_check_deadlock()) {
		/* Somebody must ask again. */
		pp = goro_idle_p_get();
		goro_start_m(pp, false, NULL);
		return;
	}
	unlock_always(&sched.lock);
}

/* A pinned goroutine gets its thread when it first runs. */
static void start_pinned(struct p *pp, struct g *gp)
{
	struct m *mp = goro_m_new();
	int err = -ENOMEM;

	if (mp) {
		gp->ext->m = mp;
		mp->locked_g = gp;
		mp->next_p = pp;
		mp->next_g = gp;
		unlock_always(&sched.lock);
		err = goro_m_start_thread(mp);
	}
	if (err)
		goro_throw("no thread for a pinned goroutine: there are %u of at most %u, error %d",
			   __atomic_load_n(&goro_introspect.m_count, __ATOMIC_RELAXED), M_MAX,
			   -err);
}

void goro_pass_p(struct p *pp, struct g *next)
{
	struct m *mp;

	san_release(pp);
	atomic_store_explicit(&pp->m, NULL, memory_order_release);
	if (unlikely(atomic_load_explicit(&sched.stopping, memory_order_relaxed))) {
		goro_global_put(next, next, 1);
		goro_idle_p_put(pp);
		unlock_always(&sched.lock);
		return;
	}
	if (!g_is_locked(next)) {
		goro_start_m(pp, false, next);
		return;
	}
	mp = next->ext->m;
	if (!mp) {
		start_pinned(pp, next);
		return;
	}
	mp->stopped = false;
	mp->next_p = pp;
	mp->next_g = next;
	/* Release: what we wrote for it comes before what it waits for. */
	atomic_store_explicit(&mp->futex, 1, memory_order_release);
	unlock_always(&sched.lock);
	os_futex_wake(&mp->futex, 1);
}

/* ---- ready ----------------------------------------------------------------------------------- */

void goro_ready_locked(struct g *gp)
{
	struct m *mp = gp->ext->m;
	struct p *pp;

	lock_always(&sched.lock);
	if (mp && !mp->stopped) {
		mp->next_g = gp;
		unlock_always(&sched.lock);
		return;
	}
	pp = goro_idle_p_get();
	if (pp) {
		goro_pass_p(pp, gp);
		return;
	}
	goro_global_put(gp, gp, 1);
	unlock_always(&sched.lock);
}

struct g_chain goro_ready_chain(struct g *first)
{
	struct g_chain list = { 0 };

	for (struct g *gp = first, *next; gp; gp = next) {
		next = gp->link;
		if (g_set_runnable(gp)) {
			goro_ready_locked(gp);
			continue;
		}
		gp->link = NULL;
		if (list.last)
			list.last->link = gp;
		else
			list.first = gp;
		list.last = gp;
		list.n++;
	}
	return list;
}

/* ---- the worker's side, on its own stack ---------------------------------------------------- */

/* If anything else can run now it does, on another worker, and gp waits for its turn. */
void goro_locked_yield(struct m *mp, struct g *gp)
{
	struct g *next = goro_find_now(mp);
	struct p *pp = mp->p;

	if (!next && !atomic_load_explicit(&sched.stopping, memory_order_relaxed)) {
		mp->next_g = gp;
		return;
	}
	lock_always(&sched.lock);
	goro_global_put(gp, gp, 1);
	goro_m_stop(mp);
	mp->p = NULL;
	if (next) {
		goro_pass_p(pp, next);
		return;
	}
	goro_idle_p_put(pp);
	unlock_always(&sched.lock);
	goro_wake_worker();
}

static void wait_for_p(struct m *mp)
{
	/* Acquire: with the 1 comes what was written for us. */
	while (!atomic_load_explicit(&mp->futex, memory_order_acquire))
		os_futex_wait(&mp->futex, 0, -1);
	goro_clock_advance();
	goro_p_acquire(mp, mp->next_p);
	mp->next_p = NULL;
}

/* Its goroutine has ended. NULL: the thread may end too; the process's first one may not. */
static struct g *end(struct m *mp)
{
	goro_release_p(mp);
	while (mp == goro_ms[0])
		os_sleep(3600 * GORO_SECOND);
	return NULL;
}

struct g *goro_locked_next(struct m *mp)
{
	struct g *gp;

	lock_always(&sched.lock);
	if (mp->ending)
		return end(mp);
	if (!mp->p) { /* settle() found none */
		unlock_always(&sched.lock);
		wait_for_p(mp);
	} else if (!mp->next_g) {
		goro_m_stop(mp);
		goro_release_p(mp);
		wait_for_p(mp);
	} else {
		unlock_always(&sched.lock);
	}
	gp = mp->next_g;
	mp->next_g = NULL;
	atomic_fetch_add_explicit(&mp->p->nswitch, 1, memory_order_relaxed);
	atomic_store_explicit(&mp->p->attention, 1, memory_order_relaxed);
	return gp;
}

/* ---- the API --------------------------------------------------------------------------------- */

static void set_locked(struct g *gp, bool locked)
{
	uint32_t flags = atomic_load_explicit(&gp->flags, memory_order_relaxed);

	flags = locked ? flags | GORO_FLAG_LOCKED : flags & ~GORO_FLAG_LOCKED;
	/* It runs: nobody else writes this word. Relaxed: nothing is published with it. */
	atomic_store_explicit(&gp->flags, (uint16_t)flags, memory_order_relaxed);
}

void goro_lock_os_thread(void)
{
	struct m *mp = enter();
	struct g_ext *ext = goro_ext_of(mp->curg);

	if (!ext->nlocks++) {
		ext->m = mp;
		mp->locked_g = mp->curg;
		set_locked(mp->curg, true);
		atomic_store_explicit(&mp->p->attention, 1, memory_order_relaxed);
	}
	leave(mp);
}

void goro_unlock_os_thread(void)
{
	struct m *mp = enter();
	struct g_ext *ext = mp->curg->ext;

	/* A thread of the program's own keeps its goroutine. */
	if (ext && ext->nlocks > g_is_foreign(mp->curg) && !--ext->nlocks) {
		ext->m = NULL;
		mp->locked_g = NULL;
		set_locked(mp->curg, false);
	}
	leave(mp);
}
