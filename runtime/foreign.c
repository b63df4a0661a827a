/* SPDX-License-Identifier: MIT */
/*
 * foreign.c - threads that the program made itself (pthread_create, std::thread, a library's).
 *
 * Such a thread becomes a goroutine at its first call, on the stack that it has, locked to it; and
 * ceases to be one when it ends. So all that holds for locked goroutines (locked.c) holds for it:
 * it waits on its futex when it parks, and never runs another. Its worker record has a stack of its
 * own for the scheduler.
 *
 * It comes in by the way on which a hog comes back that has lost its P, and it leaves as any
 * goroutine does: by one store, and it still has the P. sysmon takes that away again, at its next
 * tick if anything waits for it, and after a while in any case, so that the process can sleep.
 * Rejected: to give the P up at the end of each call. It would be a test in each leave() of
 * everybody, and a lock and two switches in each call of such a thread.
 *
 * Deadlock: as long as such a thread is in its own code it may call and wake somebody, and so may
 * one that has not called us yet. The first are counted (sched.noutside); for the others we look
 * who is in the process, once everybody seems to be asleep. That costs nothing before, and "all
 * goroutines are asleep" stays true when it is said.
 */
#include <stdlib.h>

#include "schedule.h"

/* Other keys' destructors may still call us: then it is attached anew. */
static void detach(struct m *mp)
{
	struct p *pp;

	goro_locals_destroy(mp->curg);
	mp = enter();
	goro_end_foreign(mp);
	san_fiber_destroy(&mp->g0.san, mp->g0.stack_lo, mp->g0.stack_hi);
	san_stack_end(mp->thread_stack_known);
	os_thread_signal_stack_end(mp);
	goro_tls_m = NULL;
	lock_always(&sched.lock);
	pp = mp->p;
	mp->p = NULL;
	atomic_store_explicit(&pp->m, NULL, memory_order_release);
	san_release(pp);
	atomic_store_explicit(&mp->foreign, false, memory_order_relaxed);
	goro_m_free(mp);
	/* Somebody looks whether all are asleep now, and again when this thread is gone. */
	goro_start_m(pp, false, NULL);
}

void goro_foreign_end(void)
{
	detach(getm());
}

/*
 * A worker ends although the scheduler did not say so. What a goroutine's pthread_exit() unwinds,
 * down to the scheduler that waits at the end of this very stack, cannot go on. But main may call
 * it: all that was main's is over, and the others run on, here too. (Who loaded us on a thread that
 * is not the process's first keeps the id 1, and takes nothing along.)
 */
static void goro_worker_ends(struct m *mp)
{
	struct g *gp = mp->curg;

	if (mp != goro_ms[0] || !goro_is_main(gp))
		goro_throw("pthread_exit() or pthread_cancel() ended the thread that ran a "
			   "goroutine; goro_exit() ends a goroutine");
	if ((int)os_tid() != os_pid())
		return;
	gp->deferred = NULL;
	gp->panicking = NULL;
	goro_exit();
}

static void goro_at_thread_end(void *arg)
{
	struct m *mp = getm();

	if (mp != arg)
		return; /* the child of a fork */
	if (atomic_load_explicit(&mp->foreign, memory_order_relaxed))
		detach(mp);
	else
		goro_worker_ends(mp);
}

void goro_thread_ends_init(void)
{
	if (os_at_thread_end(goro_at_thread_end))
		goro_throw("no key left to see the end of threads by (PTHREAD_KEYS_MAX)");
}

static void prepare_g0(struct m *mp)
{
	if (!mp->own_stack)
		mp->own_stack = (void *)goro_worker_stack();
	if (!mp->own_stack)
		goro_throw("out of memory: a thread calls for the first time");
	mp->g0.stack_lo = (uintptr_t)mp->own_stack;
	mp->g0.stack_hi = mp->g0.stack_lo + WORKER_STACK;
	goro_g_prepare_stack(&mp->g0, mp->g0.stack_hi, goro_g0_main);
	san_fiber_create(&mp->g0.san);
}

