/* SPDX-License-Identifier: MIT */
/*
 * sched.c - what a worker does on its own stack: look for work, steal, give up its P, sleep.
 */
#include <string.h>

#include "pthreads.h"
#include "schedule.h"

enum { SPIN_NS = 10000, NEXT_AGE_NS = 3000 };

static void stop_spinning(struct m *mp)
{
	if (!mp->spinning)
		return;
	mp->spinning = false;
	/* The last one that looked has found something: there may be
	 * more, so another shall look. */
	if (atomic_fetch_sub(&sched.nspinning, 1) == 1)
		goro_wake_worker();
}

/*
 * Look at every other P, again and again for SPIN_NS. The goroutine in the slot in front of a P is
 * taken only after it has lain there untouched for NEXT_AGE_NS: its owner is about to run it. The
 * same goes for the ring, if what is there is not worth it otherwise.
 */
static struct g *steal_work(struct m *mp)
{
	struct {
		struct g *next;
		uint64_t nswitch;
		int64_t since;
	} seen[P_MAX];
	struct p *pp = mp->p;
	int n = atomic_load_explicit(&sched.nprocs, memory_order_relaxed);
	int64_t start = goro_now(), now = start;

	pp->nspin++;
	memset(seen, 0, (size_t)n * sizeof(seen[0]));
	do {
		int at = (int)(p_random(pp) % (uint64_t)n);

		for (int i = 0; i < n; i++, at = at + 1 == n ? 0 : at + 1) {
			struct p *victim = goro_ps[at];
			struct g *next, *gp;
			uint64_t nswitch;
			bool take_next = false;

			if (victim == pp)
				continue;
			if (atomic_load_explicit(&victim->timer_when, memory_order_relaxed) <=
			    now) {
				goro_timers_run(mp, victim, now);
				gp = runq_get(pp);
				if (gp)
					return gp;
			}
			next = atomic_load_explicit(&victim->runnext, memory_order_relaxed);
			nswitch = atomic_load_explicit(&victim->nswitch, memory_order_relaxed);
			if (next != seen[at].next || nswitch != seen[at].nswitch) {
				seen[at].next = next;
				seen[at].nswitch = nswitch;
				seen[at].since = now;
			} else if (now - seen[at].since >= NEXT_AGE_NS) {
				take_next = !runq_entangled(victim) &&
					    !goro_next_stays(victim, next, now);
			}
			if (!take_next && !runq_worth_stealing(victim))
				continue;
			gp = goro_runq_steal(pp, victim, take_next);
			if (gp) {
				pp->nsteal++;
				return gp;
			}
			if (take_next)
				seen[at].since = now; /* its owner is at it: not so soon again */
		}
		if (atomic_load_explicit(&sched.runq_len, memory_order_relaxed))
			return NULL;
		for (int i = 0; i < 16; i++)
			cpu_relax();
		now = goro_now();
	} while (now - start < SPIN_NS);
	return NULL;
}

/* What would have to be asked for may be left to it for now: see retake.c. */
static bool has_something(struct p *pp, int64_t now)
{
	return runq_ring_len(pp) || (!runq_empty(pp) && !goro_next_is_left(pp, now));
}

/* What is not worth stealing its P runs itself; if it does not, sysmon wakes us for it. */
static bool work_anywhere(void)
{
	int64_t now = goro_now();

	if (atomic_load_explicit(&sched.runq_len, memory_order_relaxed))
		return true;
	for (int i = 0; i < sched.nprocs; i++)
		if (runq_worth_stealing(goro_ps[i]) && has_something(goro_ps[i], now))
			return true;
	return false;
}

/*
 * Give up the P. Whoever publishes work looks at nspinning afterwards with plain loads; we lower it
 * and then look at the queues. The fence between the two that they lack is in our membarrier.
 */
static struct g *give_up_p(struct m *mp)
{
	struct p *pp = mp->p;
	struct g *gp;

