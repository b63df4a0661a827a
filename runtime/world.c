/* SPDX-License-Identifier: MIT */
/*
 * world.c - goro_set_maxprocs(): all Ps in one hand for a moment, then more of them or fewer.
 *
 * Whoever has all Ps knows that nobody is in the runtime, but for those few places that need no P
 * and take sched.lock instead: pollers, sleepers, returns from blocking calls. So queues and timers
 * may be moved without their locks, and the mode without locks (sched.solo) may begin or end: no
 * lock that depends on it is held while its holder has no P.
 *
 * How it gets them. sched.stopping is set under sched.lock; from then on a P that is given up, for
 * whatever reason, goes to us and not to the idle list or to another worker. A worker in the
 * scheduler sees the flag and gives its P up; `attention` sends one there whose goroutine parks or
 * yields; and one that is in the program's own code loses its P as to sysmon. A P that is on its
 * way to a worker that wakes up just then belongs to nobody: it arrives, and is asked for like the
 * others. Nothing of this can be missed, because we ask again until we have them all.
 *
 * (Go stops the world in the same three ways; what is a signal there is membarrier here.) A flag
 * that each enter() looks at was rejected: it would cost each call something for a thing that
 * happens once or twice in the life of a process.
 *
 * P records stay where they are when they are not used any more, so observers and thieves that have
 * just looked at the number of Ps read a valid one. Its counters move to another P, so that
 * nothing is forgotten.
 */
#include "schedule.h"

enum { ASK_AGAIN_NS = 20 * 1000 };

static goro_mutex one_at_a_time;

/* ---- stop and start ---------------------------------------------------------------------------
 */

static bool have_all(void)
{
	bool all;

	lock_always(&sched.lock);
	all = sched.nstopped == (uint32_t)sched.nprocs - 1;
	unlock_always(&sched.lock);
	return all;
}

static void stop_world(struct m *mp)
{
	struct p *pp;

	lock_always(&sched.lock);
	atomic_store(&sched.stopping, true);
	while ((pp = sched.idle_p)) {
		sched.idle_p = pp->link;
		san_acquire(pp);
		goro_idle_p_put(pp);
	}
	atomic_store(&sched.nidle_p, 0);
	unlock_always(&sched.lock);

	while (!have_all()) {
		for (int i = 0; i < sched.nprocs; i++) {
			pp = goro_ps[i];
			if (pp == mp->p || atomic_load(&pp->status) != P_RUNNING)
				continue;
			atomic_store_explicit(&pp->attention, 1, memory_order_relaxed);
			goro_retake(pp);
		}
		os_sleep(ASK_AGAIN_NS);
	}
	for (int i = 0; i < sched.nprocs; i++)
		san_acquire(goro_ps[i]);
}

static void start_world(struct m *mp)
{
	struct p *busy = NULL, *pp;

	lock_always(&sched.lock);
	atomic_store(&sched.stopping, false);
	sched.nstopped = 0;
	for (int i = sched.nprocs - 1; i >= 0; i--) {
		pp = goro_ps[i];
		if (pp == mp->p)
			continue;
		if (runq_empty(pp)) {
			goro_idle_p_put(pp);
		} else {
			san_release(pp);
			pp->link = busy;
			busy = pp;
		}
	}
	unlock_always(&sched.lock);
	while ((pp = busy)) {
		busy = pp->link;
		lock_always(&sched.lock);
		goro_start_m(pp, false, NULL);
	}
	/* One looks at what has come meanwhile, and sleeps until the
	 * next timer if it is nothing. */
	goro_wake_worker();
}

/* ---- while it stands still ---------------------------------------------------------------------
 */

static void grow(int from, int to)
{
	for (int i = from; i < to; i++)
		if (!goro_ps[i] && !goro_p_new((uint32_t)i))
			goro_throw("out of memory: goro_set_maxprocs(%d)", to);
}

/* sched.lock held. */
static void empty_queues(struct p *pp)
{
	struct g *gp;

	while ((gp = runq_take_next(pp)) || (gp = runq_take_ring(pp)))
		goro_global_put(gp, gp, 1);
	goro_g_flush_locked(pp);
}

static void move_counter(uint64_t *from, uint64_t *to)
{
	/* First here, then not there: who adds up meanwhile counts twice, not never. */
	__atomic_store_n(to, *to + *from, __ATOMIC_RELEASE);
	__atomic_store_n(from, 0, __ATOMIC_RELEASE);
}

static void move_counters(struct p *from, struct p *to)
{
	atomic_fetch_add(&to->nswitch, atomic_exchange(&from->nswitch, 0));
	move_counter(&from->nspawn, &to->nspawn);
	move_counter(&from->nexit, &to->nexit);
	move_counter(&from->nyield, &to->nyield);
	move_counter(&from->nsteal, &to->nsteal);
	move_counter(&from->nretake, &to->nretake);
	move_counter(&from->nspin, &to->nspin);
	for (uint32_t i = 0; i < P_NBUCKETS; i++) {
		move_counter(&from->slices[i], &to->slices[i]);
		move_counter(&from->latencies[i], &to->latencies[i]);
	}
}

/* pp is not used any more; what it has goes to all, and to `heir` what must have a P. */
static void retire(struct p *pp, struct p *heir)
{
	lock_always(&sched.lock);
	empty_queues(pp);
	atomic_store_explicit(&pp->m, NULL, memory_order_release);
	atomic_store_explicit(&pp->status, P_STOPPED, memory_order_release);
	unlock_always(&sched.lock);
	goro_stack_flush(pp, 0);
	goro_timers_move(pp, heir);
	move_counters(pp, heir);
	san_release(pp);
}

static void resize(struct m *mp, int n)
{
	int was = sched.nprocs;

	grow(was, n);
	if (mp->p->id >= (uint32_t)n) {
		goro_p_acquire(mp, goro_ps[0]);
		if (mp->locked_g)
			atomic_store_explicit(&mp->p->attention, 1, memory_order_relaxed);
	}
	for (int i = n; i < was; i++)
		retire(goro_ps[i], mp->p);
	/* Under the lock: the check for deadlock compares it with the idle ones. */
	lock_always(&sched.lock);
	atomic_store(&sched.nprocs, n);
	sched.solo = n == 1;
	sched.own_next = sched.solo || sched.have_membarrier;
	__atomic_store_n(&goro_introspect.p_count, (uint32_t)n, __ATOMIC_RELEASE);
	unlock_always(&sched.lock);
}

void goro_world_still(void (*fn)(struct m *mp, void *arg), void *arg)
{
	struct m *mp;

	goro_mutex_lock(&one_at_a_time);
	mp = enter();
	stop_world(mp);
	fn(mp, arg);
	start_world(mp);
	leave(mp);
	goro_mutex_unlock(&one_at_a_time);
}

int goro_set_maxprocs(int n)
{
	struct m *mp;
	int was;

	if (n <= 0)
		return goro_maxprocs();
	n = n < (int)P_MAX ? n : (int)P_MAX;
	goro_mutex_lock(&one_at_a_time);
	mp = enter();
	was = sched.nprocs;
	if (n != was) {
		/* It takes Ps from those who compute, also after us. */
		if (!sched.sysmon_started)
			goro_sysmon_start();
		stop_world(mp);
		resize(mp, n);
		start_world(mp);
	}
	leave(mp);
	goro_mutex_unlock(&one_at_a_time);
	return was;
}
