/* SPDX-License-Identifier: MIT */
/*
 * Steal storm: two goroutines start all the others, so all work begins in few queues and the other
 * workers must steal it. Tasks are uneven and start tasks of their own. Each must run exactly once.
 */
#include "stress.h"

#define ROOTS 3000

struct storm {
	goro_waitgroup wg;
	atomic_int live;
	atomic_long started, ended;
};

struct task {
	struct storm *s;
	int depth;
	uint64_t random;
};

static void start_task(struct storm *s, int depth, uint64_t seed);

static void run_task(void *arg)
{
	struct task *task = arg;
	uint64_t work = stress_random(&task->random) % 64;

	/* Most are short, a few a hundred times as long. */
	for (uint64_t i = work == 0 ? 20000 : work * 4; i > 0; i--)
		stress_random(&task->random);
	for (uint64_t i = stress_random(&task->random) % 3; task->depth > 0 && i > 0; i--)
		start_task(task->s, task->depth - 1, stress_random(&task->random));
	if (work % 4 == 1)
		goro_yield();
	task->s->ended++;
	task->s->live--;
	goro_waitgroup_done(&task->s->wg);
}

static void start_task(struct storm *s, int depth, uint64_t seed)
{
	struct task task = { s, depth, seed };

	s->started++;
	goro_waitgroup_add(&s->wg, 1);
	if (s->live++ < STRESS_LIVE)
		go_copy(run_task, &task);
	else
		run_task(&task);
}

static void start_roots(void *arg)
{
	struct storm *s = arg;

	for (uint64_t i = 0; i < ROOTS / 2; i++)
		start_task(s, 6, stress_seed(i));
	goro_waitgroup_done(&s->wg);
}

int main(int argc, char **argv)
{
	int64_t end = stress_end(argc, argv);
	long total = 0;

	do {
		struct storm s = { 0 };

		goro_waitgroup_add(&s.wg, 2);
		stress_start(2, start_roots, &s);
		goro_waitgroup_wait(&s.wg);
		must(s.started == s.ended && s.started >= ROOTS / 2 * 2);
		must(s.live == 0);
		total += s.ended;
	} while (goro_now() < end);
	printf("%ld tasks, each ran once\n", total);
	return 0;
}
