/* SPDX-License-Identifier: MIT */
/*
 * Which goroutines stay together, and which are spread over the workers: sysmon.c says so of each
 * P, and the run queues do it. No clock decides here whether that is right. This program is linked
 * with a sysmon.c of its own, whose thread never starts: what it would measure is made up, and
 * where goroutines run is told by themselves, and by the counters of the Ps.
 */
#include <pthread.h>

#include "schedule.h"
#include "stress.h"

void goro_sysmon_start_for_real(void);
#define goro_sysmon_start goro_sysmon_start_for_real
#include "sysmon.c" /* NOLINT(bugprone-suspicious-include) */
#undef goro_sysmon_start

void goro_sysmon_start(void)
{
	sched.sysmon_started = true;
}

enum { WORKERS = 4, RING = 16, TOKENS = 8, STEPS = 200000 };

/* ---- what sysmon makes of what it measures -----------------------------------------------------
 */

/* So much longer than the test takes that what passes by meanwhile is nothing. */
#define LONG ((uint64_t)1 << 50)

/* A tick in which a P waited for locks for so many percent of the time; it switches or computes. */
static bool tick(struct p *pp, int64_t now, uint64_t percent, bool switches)
{
	uint64_t nswitch = pp->seen_nswitch + switches;

	pp->tick_clock = cpu_ticks() - LONG;
	pp->tick_lock_ticks = 0;
	atomic_store_explicit(&pp->lock_ticks, LONG / 100 * percent, memory_order_relaxed);
	measure_locks(pp, nswitch, now);
	if (switches) {
		pp->seen_nswitch = nswitch;
		pp->seen_time = now;
	}
	return runq_entangled(pp);
}

static void test_policy(void)
{
	static struct p p; /* like one that has just begun */
	const int64_t ms = GORO_MILLISECOND;
	int64_t now = 1000 * ms;

	/* Two cores are a gain up to here. */
	must(!tick(&p, now, 0, true) && !tick(&p, now, 11, true));
	must(runq_worth_stealing(&p) == false); /* nothing there, and it is not told to spread */
	atomic_store(&p.spread, 1);
	must(runq_worth_stealing(&p));

	/* From here they are not: for 20 ms, while they come together,
	 * and then it is tried anew. */
	must(tick(&p, now, 20, true));
	must(!runq_worth_stealing(&p));
	must(tick(&p, now + 19 * ms, 0, true));
	must(!tick(&p, now + 21 * ms, 0, true));
	must(runq_worth_stealing(&p));

	/* In vain: each time for longer, up to a limit. */
	now += 22 * ms;
	must(tick(&p, now, 50, true) && tick(&p, now + 39 * ms, 0, true));
	must(!tick(&p, now + 41 * ms, 0, true));
	now += 42 * ms;
	must(tick(&p, now, 50, true) && tick(&p, now + 79 * ms, 0, true));
	must(!tick(&p, now + 81 * ms, 0, true));
	now += 82 * ms;
	must(tick(&p, now, 50, true) && !tick(&p, now + 81 * ms, 0, true));

	/* Long after that it is forgotten; and one that computes is let go at once. */
	now += 1000 * ms;
	must(tick(&p, now, 50, true) && !tick(&p, now + 21 * ms, 0, true));
	now += 1000 * ms;
	must(tick(&p, now, 50, true) && tick(&p, now + 50 * 1000, 0, false));
	must(!tick(&p, now + 150 * 1000, 0, false));
}

/* Who was woken for a mutex is left in front of a P whose goroutine calls all the time. */
static void test_next_stays(void)
{
	static struct p p;
	static struct m m;
	static struct g for_mutex, other;
	const int64_t ms = GORO_MILLISECOND;
	int64_t now = 1000 * ms;

	atomic_store(&p.m, &m);
	atomic_store(&p.mutex_next, &for_mutex);
	atomic_store(&m.in_runtime, 1);
	must(!goro_next_stays(&p, &other, now) && !goro_next_stays(&p, NULL, now));
	must(goro_next_stays(&p, &for_mutex, now));
	must(goro_next_is_left(&p, now + ms - 1) && !goro_next_is_left(&p, now + ms));
	/* One that computes keeps nobody. */
	atomic_store(&m.in_runtime, 0);
	must(!goro_next_stays(&p, &for_mutex, now + ms));
}

