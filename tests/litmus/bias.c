/* SPDX-License-Identifier: MIT */
/*
 * A lock that is biased to one P (bias.h), and is taken back by the others all the time. Whoever
 * has it, inside of a bias or by the lock, changes two plain counters one after the other: two that
 * have it at once would tell, and so would an increment that is lost.
 *
 * Then the same through a mutex, whose policy makes it rare: what the mutex keeps is written inside
 * too, so that a goroutine that is never woken would be a test that never ends. And through a
 * waitgroup: one that counts wrong panics, or its waiters are never woken.
 */
#include <stddef.h>

#include "schedule.h"
#include "stress.h"
#include "sync.h"

enum { GOROUTINES = 6 };

static struct shared {
	uint32_t lock __attribute__((aligned(CACHE_LINE)));
	uint64_t a, b; /* under it */
	goro_mutex mu __attribute__((aligned(CACHE_LINE)));
	uint64_t c, d;
	goro_waitgroup work __attribute__((aligned(CACHE_LINE)));
} shared;

static atomic_bool stop;
static atomic_ulong rounds, inside, mutex_rounds, times_waited;

struct life {
	goro_waitgroup *wg;
	uint64_t random;
};

static void change(uint64_t *a, uint64_t *b, uint64_t pause)
{
	uint64_t n = *a;

	must(*b == n);
	*a = n + 1;
	barrier();
	for (volatile uint64_t k = pause; k; k--)
		;
	must(*b == n && *a == n + 1);
	*b = n + 1;
}

/* One change. Who takes the lock gives it to its P now and then, as if it had earned it. */
static bool live_once(struct life *life)
{
	struct m *mp = enter();
	struct shared *s = &shared;
	bool was_inside = bias_begin(mp->p, &s->lock);

	if (was_inside) {
		change(&s->a, &s->b, stress_random(&life->random) % 4);
		bias_end(mp->p);
	} else {
		bias_lock(&s->lock);
		change(&s->a, &s->b, stress_random(&life->random) % 4);
		if (stress_random(&life->random) % 4 == 0)
			goro_bias_give(mp->p, &s->lock);
		else
			unlock(&s->lock);
	}
	leave(mp);
	return was_inside;
}

static void live(void *arg)
{
	struct life *life = arg;
	uint64_t n = 0, nin = 0;

	while (!stop) {
		/* Inside for long, so that the others come in the midst of it; then let them. */
		for (uint64_t k = stress_random(&life->random) % 500; k; k--, n++)
			nin += live_once(life);
		for (volatile uint64_t k = stress_random(&life->random) % 5000; k; k--)
			;
		if (stress_random(&life->random) % 64 == 0)
			goro_yield();
	}
	atomic_fetch_add(&rounds, n);
	atomic_fetch_add(&inside, nin);
	goro_waitgroup_done(life->wg);
}

static void live_by_mutex(void *arg)
{
	struct life *life = arg;
	uint64_t n = 0;

	while (!stop) {
		for (uint64_t k = stress_random(&life->random) % 3000; k; k--) {
			if (k % 8)
				goro_mutex_lock(&shared.mu);
			else if (!goro_mutex_try_lock(&shared.mu))
				continue;
			change(&shared.c, &shared.d, k % 4);
			goro_mutex_unlock(&shared.mu);
			n++;
		}
		goro_sleep((int64_t)(stress_random(&life->random) % 200) * GORO_MICROSECOND);
	}
	atomic_fetch_add(&mutex_rounds, n);
	goro_waitgroup_done(life->wg);
}

static void live_by_waitgroup(void *arg)
{
	struct life *life = arg;

	while (!stop) {
		int n = (int)(stress_random(&life->random) % 3000);

		goro_waitgroup_add(&shared.work, n);
		for (int k = 0; k < n; k++)
			goro_waitgroup_done(&shared.work);
		goro_sleep((int64_t)(stress_random(&life->random) % 200) * GORO_MICROSECOND);
	}
	goro_waitgroup_done(life->wg);
}

static void wait_for_work(void *arg)
{
	while (!stop) {
		goro_waitgroup_wait(&shared.work);
		atomic_fetch_add(&times_waited, 1);
		goro_sleep(50 * GORO_MICROSECOND);
	}
	goro_waitgroup_done(arg);
}