	lock_always(&sched.lock);
	gp = goro_global_get(pp);
	if (gp || atomic_load_explicit(&pp->attention, memory_order_relaxed)) {
		unlock_always(&sched.lock);
		return gp;
	}
	mp->p = NULL;
	goro_idle_p_put(pp);
	unlock_always(&sched.lock);

	if (mp->spinning) {
		mp->spinning = false;
		atomic_fetch_sub(&sched.nspinning, 1);
	}
	os_membarrier();
	if (work_anywhere()) {
		lock_always(&sched.lock);
		pp = goro_idle_p_get();
		unlock_always(&sched.lock);
		if (pp) {
			goro_p_acquire(mp, pp);
			mp->spinning = true;
			atomic_fetch_add(&sched.nspinning, 1);
		}
	}
	return NULL;
}

/*
 * Sleep until somebody hands us a P. One of the sleepers, the time keeper, gets up for the next
 * timer if there is an idle P to run it with; when there is none, sysmon sees to the timers.
 */
static void sleep_without_p(struct m *mp)
{
	int64_t when, timeout = -1;
	struct g_chain ready = { 0 };
	bool poll;

	lock_always(&sched.lock);
	/* Under the lock: a P that has become idle had published its timers before. */
	when = goro_timers_next();
	if (when == INT64_MAX && goro_check_deadlock())
		timeout = sched.look_again;
	if (when != INT64_MAX && atomic_load(&sched.nidle_p) &&
	    (!sched.timekeeper || when < sched.timekeeper->sleep_until)) {
		sched.timekeeper = mp;
		mp->sleep_until = when;
		timeout = when - goro_now();
		timeout = timeout > 0 ? timeout : 0;
	}
	poll = goro_netpoll_waiters() && !sched.poller;
	if (poll) {
		sched.poller = mp;
	} else {
		atomic_store_explicit(&mp->futex, 0, memory_order_relaxed);
		mp->link = sched.idle_m;
		sched.idle_m = mp;
	}
	unlock_always(&sched.lock);

	if (poll)
		ready = goro_netpoll(timeout);
	else
		os_futex_wait(&mp->futex, 0, timeout);

	lock_always(&sched.lock);
	if (poll)
		sched.poller = NULL;
	mp->sleep_until = INT64_MAX;
	if (sched.timekeeper == mp)
		sched.timekeeper = NULL;
	if (!mp->next_p) { /* nobody woke us: time is up, or descriptors are ready */
		if (!poll)
			goro_idle_m_remove(mp);
		mp->next_p = goro_idle_p_get();
	}
	unlock_always(&sched.lock);
	goro_clock_advance();
	if (!mp->next_p) {
		goro_netpoll_inject(ready);
		return;
	}
	goro_p_acquire(mp, mp->next_p);
	mp->next_p = NULL;
	if (mp->next_g) /* it came with the P; then we did not poll */
		return;
	mp->next_g = goro_netpoll_take(mp, ready);
}

/* gp is locked to another thread: that one gets our P with it. */
static void give_p_to(struct m *mp, struct g *gp)
{
	struct p *pp = mp->p;

	stop_spinning(mp);
	lock_always(&sched.lock);
	mp->p = NULL;
	goro_pass_p(pp, gp);
}

static struct g *take_global(struct p *pp)
{
	struct g *gp;

	if (!atomic_load_explicit(&sched.runq_len, memory_order_relaxed))
		return NULL;
	lock_always(&sched.lock);
	gp = goro_global_get(pp);
	unlock_always(&sched.lock);
	return gp;
}

static struct g *take_polled(struct m *mp)
{
	return goro_netpoll_waiters() ? goro_netpoll_take(mp, goro_netpoll(0)) : NULL;
}

static void run_timers(struct m *mp)
{
	if (atomic_load_explicit(&mp->p->timer_when, memory_order_relaxed) != INT64_MAX)
		goro_timers_run(mp, mp->p, goro_now());
}