/* ---- where goroutines run then -----------------------------------------------------------------
 */

static void tell_all(bool entangled)
{
	for (int i = 0; i < WORKERS; i++) {
		atomic_store(&goro_ps[i]->spread, 1);
		atomic_store(&goro_ps[i]->entangled, entangled);
	}
}

static uint32_t here(void)
{
	struct m *mp = enter();
	uint32_t id = mp->p->id;

	leave(mp);
	return id;
}

static uint64_t stolen(void)
{
	uint64_t n = 0;

	for (int i = 0; i < WORKERS; i++)
		n += __atomic_load_n(&goro_ps[i]->nsteal, __ATOMIC_RELAXED);
	return n;
}

static atomic_int arrived;
static atomic_uint places; /* a bit for each P */

/* Ends only when as many as there are workers run at the same time. */
static void meet(void *wg)
{
	atomic_fetch_add(&arrived, 1);
	while (atomic_load(&arrived) < WORKERS)
		cpu_relax();
	atomic_fetch_or(&places, 1u << here());
	goro_waitgroup_done(wg);
}

/* What sysmon does for wake-ups that were left out; the flags stay as they are. */
static void *wake_now_and_then(void *over)
{
	while (!atomic_load((atomic_bool *)over)) {
		goro_wake_worker();
		os_sleep(100 * 1000);
	}
	return NULL;
}

static void test_spread(void)
{
	goro_waitgroup wg = { 0 };
	atomic_bool over = false;
	pthread_t thread;

	tell_all(false);
	atomic_store(&arrived, 0);
	atomic_store(&places, 0);
	must(!pthread_create(&thread, NULL, wake_now_and_then, &over));
	goro_waitgroup_add(&wg, WORKERS);
	for (int i = 0; i < WORKERS; i++)
		go(meet, &wg);
	goro_waitgroup_wait(&wg);
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	must(atomic_load(&places) == (1u << WORKERS) - 1);
}

static goro_chan *rings[RING]; /* from each to the next */
static atomic_int tokens;

static atomic_uint children, elsewhere, home;

static void child(void *wg)
{
	atomic_fetch_add(&children, 1);
	if (here() != atomic_load(&home))
		atomic_fetch_add(&elsewhere, 1);
	goro_waitgroup_done(wg);
}

/* Pass tokens on: each says how many steps it has left. Now and then one starts a goroutine. */
static void pass_on(void *wg)
{
	static atomic_uint seats;
	unsigned me = atomic_fetch_add(&seats, 1) % RING;
	int left;

	while (goro_chan_recv(rings[me], &left)) {
		if (here() != atomic_load(&home))
			atomic_fetch_add(&elsewhere, 1);
		if (left % 1024 == 0) {
			goro_waitgroup_add(wg, 1);
			go(child, wg);
		}
		if (left--)
			goro_chan_send(rings[(me + 1) % RING], &left);
		else if (atomic_fetch_sub(&tokens, 1) == 1)
			for (int i = 0; i < RING; i++)
				goro_chan_close(rings[i]);
	}
	goro_waitgroup_done(wg);
}

static void test_together(void)
{
	goro_waitgroup wg = { 0 };
	int left = STEPS / STRESS_SLOW;
	uint64_t steals;

	tell_all(true);
	atomic_store(&home, here());
	atomic_store(&elsewhere, 0);
	atomic_store(&children, 0);
	atomic_store(&tokens, TOKENS);
	steals = stolen();
	goro_waitgroup_add(&wg, RING);
	for (int i = 0; i < RING; i++)
		rings[i] = goro_chan_of(int, TOKENS);
	for (int i = 0; i < RING; i++)
		go(pass_on, &wg);
	for (int i = 0; i < TOKENS; i++)
		goro_chan_send(rings[0], &left);
	goro_waitgroup_wait(&wg);
	must(here() == atomic_load(&home)); /* we, too, were woken by one of them */
	must(atomic_load(&children) > 0);
	must(atomic_load(&elsewhere) == 0);
	must(stolen() == steals);
	for (int i = 0; i < RING; i++)
		goro_chan_free(rings[i]);
}

int main(void)
{
	must(goro_maxprocs() == WORKERS);
	test_policy();
	test_next_stays();
	for (int i = 0; i < 3; i++) {
		test_spread();
		test_together();
	}
	puts("entangled goroutines stay on one P, others are spread");
	return 0;
}
