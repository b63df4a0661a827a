/* SPDX-License-Identifier: MIT */
/*
 * sysmon.c - the thread that watches the workers; it needs no P.
 *
 *   - takes the P away from a worker whose goroutine has computed, or sat in a system call, for
 *     10 ms while something else waits, and gives it to another worker. The kernel then shares
 *     the cores between the two threads, and the goroutine queues for a P at its next call of the
 *     runtime: see retake.c;
 *   - wakes a worker when a goroutine that was made ready "next" is not run by its P after all;
 *   - measures how long goroutines run at a time on each P, so that tiny ones stay together;
 *   - measures how long each P waits for locks, so that those stay together that share too much;
 *   - tells busy Ps that a timer is due, and moves the coarse clock;
 *   - gives back memory that nobody wants any more: see scavenge.c, and cold.c.
 *
 * It sleeps 20 us at first and up to 1 ms when nothing happens; when no P runs it sleeps until one
 * does.
 */
#include "schedule.h"

enum {
	TICK_MIN_NS = 20 * 1000,
	TICK_MAX_NS = 1000 * 1000,
	HOG_NS = 10 * 1000 * 1000,
	QUIET_TICKS = 50, /* before ticks get longer */
	EAGER_READIES = 100,
	ENTANGLED_PERCENT = 14, /* of the time spent on waiting for locks */
	ENTANGLED_MIN_NS = 20 * 1000 * 1000,
	ENTANGLED_MAX_NS = 80 * 1000 * 1000,
	UNTANGLE_NS = 100 * 1000,
	SPREAD_NS = 1000, /* a run slice that is worth a move to another core */
};

void goro_sysmon_wake(void)
{
	if (atomic_exchange(&sched.sysmon_futex, 0))
		os_futex_wake(&sched.sysmon_futex, 1);
}

/* Is there anything that the P could do if it were free? */
static bool something_waits(struct p *pp, int64_t now)
{
	return !runq_empty(pp) || atomic_load_explicit(&sched.runq_len, memory_order_relaxed) ||
	       goro_timers_next() <= now;
}

/*
 * The average run slice since the last tick. A pair of goroutines that exchange messages every 20
 * ns is several times slower on two cores than on one; goroutines that work for 5 us are not.
 */
static void measure_slices(struct p *pp, uint64_t nswitch, int64_t now)
{
	uint64_t n = nswitch - pp->tick_nswitch;
	bool tiny = n >= 16 && now - pp->tick_time < (int64_t)n * SPREAD_NS;

	atomic_store_explicit(&pp->spread, !tiny, memory_order_relaxed);
	pp->tick_nswitch = nswitch;
	pp->tick_time = now;
}

/*
 * Goroutines on two cores that use the same channel all the time are up to ten times slower than on
 * one: they wait for its lock, and each use waits for its memory to come from the other core. The
 * first can be measured, and says when it is so: with four producers and four consumers that work
 * 250 ns for each message two cores are as fast as one, and wait for locks 11 % of the time. (Time
 * alone told the two apart. Uses that came from another P, and steals, are as many where a second
 * core is a gain.) Then nobody steals from this P for a while, and what is woken goes to who wakes
 * it, until all are on one. Now and then, less and less often, it is tried anew; or at once when
 * one of them computes for longer.
 */
static void measure_locks(struct p *pp, uint64_t nswitch, int64_t now)
{
	uint64_t waited = atomic_load_explicit(&pp->lock_ticks, memory_order_relaxed);
	uint64_t clock = cpu_ticks();

	if ((waited - pp->tick_lock_ticks) * 100 > (clock - pp->tick_clock) * ENTANGLED_PERCENT) {
		if (now < pp->entangled_until)
			; /* they are coming together */
		else if (now - pp->entangled_until < ENTANGLED_MIN_NS)
			pp->entangled_for = 2 * pp->entangled_for < ENTANGLED_MAX_NS
						    ? 2 * pp->entangled_for
						    : ENTANGLED_MAX_NS;
		else
			pp->entangled_for = ENTANGLED_MIN_NS;
		pp->entangled_until = now + pp->entangled_for;
	} else if (nswitch == pp->seen_nswitch && now - pp->seen_time > UNTANGLE_NS) {
		pp->entangled_until = 0;
	}
	pp->tick_lock_ticks = waited;
	pp->tick_clock = clock;
	atomic_store_explicit(&pp->entangled, now < pp->entangled_until, memory_order_relaxed);
}

/*
 * How long a P may be in the program's code. A thread of the program's own that has come back from
 * a call may be away for ever: nobody waits for its P longer than a tick, and when nobody does it
 * is put aside a while later, so that all may sleep.
 */
static bool overdue(struct p *pp, int64_t now)
{
	struct m *mp = atomic_load_explicit(&pp->m, memory_order_acquire);
	int64_t since = now - pp->seen_time;

	if (since < TICK_MIN_NS || !mp)
		return false;
	if (atomic_load_explicit(&mp->foreign, memory_order_relaxed))
		return !atomic_load_explicit(&mp->in_runtime, memory_order_relaxed) &&
		       (since >= HOG_NS || something_waits(pp, now));
	return since >= HOG_NS && something_waits(pp, now);
}

