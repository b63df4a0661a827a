/* SPDX-License-Identifier: MIT */
/* Package time since Go 1.23: after Stop or Reset no earlier time is
 * received, whoever is fastest. */
#include <stdatomic.h>

#include "check.h"

#define US GORO_MICROSECOND
#define MS GORO_MILLISECOND

static uint64_t random_state = 88172645463325252u;

static int64_t below(int64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (int64_t)(random_state >> 16) % n;
}

/* Around the time at which it fires, so that the two meet in every order. */
static void pass_about(int64_t ns)
{
	int64_t end = goro_now() + below(2 * ns);

	while (goro_now() < end)
		if (below(4) == 0)
			goro_yield();
}

static void stop_is_exact(void)
{
	goro_timer *t = goro_timer_new(GORO_SECOND);
	int64_t at;
	int stopped = 0, got = 0;

	for (int i = 0; i < 3000; i++) {
		goro_timer_reset(t, 30 * US);
		pass_about(30 * US);
		if (i % 3 == 0 && goro_chan_try_recv(goro_timer_chan(t), &at) == GORO_GOT) {
			got++;
			check(!goro_timer_stop(
				t)); /* its value is gone: there is nothing to stop */
		} else {
			/* Either it had not fired, or what it has sent is taken back. */
			check(goro_timer_stop(t));
			stopped++;
		}
		check(!goro_timer_stop(t));
		check_eq(goro_chan_try_recv(goro_timer_chan(t), &at), GORO_WOULD_BLOCK);
	}
	check_eq(stopped + got, 3000);
	goro_timer_free(t);
}

static void reset_is_exact(void)
{
	goro_timer *t = goro_timer_new(0);
	int64_t at, before;

	for (int i = 0; i < 2000; i++) {
		pass_about(20 * US);
		before = goro_now();
		goro_timer_reset(t, 20 * US);
		if (i % 2) {
			check(goro_chan_recv(goro_timer_chan(t), &at));
			check(at >= before + 20 * US);
		}
	}
	goro_timer_free(t);
}

struct calls {
	atomic_int ran;
	goro_waitgroup wg;
};

static void call(void *arg)
{
	struct calls *calls = arg;

	calls->ran++;
}

/* AfterFunc: its function is started once for each time that Stop did not prevent it. */
static void after_func_runs_or_is_stopped(void)
{
	struct calls calls = { 0 };
	int stopped = 0;
	enum { N = 2000 };

	for (int i = 0; i < N; i++) {
		goro_timer *t = goro_after_func(below(40 * US), call, &calls);

		pass_about(20 * US);
		stopped += goro_timer_stop(t);
		goro_timer_free(t);
	}
	check_eventually(calls.ran == N - stopped);
	goro_sleep(5 * MS);
	check_eq(calls.ran, N - stopped);
}

/* Reset of an AfterFunc that has run starts it again; of one that has not moves it: once, not
 * twice. */
static void reset_of_after_func(void)
{
	struct calls calls = { 0 };
	int expected = 0;
	goro_timer *t = goro_after_func(20 * US, call, &calls);

	for (int i = 0; i < 1000; i++) {
		pass_about(20 * US);
		expected +=
			!goro_timer_reset(t, 20 * US); /* false: the time before has run, or will */
	}
	check_eventually(calls.ran == expected + 1);
	goro_timer_free(t);
	goro_sleep(5 * MS);
	check_eq(calls.ran, expected + 1);
}

static void negative_is_now(void)
{
	goro_timer *t = goro_timer_new(-GORO_SECOND);
	struct calls calls = { 0 };
	goro_timer *f = goro_after_func(INT64_MIN, call, &calls);
	int64_t at;

	check(goro_chan_recv(goro_timer_chan(t), &at));
	check_eventually(calls.ran == 1);
	goro_timer_reset(t, INT64_MIN);
	check(goro_chan_recv(goro_timer_chan(t), &at));
	goro_timer_reset(t, INT64_MAX); /* in three hundred years */
	check(goro_timer_stop(t));
	goro_sleep(-1);
	goro_sleep(INT64_MIN);
	goro_timer_free(t);
	goro_timer_free(f);
}

/* A ticker's reset forgets the tick that lay in the channel, and starts the period anew. */
static void ticker_reset_is_exact(void)
{
	goro_ticker *k = goro_ticker_new(20 * US);
	int64_t at, before;

	for (int i = 0; i < 500; i++) {
		pass_about(40 * US);
		before = goro_now();
		goro_ticker_reset(k, 20 * US + below(40 * US));
		check(goro_chan_recv(goro_ticker_chan(k), &at));
		check(at >= before + 20 * US);
	}
	goro_ticker_stop(k);
	check_eq(goro_chan_try_recv(goro_ticker_chan(k), &at), GORO_WOULD_BLOCK);
	goro_sleep(2 * MS);
	check_eq(goro_chan_try_recv(goro_ticker_chan(k), &at), GORO_WOULD_BLOCK);
	goro_ticker_free(k);
}

struct fighter {
	goro_timer *t;
	struct calls *calls;
	atomic_int *won;
};

static void fight(void *arg)
{
	struct fighter *f = arg;

	for (int i = 0; i < 500; i++) {
		if (i % 3)
			*f->won += goro_timer_stop(f->t);
		else
			*f->won += goro_timer_reset(f->t, (int64_t)(i % 5) * 10 * US);
		goro_yield();
	}
	goro_waitgroup_done(&f->calls->wg);
}

/* Any number of goroutines may stop and reset one timer: each start is accounted for once. */
static void crowd_on_one_timer(void)
{
	enum { N = 8, RESETS = N * 167 };
	struct calls calls = { 0 };
	atomic_int won = 0;
	struct fighter f = { goro_after_func(10 * US, call, &calls), &calls, &won };

	goro_waitgroup_add(&calls.wg, N);
	for (int i = 0; i < N; i++)
		go(fight, &f);
	goro_waitgroup_wait(&calls.wg);
	won += goro_timer_stop(f.t);
	/* Started once by us and by each reset; each start was either won back or has run. */
	check_eventually(calls.ran + won == 1 + RESETS);
	goro_timer_free(f.t);
}

#define CASE(f)                      \
	{                            \
		.name = #f, .run = f \
	}
static const struct check_case cases[] = {
	CASE(stop_is_exact),	   CASE(reset_is_exact),  CASE(after_func_runs_or_is_stopped),
	CASE(reset_of_after_func), CASE(negative_is_now), CASE(ticker_reset_is_exact),
	CASE(crowd_on_one_timer),
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
