/* SPDX-License-Identifier: MIT */
/*
 * The heaps of timers: armed here, disarmed there, fired by whoever comes by. Each is fired or
 * disarmed once for each time that it was armed, and after either nobody touches it: its memory is
 * scribbled over at once and used for the next.
 */
#include "stress.h"
#include "timer.h"

enum { GOROUTINES = 12, ALIVE = 0x600d, SCRIBBLE = 0xdb };

struct probe {
	struct timer timer;
	uint32_t alive;
	atomic_int fired;
};

static atomic_ulong armed, fired_sum, disarmed;
static atomic_bool stop;
static goro_waitgroup wg;

static int64_t fire(struct m *mp, struct timer *t, int64_t when, struct fired *fired)
{
	struct probe *probe = (struct probe *)t;

	(void)mp, (void)fired;
	must(probe->alive == ALIVE && when <= goro_now());
	must(atomic_fetch_add(&probe->fired, 1) == 0);
	return NEVER;
}

static void arm(struct probe *probe, int64_t ns)
{
	struct m *mp;

	memset(probe, 0, sizeof(*probe));
	probe->timer.fire = fire;
	probe->alive = ALIVE;
	mp = enter();
	goro_timer_arm(mp, &probe->timer, goro_when(ns));
	leave(mp);
	atomic_fetch_add_explicit(&armed, 1, memory_order_relaxed);
}

static void end(struct probe *probe)
{
	struct m *mp = enter();
	bool was = goro_timer_disarm(&probe->timer);

	leave(mp);
	must(atomic_load(&probe->fired) == !was);
	atomic_fetch_add_explicit(was ? &disarmed : &fired_sum, 1, memory_order_relaxed);
	memset((void *)probe, SCRIBBLE, sizeof(*probe));
}

static void live(void *arg)
{
	uint64_t random = *(uint64_t *)arg;
	struct probe probes[16];

	while (!stop) {
		int n = 1 + (int)(stress_random(&random) % 16);

		for (int i = 0; i < n; i++)
			arm(&probes[i], (int64_t)(stress_random(&random) % 30000) - 2000);
		for (volatile uint64_t k = stress_random(&random) % 20000; k; k--)
			;
		if (stress_random(&random) % 4 == 0)
			goro_sleep((int64_t)(stress_random(&random) % 20000));
		else if (stress_random(&random) % 2)
			goro_yield(); /* and go on on another worker, maybe */
		for (int i = n - 1; i >= 0; i--)
			end(&probes[i]);
	}
	goro_waitgroup_done(&wg);
}

int main(int argc, char **argv)
{
	int64_t until = stress_end(argc, argv);

	goro_waitgroup_add(&wg, GOROUTINES);
	for (uint64_t i = 0; i < GOROUTINES; i++) {
		uint64_t random = stress_seed(i);

		go_copy(live, &random);
	}
	while (goro_now() < until || !fired_sum || !disarmed)
		goro_sleep(5 * GORO_MILLISECOND);
	stop = true;
	goro_waitgroup_wait(&wg);
	printf("%lu armed, %lu fired, %lu disarmed\n", armed, fired_sum, disarmed);
	must(armed == fired_sum + disarmed);
	must(goro_timers_next() == NEVER);
	return 0;
}