static bool is_biased(goro_mutex *mu)
{
	return __atomic_load_n(&mu->lock_, __ATOMIC_RELAXED) > 1;
}

static void lock_and_unlock(goro_mutex *mu)
{
	goro_mutex_lock(mu);
	must(mu->owner_ == goro_id() && !goro_mutex_try_lock(mu));
	goro_mutex_unlock(mu);
	must(mu->owner_ == 0 && goro_mutex_try_lock(mu));
	goro_mutex_unlock(mu);
}

/* So many times until it is biased. (Two each time round; our P may be taken away meanwhile.) */
static uint32_t times_to_bias(goro_mutex *mu)
{
	uint32_t n = 0;

	for (; !is_biased(mu); n += 2) {
		lock_and_unlock(mu);
		must(n < 100 * (BIAS_FIRST << 2 * BIAS_TIMES));
	}
	lock_and_unlock(mu);
	return n;
}

/* So is a waitgroup's lock; whoever waits undoes it, and finds what was counted. */
static void test_waitgroup(void)
{
	static goro_waitgroup wg;

	for (uint32_t n = 0; __atomic_load_n(&wg.lock_, __ATOMIC_RELAXED) <= 1; n++) {
		goro_waitgroup_add(&wg, 1);
		must(wg.count_ == 1);
		goro_waitgroup_done(&wg);
		must(wg.count_ == 0 && n < 1000 * BIAS_FIRST);
	}
	goro_waitgroup_add(&wg, 1);
	goro_waitgroup_done(&wg);
	goro_waitgroup_wait(&wg);
	must(wg.lock_ != 1);
}

/* When one P has used it for long enough: longer when that was in vain before. */
static void test_policy(void)
{
	static goro_mutex mu, once, often;

	must(times_to_bias(&mu) >= BIAS_FIRST);
	goro_mutex_undone(&once);
	must(times_to_bias(&once) >= BIAS_FIRST << 2);
	for (int i = 0; i < BIAS_TIMES + 100; i++)
		goro_mutex_undone(&often);
	must(times_to_bias(&often) >= BIAS_FIRST << 2 * BIAS_TIMES);
}

static uint64_t sum_of(size_t offset)
{
	uint64_t sum = 0;

	for (int i = 0; i < sched.nprocs; i++)
		sum += __atomic_load_n((uint64_t *)((char *)goro_ps[i] + offset), __ATOMIC_RELAXED);
	return sum;
}

int main(int argc, char **argv)
{
	int64_t end = stress_end(argc, argv);
	goro_waitgroup wg = { 0 };
	uint64_t undone;

	if (!sched.have_membarrier) {
		puts("skipped: the kernel has no membarrier here, so no lock is ever biased");
		return 77;
	}
	must(!sched.solo); /* with one worker there is no lock at all */
	test_policy();
	test_waitgroup();
	goro_waitgroup_add(&wg, 3 * GOROUTINES + 1);
	go(wait_for_work, &wg);
	for (uint64_t i = 0; i < GOROUTINES; i++) {
		struct life life = { &wg, stress_seed(i) };

		go_copy(live, &life);
		go_copy(live_by_mutex, &life);
		go_copy(live_by_waitgroup, &life);
	}
	do {
		goro_sleep(5 * GORO_MILLISECOND);
		undone = sum_of(offsetof(struct p, nrevoke));
	} while (goro_now() < end || !undone); /* on a busy machine: later */
	stop = true;
	goro_waitgroup_wait(&wg);
	goro_waitgroup_wait(&shared.work);
	must(shared.work.count_ == 0 && !shared.work.first_);
	must(shared.a == shared.b && shared.a == rounds);
	must(shared.c == shared.d && shared.c == mutex_rounds);
	printf("%lu changes, %lu of them inside of a bias, which was given %lu times and undone by "
	       "others %lu times; %lu by a mutex; %lu waits for a waitgroup\n",
	       rounds, inside, sum_of(offsetof(struct p, nbias)), undone, mutex_rounds,
	       times_waited);
	return 0;
}