static void prepare_g(struct m *mp, struct g *gp)
{
	gp->id = atomic_fetch_add_explicit(&sched.next_id, 1, memory_order_relaxed);
	os_thread_stack(&gp->stack_lo, &gp->stack_hi);
	mp->thread_stack_known = san_stack_new(gp->stack_lo, gp->stack_hi);
	g_set_sp(gp, gp->stack_hi);
	gp->entry = 0;
	gp->held_locks = 0;
	gp->rlocks[0] = gp->rlocks[1] = NULL;
	gp->rlocks_more = 0;
	gp->deferred = NULL;
	gp->panicking = NULL;
	san_fiber_of_thread(&gp->san);
	goro_ext_of(gp)->nlocks = 1;
	gp->ext->m = mp;
	g_set_parent(gp, 0);
	record_new(gp, 0);
	atomic_store_explicit(&gp->flags, GORO_FLAG_LOCKED | GORO_FLAG_FOREIGN,
			      memory_order_relaxed);
	/* Release: an observer that sees whose it is sees the rest. */
	atomic_store_explicit(&gp->state, GORO_STATE_RUNNING, memory_order_release);
	mp->curg = gp;
	mp->locked_g = gp;
}

struct m *goro_foreign_attach(void)
{
	struct m *mp;
	struct g *gp;

	if (!sched.sysmon_started)
		goro_sysmon_start();
	/* sysmon may still be asking the thread that had this record, which has ended. */
	lock_always(&sched.retake_lock);
	lock_always(&sched.lock);
	mp = goro_m_new();
	if (!mp) {
		bool full = goro_introspect.m_count >= M_MAX;

		unlock_always(&sched.lock);
		if (!full)
			goro_throw("out of memory: a thread calls for the first time");
		goro_throw("too many threads call: there are %u", M_MAX);
	}
	gp = goro_g_take();
	atomic_fetch_add(&sched.noutside, 1);
	atomic_store_explicit(&mp->lost_p, LOST_YES, memory_order_relaxed);
	atomic_store_explicit(&mp->foreign, true, memory_order_relaxed);
	unlock_always(&sched.lock);
	unlock_always(&sched.retake_lock);

	prepare_g0(mp);
	prepare_g(mp, gp);
	goro_m_init(mp);
	if (os_thread_watch(mp))
		goro_throw("out of memory: a thread calls for the first time");
	mp = goro_regain_p(mp);
	count_up(&mp->p->nspawn);
	leave(mp);
	return mp;
}

/* ---- who may come yet ------------------------------------------------------------------------ */

static bool is_ours(uint32_t tid)
{
	if (tid == __atomic_load_n(&sched.sysmon_tid, __ATOMIC_RELAXED) ||
	    tid == __atomic_load_n(&sched.reclaim_tid, __ATOMIC_RELAXED) || tid == goro_cold_tid())
		return true;
	for (uint32_t i = 0; i < goro_introspect.m_count; i++)
		if (__atomic_load_n(&goro_ms[i]->tid, __ATOMIC_RELAXED) == tid)
			return true;
	return false;
}

static uint32_t count_ours(void)
{
	uint32_t n = os_thread_lives(__atomic_load_n(&sched.sysmon_tid, __ATOMIC_RELAXED)) +
		     os_thread_lives(__atomic_load_n(&sched.reclaim_tid, __ATOMIC_RELAXED)) +
		     os_thread_lives(goro_cold_tid());

	for (uint32_t i = 0; i < goro_introspect.m_count; i++)
		n += os_thread_lives(__atomic_load_n(&goro_ms[i]->tid, __ATOMIC_RELAXED));
	return n;
}

bool goro_foreign_may_come(void)
{
	return os_other_threads(is_ours, count_ours);
}