/* Looking elsewhere: at the other Ps, then once more while nobody else can change anything. */
static struct g *find_elsewhere(struct m *mp)
{
	struct g *gp = NULL;

	if (!mp->spinning) {
		uint32_t busy = (uint32_t)sched.nprocs - atomic_load(&sched.nidle_p);

		if (!sched.solo && 2 * atomic_load(&sched.nspinning) < busy) {
			mp->spinning = true;
			atomic_fetch_add(&sched.nspinning, 1);
		}
	}
	if (mp->spinning)
		gp = steal_work(mp);
	return gp ? gp : give_up_p(mp);
}

/* Somebody wants all Ps for a moment. */
static void stop_p(struct m *mp)
{
	if (mp->spinning) {
		mp->spinning = false;
		atomic_fetch_sub(&sched.nspinning, 1);
	}
	lock_always(&sched.lock);
	goro_idle_p_put(mp->p);
	mp->p = NULL;
	unlock_always(&sched.lock);
}

/* Block until there is a goroutine that we may run, with a P to run it. */
static struct g *find_runnable(struct m *mp)
{
	struct g *gp;

	for (;;) {
		if (!mp->p) {
			sleep_without_p(mp);
			gp = mp->next_g;
			mp->next_g = NULL;
			if (gp)
				return gp;
			continue;
		}
		atomic_store_explicit(&mp->p->attention, 0, memory_order_relaxed);
		if (unlikely(atomic_load_explicit(&sched.stopping, memory_order_relaxed))) {
			stop_p(mp);
			continue;
		}
		run_timers(mp);
		gp = take_global(mp->p);
		if (!gp)
			gp = runq_get(mp->p);
		if (!gp)
			gp = take_polled(mp);
		if (!gp)
			gp = find_elsewhere(mp);
		if (gp && unlikely(g_is_locked(gp)))
			give_p_to(mp, gp);
		else if (gp)
			return gp;
	}
}

/* The same for a goroutine that yields and may go on here: its own queue first, and no sleep. */
struct g *goro_find_now(struct m *mp)
{
	struct g *gp;

	run_timers(mp);
	gp = runq_get(mp->p);
	if (!gp)
		gp = take_global(mp->p);
	return gp ? gp : take_polled(mp);
}

/* Our goroutine is back from where it needed no P; `counter` is of those that are there. */
static void settle(struct m *mp, struct g *gp, _Atomic uint32_t *counter)
{
	struct p *pp;

	lock_always(&sched.lock);
	atomic_fetch_sub(counter, 1);
	g_set_state(gp, GORO_STATE_RUNNABLE, 0);
	pp = goro_idle_p_get();
	if (pp) {
		mp->next_g = gp;
	} else {
		goro_global_put(gp, gp, 1);
		if (mp->locked_g)
			goro_m_stop(mp);
	}
	unlock_always(&sched.lock);
	if (pp)
		goro_p_acquire(mp, pp);
}

/* Its P was taken away while it was in the program's code. */
static void settle_lost(struct m *mp, struct g *gp)
{
	atomic_store_explicit(&mp->lost_p, LOST_NO, memory_order_relaxed);
	settle(mp, gp,
	       atomic_load_explicit(&mp->foreign, memory_order_relaxed) ? &sched.noutside
									: &sched.nlost);
}

/* ---- blocking calls -------------------------------------------------------------------------- */

struct blocking_call {
	goro_fn *fn;
	void *arg;
};

/*
 * The goroutine is parked; its call runs here, on the thread's own stack, which is the bigger one.
 * in_runtime stays set, so sysmon leaves us alone. There is no m for the call to find: it must not
 * come back into the runtime, and is told so. Not inlined: `call` lies on the goroutine's stack,
 * and must not stay behind in a register of the loop's.
 */
