/* SPDX-License-Identifier: MIT */
/*
 * goro_reference - figures beside those of goro_bench that Go has no part in:
 * goro_reference NAME WORKERS [DIVISOR].
 *
 *   - raw_switch: the switch in assembly with no scheduler around it, which no scheduler can beat,
 *     next to a goroutine's yield; in turns, in one process
 *   - futex_pingpong: what two threads pay for a message there and back, when each sleeps until the
 *     other wakes it
 *   - fairness: how late a goroutine that wants to run every millisecond gets to, beside one that
 *     computes without end and beside one that sits in libc
 */
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime.h"

extern char goro_entry_start[];

static int divisor = 1;

static void print_figure(const char *name, double value)
{
	printf("%s %.3f\n", name, value);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, int n)
{
	qsort(values, (size_t)n, sizeof(values[0]), by_value);
	return values[n / 2];
}

/* ---- the switch --------------------------------------------------------------------------------
 */

enum { TURNS = 9 };

static uintptr_t here, there;

static void other_side(void *unused)
{
	(void)unused;
	for (;;)
		context_switch(&there, here);
}

static double raw_switches(int n)
{
	static unsigned char stack[16384] __attribute__((aligned(64)));
	uintptr_t top = (uintptr_t)stack + sizeof(stack) - 64;
	struct switch_frame *frame = (struct switch_frame *)(top - sizeof(*frame));
	int64_t start;

	*(uintptr_t *)top = 0;
	switch_frame_init(frame, other_side, (uintptr_t)goro_entry_start);
	there = (uintptr_t)frame;
	start = goro_now();
	for (int i = 0; i < n; i++)
		context_switch(&here, there);
	return (double)(goro_now() - start) / (2.0 * n);
}

struct yielders {
	int n;
	goro_waitgroup wg;
};

static void yielder(void *arg)
{
	struct yielders *y = arg;

	for (int i = 0; i < y->n; i++)
		goro_yield();
	goro_waitgroup_done(&y->wg);
}

static double yields(int n)
{
	struct yielders y = { .n = n };
	int64_t start = goro_now();

	goro_waitgroup_add(&y.wg, 2);
	go(yielder, &y);
	go(yielder, &y);
	goro_waitgroup_wait(&y.wg);
	return (double)(goro_now() - start) / (2.0 * n);
}

static void raw_switch(void)
{
	double raw[TURNS], whole[TURNS];

	for (int i = 0; i < TURNS; i++) {
		raw[i] = raw_switches(2000000 / divisor);
		whole[i] = yields(1000000 / divisor);
	}
	print_figure("raw_switch", median(raw, TURNS));
	print_figure("raw_switch_yield", median(whole, TURNS));
}

/* ---- threads -----------------------------------------------------------------------------------
 */

static _Atomic uint32_t turn;

static void wait_turn(uint32_t mine)
{
	uint32_t now;

	while ((now = atomic_load(&turn)) % 2 != mine)
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, now, NULL, NULL, 0);
}

static void pass_on(void)
{
	atomic_fetch_add(&turn, 1);
	syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *answer(void *n)
{
	for (int i = 0; i < *(int *)n; i++) {
		wait_turn(1);
		pass_on();
	}
	return NULL;
}

static void futex_pingpong(void)
{
	int n = 200000 / divisor;
	int64_t start = goro_now();
	pthread_t thread;

	if (pthread_create(&thread, NULL, answer, &n))
		exit(1);
	for (int i = 0; i < n; i++) {
		wait_turn(0);
		pass_on();
	}
	pthread_join(thread, NULL);
	print_figure("futex_pingpong", (double)(goro_now() - start) / (2.0 * n));
}

/* ---- fairness ----------------------------------------------------------------------------------
 */

static void compute_for_ever(void *unused)
{
	(void)unused;
	for (;;)
		__asm__ volatile("");
}

static void sit_in_libc(void *unused)
{
	(void)unused;
	sleep(5);
}

/* In milliseconds: the worst of what came on top of the one that it asked to sleep. */
static double worst_delay(goro_fn *beside)
{
	int64_t end, worst = 0;

	go(beside, NULL);
	goro_yield();
	end = goro_now() + 2 * GORO_SECOND / divisor;
	do {
		int64_t start = goro_now(), late;

		goro_sleep(GORO_MILLISECOND);
		late = goro_now() - start - GORO_MILLISECOND;
		worst = late > worst ? late : worst;
	} while (goro_now() < end);
	return (double)worst / 1e6;
}

static void fairness(void)
{
	print_figure("fairness_sleep", worst_delay(sit_in_libc));
	print_figure("fairness_hog", worst_delay(compute_for_ever));
}

static const struct {
	const char *name;
	void (*run)(void);
} references[] = {
	{ "raw_switch", raw_switch },
	{ "futex_pingpong", futex_pingpong },
	{ "fairness", fairness },
};

int main(int argc, char **argv)
{
	divisor = argc > 3 ? atoi(argv[3]) : 1;
	if (argc < 3 || argc > 4 || divisor < 1 || goro_maxprocs() != atoi(argv[2])) {
		fprintf(stderr,
			"usage: GORO_MAXPROCS=WORKERS goro_reference NAME WORKERS [DIVISOR]\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(references) / sizeof(references[0]); i++)
		if (strcmp(argv[1], references[i].name) == 0) {
			references[i].run();
			fflush(stdout);
			_exit(0); /* a goroutine computes for ever */
		}
	fprintf(stderr, "goro_reference: no figure '%s'\n", argv[1]);
	return 2;
}
