/* SPDX-License-Identifier: MIT */
/*
 * What a switch must keep, on every architecture: all registers that the ABI says survive a call,
 * and each goroutine's rounding mode, over many switches among many stacks and between threads.
 */
#include <fenv.h>

#include "stress.h"

enum { GOROUTINES = STRESS_LIVE, ROUNDS = 24 };

long registers_kept(void (*fn)(void), uint64_t seed);

static goro_waitgroup wg;
static goro_chan *here, *there;

static void by_yield(void)
{
	goro_yield();
}

static void by_channel(void)
{
	char token;

	goro_chan_send(here, &(char){ 1 });
	goro_chan_recv(there, &token);
}

static void relay(void *unused)
{
	char token;

	(void)unused;
	while (goro_chan_recv(here, &token))
		goro_chan_send(there, &token);
}

/* A third, rounded as `mode` says: in the processor's way of the day and in its old one. */
static void round_third(int mode, double *third, long double *long_third)
{
	volatile double one = 1, three = 3;
	volatile long double long_one = 1, long_three = 3;

	fesetround(mode);
	*third = one / three;
	*long_third = long_one / long_three;
}

static void keep(void *arg)
{
	static const int modes[] = { FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO };
	uint64_t number = *(int *)arg;
	int mode = modes[number % 4];
	double third, again;
	long double long_third, long_again;
	volatile double one = 1, three = 3;
	volatile long double long_one = 1, long_three = 3;

	must(fegetround() == FE_TONEAREST); /* not that of who ran on this stack before */
	round_third(mode, &third, &long_third);
	for (int i = 0; i < ROUNDS; i++) {
		must(!registers_kept(i % 8 ? by_yield : by_channel, number << 32 | (uint64_t)i));
		must(fegetround() == mode);
		again = one / three;
		long_again = long_one / long_three;
		must(again == third && long_again == long_third);
	}
	goro_waitgroup_done(&wg);
}

/* Who ends leaves the processor as it likes, and the next one begins on its stack at once. */
static void spoil(void *unused)
{
	(void)unused;
	must(fegetround() == FE_TONEAREST);
	fesetround(FE_UPWARD);
	goro_waitgroup_done(&wg);
}

int main(void)
{
	goro_waitgroup_add(&wg, GOROUTINES);
	for (int i = 0; i < GOROUTINES; i++)
		go(spoil, NULL);
	goro_waitgroup_wait(&wg);
	must(fegetround() == FE_TONEAREST);
	here = goro_chan_make(1, 0);
	there = goro_chan_make(1, 0);
	go(relay, NULL);
	goro_waitgroup_add(&wg, GOROUTINES);
	for (int i = 0; i < GOROUTINES; i++)
		go_copy(keep, &i);
	goro_waitgroup_wait(&wg);
	must(fegetround() == FE_TONEAREST);
	goro_chan_close(here);
	printf("%d goroutines, %d switches each: all registers kept\n", GOROUTINES, ROUNDS);
	return 0;
}