static noinline void run_blocking(struct m *mp, struct g *gp)
{
	struct blocking_call *call = gp->wait_object;

	lock_always(&sched.lock);
	g_set_state(gp, GORO_STATE_WAITING, GORO_REASON_BLOCKING);
	atomic_fetch_add(&sched.nblocking, 1);
	goro_release_p(mp);
	goro_tls_m = NULL;
	goro_tls_blocking = true;
	call->fn(call->arg);
	goro_tls_blocking = false;
	goro_tls_m = mp;
	settle(mp, gp, &sched.nblocking);
}

void goro_blocking(goro_fn *fn, void *arg)
{
	struct m *mp = enter();
	struct blocking_call call = { fn, arg };

	if (unlikely(!fn))
		goro_throw("goro_blocking of nil func value");
	mp->curg->wait_object = &call;
	count_park(mp->curg);
	mp->post = POST_BLOCKING;
	mp = switch_to(mp, mp->curg, &mp->g0);
	leave(mp);
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* What a worker does on its own stack: for ever, but for one whose goroutine took it along. */
void goro_schedule(struct m *mp)
{
	for (;;) {
		struct g *gp;

		if (mp->post == POST_LOST) {
			mp->post = POST_NONE;
			settle_lost(mp, mp->post_g);
		} else if (mp->post == POST_BLOCKING) {
			mp->post = POST_NONE;
			run_blocking(mp, mp->post_g);
		} else if (mp->post == POST_YIELD) {
			mp->post = POST_NONE;
			goro_locked_yield(mp, mp->post_g);
		}
		if (unlikely(sched.pthreads))
			goro_pthread_say(mp);
		if (unlikely(mp->locked_g)) {
			gp = goro_locked_next(mp);
			if (!gp)
				return;
		} else {
			gp = mp->next_g;
			mp->next_g = NULL;
			if (!gp)
				gp = find_runnable(mp);
		}
		while (unlikely(atomic_load_explicit(&sched.dying, memory_order_relaxed)))
			os_sleep(GORO_SECOND); /* nothing moves while a report is written */
		stop_spinning(mp);
		if (unlikely(mp->p->slice_begin))
			mp->p->slice_begin = os_now(); /* it looked, or slept, meanwhile */
		g_set_running(mp, gp);
		mp->post = POST_NONE;
		switch_to(mp, &mp->g0, gp);
		context_forget();
	}
}

void goro_g0_main(void *unused)
{
	struct m *mp = getm();

	(void)unused;
	san_after_switch(&mp->g0.san);
	after_switch(mp);
	goro_schedule(mp);
}

static void wait_while_asked(struct m *mp)
{
	for (int i = 0; atomic_load_explicit(&mp->lost_p, memory_order_acquire) == LOST_ASKED;
	     i++) {
		if (i < 100)
			cpu_relax();
		else if (unlikely(atomic_load_explicit(&sched.dying, memory_order_relaxed)))
			os_sleep(GORO_SECOND);
		else
			os_sched_yield();
	}
}

/*
 * enter() saw that somebody wants our P, or what is next on it, or that sysmon has it. We have not
 * done anything yet: as long as somebody asks we are outside, or who calls in a loop would hardly
 * ever be found there. Then the same as in enter() again.
 */
struct m *goro_regain_p(struct m *mp)
{
	uint32_t lost;

	while ((lost = atomic_load_explicit(&mp->lost_p, memory_order_acquire)) == LOST_ASKED) {
		atomic_store_explicit(&mp->in_runtime, 0, memory_order_release);
		wait_while_asked(mp);
		atomic_store_explicit(&mp->in_runtime, 1, memory_order_relaxed);
		barrier();
	}
	if (lost == LOST_NO)
		return mp; /* it saw that we are in the runtime and let go */
	count_park(mp->curg);
	mp->post = POST_LOST;
	return switch_to(mp, mp->curg, &mp->g0);
}
