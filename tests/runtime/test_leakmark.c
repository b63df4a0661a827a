/* SPDX-License-Identifier: MIT */
/* Marks: who was started since, and is left over. */
#include <string.h>

#include "check.h"
#include "goro_introspect.h"

static void waiter(void *arg)
{
	goro_chan_recv(arg, NULL);
}

static void sleeper(void *arg)
{
	(void)arg;
	goro_sleep(50 * GORO_MILLISECOND);
}

static void nobody_is_left(void)
{
	goro_leak_mark *mark = goro_mark_leaks();
	int64_t begin = goro_now();

	check(!goro_leaks_since(mark, 10 * GORO_SECOND));
	check(goro_now() - begin < 5 * GORO_SECOND);
	mark = goro_mark_leaks();
	for (int i = 0; i < 100; i++)
		go(sleeper, NULL);
	check(!goro_leaks_since(mark, 60 * GORO_SECOND));
	goro_assert_no_leaks(goro_mark_leaks(), 0);
}

static void who_is_left_is_named(void)
{
	goro_chan *c = goro_chan_of(int, 0);
	goro_leak_mark *mark = goro_mark_leaks();
	char *text, line[128];

	for (volatile int i = 0; i < 3; i++) /* unrolled it would be three sites */
		check_parked(go(waiter, c), GORO_REASON_CHAN_RECV);
	snprintf(line, sizeof(line), "%d", __LINE__ - 1);
	text = goro_leaks_since(mark, GORO_MILLISECOND);
	check(text);
	check(check_match(text, "^3 goroutines are left over:$"));
	check(check_match(text, "^  3 x waiter \\[chan receive\\], started by who_is_left_is_named "
				"at .*test_leakmark\\.c:[0-9]+$"));
	check(strstr(text, line));
	free(text);
}

/* Those who were there before are not, be they ever so many and have they ever so odd ids. */
static void who_was_there_does_not_count(void)
{
	goro_chan *c = goro_chan_of(int, 0), *d = goro_chan_of(int, 0);
	goro_leak_mark *mark;
	char *text;

	for (int i = 0; i < 1000; i++) {
		go(waiter, c);
		go(sleeper, NULL);
	}
	mark = goro_mark_leaks();
	check_parked(go(waiter, d), GORO_REASON_CHAN_RECV);
	text = goro_leaks_since(mark, 0);
	check(text);
	check(check_match(text, "^1 goroutine is left over:$"));
	free(text);
	/* Not even when others have taken the place of those that ended. */
	mark = goro_mark_leaks();
	goro_chan_close(c);
	goro_chan_close(d);
	while (goro_count() > 1)
		goro_yield();
	c = goro_chan_of(int, 0);
	for (int i = 0; i < 7; i++)
		check_parked(go(waiter, c), GORO_REASON_CHAN_RECV);
	text = goro_leaks_since(mark, 0);
	check(check_match(text, "^7 goroutines are left over:$"));
	free(text);
}

static void ask(void *mark)
{
	check(!goro_leaks_since(mark, 0));
}

/* Whoever asks is not left over: neither it, nor main. */
static void another_may_ask(void)
{
	go(ask, goro_mark_leaks());
	while (goro_count() > 1)
		goro_yield();
}

static void assert_that(void)
{
	goro_leak_mark *mark = goro_mark_leaks();

	check_parked(go(waiter, goro_chan_of(int, 0)), GORO_REASON_CHAN_RECV);
	goro_assert_no_leaks(mark, GORO_MILLISECOND);
}

/* They begin and end all the time while we look. */
static void churn(void *arg)
{
	_Atomic bool *stop = arg;

	while (!*stop) {
		go(sleeper, NULL);
		goro_yield();
	}
}

static void looks_at_moving_ones(void)
{
	static _Atomic bool stop;

	go(churn, &stop);
	for (int i = 0; i < 50; i++)
		free(goro_leaks_since(goro_mark_leaks(), 0));
	stop = true;
	check(!goro_leaks_since(NULL, 60 * GORO_SECOND));
}

static const struct check_case cases[] = {
	{ .name = "nobody_is_left", .run = nobody_is_left },
	{ .name = "who_is_left_is_named", .run = who_is_left_is_named },
	{ .name = "who_was_there_does_not_count", .run = who_was_there_does_not_count },
	{ .name = "another_may_ask", .run = another_may_ask },
	{ .name = "assert_that",
	  .run = assert_that,
	  .status = 2,
	  .says = { "^1 goroutine is left over:$", "^  1 x waiter \\[chan receive\\], started by",
		    "^panic: 1 goroutine is left over" } },
	{ .name = "looks_at_moving_ones", .run = looks_at_moving_ones },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
