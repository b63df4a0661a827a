/* SPDX-License-Identifier: MIT */
/*
 * Taking a P away against enter(): sysmon's half and the worker's half of the hand-shake, with a
 * thread that does nothing but take. Whoever is between enter() and leave() has its P to itself:
 * two counters of each P, changed one after the other, would tell.
 */
#include <pthread.h>
#include <unistd.h>

#include "schedule.h"
#include "stress.h"

static struct counters {
	uint64_t a, b;
} __attribute__((aligned(CACHE_LINE))) counters[P_MAX];

static atomic_ulong tries, taken, rounds;
static atomic_bool stop;

static void *taker(void *unused)
{
	uint64_t random = stress_seed(1);

	(void)unused;
	while (!stop) {
		for (int i = 0; i < 20; i++) {
			atomic_fetch_add_explicit(&tries, 1, memory_order_relaxed);
			if (goro_retake(goro_ps[stress_random(&random) % (uint64_t)sched.nprocs]))
				atomic_fetch_add_explicit(&taken, 1, memory_order_relaxed);
			for (volatile uint64_t k = stress_random(&random) % 300; k; k--)
				;
		}
		usleep(1);
	}
	return NULL;
}

struct life {
	goro_waitgroup *wg;
	uint64_t random;
};

static void live(void *arg)
{
	struct life *life = arg;

	while (!stop) {
		struct m *mp = enter();
		struct counters *c = &counters[mp->p->id];
		uint64_t a = c->a;

		must(a == c->b && atomic_load(&mp->p->m) == mp);
		c->a = a + 1;
		barrier();
		for (volatile uint64_t k = stress_random(&life->random) % 32; k; k--)
			;
		must(c->b == a && c->a == a + 1);
		c->b = a + 1;
		leave(mp);
		atomic_fetch_add_explicit(&rounds, 1, memory_order_relaxed);
		/* Outside, where the P may be taken. */
		for (volatile uint64_t k = stress_random(&life->random) % 256; k; k--)
			;
		if (stress_random(&life->random) % 64 == 0)
			goro_yield();
	}
	goro_waitgroup_done(life->wg);
}

int main(int argc, char **argv)
{
	int64_t end = stress_end(argc, argv);
	goro_waitgroup wg = { 0 };
	uint64_t sum = 0;
	pthread_t thread;

	if (!sched.have_membarrier) {
		puts("skipped: the kernel has no membarrier here, so no P is ever taken");
		return 77;
	}
	goro_waitgroup_add(&wg, 8);
	for (uint64_t i = 0; i < 8; i++) {
		struct life life = { &wg, stress_seed(i) };

		go_copy(live, &life);
	}
	must(!pthread_create(&thread, NULL, taker, NULL));
	while (goro_now() < end || !taken) /* on a busy machine: later */
		goro_sleep(5 * GORO_MILLISECOND);
	stop = true;
	goro_waitgroup_wait(&wg);
	pthread_join(thread, NULL);
	for (int i = 0; i < sched.nprocs; i++) {
		must(counters[i].a == counters[i].b);
		sum += counters[i].a;
	}
	must(sum == rounds);
	printf("%lu turns, %lu tries to take a P, %lu taken: never two on one P\n", rounds, tries,
	       taken);
	return 0;
}