/* One look at one P. True: something was done about it. */
static bool watch(struct p *pp, int64_t now)
{
	uint64_t nswitch = atomic_load_explicit(&pp->nswitch, memory_order_relaxed);
	struct g *next = atomic_load_explicit(&pp->runnext, memory_order_relaxed);
	uint32_t head = atomic_load_explicit(&pp->runq_head, memory_order_relaxed);
	bool acted = false, stalled = head == pp->tick_head;

	measure_slices(pp, nswitch, now);
	measure_locks(pp, nswitch, now);
	pp->tick_head = head;
	if (atomic_load_explicit(&pp->status, memory_order_relaxed) != P_RUNNING) {
		pp->seen_nswitch = nswitch;
		pp->seen_time = now;
		return false;
	}
	if (atomic_load_explicit(&pp->timer_when, memory_order_relaxed) <= now) {
		atomic_store_explicit(&pp->attention, 1, memory_order_relaxed);
		goro_wake_worker();
	}
	if (next && !runq_entangled(pp) && next == pp->seen_runnext &&
	    nswitch == pp->seen_runnext_switch &&
	    atomic_load_explicit(&sched.nidle_p, memory_order_relaxed) &&
	    !goro_next_stays(pp, next, now)) {
		atomic_store_explicit(&pp->eager, EAGER_READIES, memory_order_relaxed);
		goro_wake_worker();
		acted = true;
	}
	pp->seen_runnext = next;
	pp->seen_runnext_switch = nswitch;
	if (nswitch != pp->seen_nswitch) {
		pp->seen_nswitch = nswitch;
		pp->seen_time = now;
	} else {
		record_mark_due(pp); /* it has no turns: see measure.c */
		if (overdue(pp, now))
			acted |= goro_retake(pp);
	}
	/* The backstop for a wake-up that was left out because a worker seemed to be looking. */
	if (!runq_ring_empty(pp) && (stalled || runq_worth_stealing(pp)))
		goro_wake_worker();
	return acted;
}

static bool all_idle(void)
{
	return atomic_load(&sched.nidle_p) == (uint32_t)sched.nprocs &&
	       !atomic_load(&sched.nlost) &&
	       !atomic_load_explicit(&sched.stranded, memory_order_relaxed);
}

/* Nothing runs: sleep until a P is taken again, or there is something to tidy up. */
static void sleep_deep(int64_t until)
{
	int64_t now = goro_now();

	lock_always(&sched.lock);
	if (all_idle())
		atomic_store(&sched.sysmon_futex, 1);
	unlock_always(&sched.lock);
	while (atomic_load(&sched.sysmon_futex) && !atomic_load(&sched.quit_asked) && now < until) {
		os_futex_wait(&sched.sysmon_futex, 1, until == INT64_MAX ? -1 : until - now);
		now = goro_now();
	}
	atomic_store(&sched.sysmon_futex, 0);
}

static int64_t next_tick(int64_t tick, int64_t now)
{
	int64_t timer = goro_timers_next();

	/* One that is overdue was told to its P just now; looking more often does not help it. */
	if (timer > now && timer - now < tick)
		tick = timer - now;
	return tick > TICK_MIN_NS ? tick : TICK_MIN_NS;
}

static void sysmon(void *unused)
{
	int64_t tick = TICK_MIN_NS;
	int quiet = 0, idle = 0;

	(void)unused;
	__atomic_store_n(&sched.sysmon_tid, os_tid(), __ATOMIC_RELAXED);
	for (;;) {
		int64_t now = goro_clock_advance(), tidy, cold;
		bool acted = false;

		if (atomic_load(&sched.quit_asked))
			goro_die_quit(NULL);
		while (atomic_load(&sched.dying))
			os_sleep(GORO_SECOND);
		for (int i = 0; i < sched.nprocs; i++)
			acted |= watch(goro_ps[i], now);
		goro_netpoll_backstop((uint64_t)now);
		if (unlikely(atomic_load_explicit(&sched.stranded, memory_order_relaxed)))
			goro_start_stranded();
		tidy = goro_scavenge(now, all_idle());
		cold = goro_cold_tick(now);
		tidy = cold < tidy ? cold : tidy;
		quiet = acted ? 0 : quiet + 1;
		if (acted)
			tick = TICK_MIN_NS;
		else if (quiet > QUIET_TICKS)
			tick = tick * 2 < TICK_MAX_NS ? tick * 2 : TICK_MAX_NS;
		idle = all_idle() ? idle + 1 : 0;
		if (idle > 10) {
			sleep_deep(tidy);
			idle = all_idle() ? idle : 0;
			quiet = 0;
			tick = TICK_MIN_NS;
			continue;
		}
		os_sleep(next_tick(tick, now));
	}
}

static uint32_t start_lock;

bool goro_sysmon_unknown(void)
{
	return !__atomic_load_n(&start_lock, __ATOMIC_ACQUIRE) && !sched.sysmon_started;
}

void goro_sysmon_start(void)
{
	lock_always(&start_lock);
	if (!sched.sysmon_started) {
		int err;

		goro_sanitizer_check();
		err = goro_thread_start(sysmon, NULL, true);
		if (err)
			goro_throw("cannot start a thread: error %d; "
				   "is the limit on processes (ulimit -u, pids.max) reached?",
				   -err);
		goro_cold_start();
		sched.sysmon_started = true;
		goro_reclaim_start();
	}
	unlock_always(&start_lock);
}
