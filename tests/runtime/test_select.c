/* SPDX-License-Identifier: MIT */
/* Select: the rules of Go's specification, one case each. */
#include <stdatomic.h>
#include <string.h>

#include "check.h"
#include "goro_introspect.h"

static void default_when_nothing_can(void)
{
	goro_chan *empty = goro_chan_of(int, 1), *full = goro_chan_of(int, 1);
	int value = 5, got = 9;
	struct goro_case cases[] = {
		goro_recv_case(empty, &got),
		goro_send_case(full, &value),
	};

	goro_chan_send(full, &value);
	check_eq(goro_select_default(cases, 2), -1);
	check_eq(got, 9);
	check_eq(goro_select_default(NULL, 0), -1);

	value = 6;
	goro_chan_send(empty, &value);
	check_eq(goro_select_default(cases, 2), 0);
	check(cases[0].ok);
	check_eq(got, 6);

	goro_chan_recv(full, &got);
	check_eq(goro_select_default(cases, 2), 1);
	goro_chan_recv(full, &got);
	check_eq(got, 6);
}

static void ready_case_is_taken(void)
{
	goro_chan *c[3];
	struct goro_case cases[3];
	int got[3], value;

	for (int i = 0; i < 3; i++) {
		c[i] = goro_chan_of(int, 1);
		cases[i] = (struct goro_case)goro_recv_case(c[i], &got[i]);
	}
	for (int i = 0; i < 3; i++) {
		value = 10 + i;
		memset(got, 0, sizeof(got));
		goro_chan_send(c[i], &value);
		check_eq(goro_select(cases, 3), i);
		check(cases[i].ok);
		for (int k = 0; k < 3; k++)
			check_eq(got[k], k == i ? value : 0);
	}
}

/* Each of four that can go on gets its quarter: 10 standard deviations are 433. */
static void choice_is_uniform(void)
{
	enum { ROUNDS = 10000 };
	struct goro_case cases[4];
	int hits[4] = { 0 }, value = 1, got;

	for (int i = 0; i < 4; i++) {
		goro_chan *c = goro_chan_of(int, 1);

		if (i % 2)
			cases[i] = (struct goro_case)goro_send_case(c, &value);
		else
			cases[i] = (struct goro_case)goro_recv_case(c, &got);
		if (i % 2 == 0)
			goro_chan_send(c, &value);
	}
	for (int round = 0; round < ROUNDS; round++) {
		int i = goro_select(cases, 4);

		check(i >= 0 && i < 4);
		hits[i]++;
		if (i % 2)
			goro_chan_recv(cases[i].chan, NULL);
		else
			goro_chan_send(cases[i].chan, &value);
	}
	for (int i = 0; i < 4; i++)
		check(hits[i] > 2500 - 433 && hits[i] < 2500 + 433);
}

/* The same with channels that are closed, which can always go on. */
static void closed_choice_is_uniform(void)
{
	struct goro_case cases[2];
	int hits[2] = { 0 };

	for (int i = 0; i < 2; i++) {
		cases[i] = (struct goro_case)goro_recv_case(goro_chan_of(int, 0), NULL);
		goro_chan_close(cases[i].chan);
	}
	for (int round = 0; round < 10000; round++) {
		int i = goro_select(cases, 2);

		check(!cases[i].ok);
		hits[i]++;
	}
	check(hits[0] > 4500 && hits[0] < 5500);
}

static void closed_channel_gives_zero(void)
{
	goro_chan *open = goro_chan_of(int, 0), *closed = goro_chan_of(int, 2);
	int got = 77, other = 78;
	struct goro_case cases[] = {
		goro_recv_case(open, &other),
		goro_recv_case(closed, &got),
	};

	goro_chan_send(closed, &(int){ 3 });
	goro_chan_close(closed);
	check_eq(goro_select(cases, 2), 1);
	check(cases[1].ok);
	check_eq(got, 3);
	check_eq(goro_select(cases, 2), 1);
	check(!cases[1].ok);
	check_eq(got, 0);
	check_eq(other, 78);
}

static void send_on_closed(void)
{
	goro_chan *c = goro_chan_of(int, 1);
	struct goro_case cases[] = { goro_send_case(c, &(int){ 1 }) };

	goro_chan_close(c);
	goro_select(cases, 1);
}

/* ---- waiting --------------------------------------------------------------------------------- */

struct chooser {
	struct goro_case cases[3];
	int n;
	atomic_int chosen; /* -2 until then */
};

static void choose(void *arg)
{
	struct chooser *chooser = arg;

	chooser->chosen = goro_select(chooser->cases, chooser->n);
}

static void waits_for_the_first(void)
{
	goro_chan *a = goro_chan_of(int, 0), *b = goro_chan_of(int, 0), *d = goro_chan_of(int, 0);

	for (int which = 0; which < 3; which++) {
		int from_a = 0, from_d = 0, to_b = 22, value = 33;
		struct chooser chooser = {
			.cases = { goro_recv_case(a, &from_a), goro_send_case(b, &to_b),
				   goro_recv_case(d, &from_d) },
			.n = 3,
			.chosen = -2,
		};

		check_parked(go(choose, &chooser), GORO_REASON_SELECT);
		check_eq(chooser.chosen, -2);
		if (which == 0)
			goro_chan_send(a, &value);
		else if (which == 1)
			goro_chan_recv(b, &value);
		else
			goro_chan_send(d, &value);
		check_eventually(chooser.chosen == which);
		check_eq(from_a, which == 0 ? 33 : 0);
		check_eq(value, which == 1 ? 22 : 33);
		check_eq(from_d, which == 2 ? 33 : 0);
		if (which != 1)
			check(chooser.cases[which].ok);

		/* It waits on none of them any more. */
		check(!goro_chan_try_send(a, &value));
		check_eq(goro_chan_try_recv(b, &value), GORO_WOULD_BLOCK);
		check(!goro_chan_try_send(d, &value));
	}
}

static void close_wakes_it(void)
{
	goro_chan *a = goro_chan_of(int, 0), *b = goro_chan_of(int, 0);
	int got = 77;
	struct chooser chooser = {
		.cases = { goro_recv_case(a, &got), goro_recv_case(b, NULL) },
		.n = 2,
		.chosen = -2,
	};

	check_parked(go(choose, &chooser), GORO_REASON_SELECT);
	goro_chan_close(a);
	check_eventually(chooser.chosen == 0);
	check(!chooser.cases[0].ok);
	check_eq(got, 0);
	check(!goro_chan_try_send(b, &got));
}

static void close_panics_waiting_sender(void)
{
	goro_chan *a = goro_chan_of(int, 0), *b = goro_chan_of(int, 0);
	int value = 1;
	struct chooser chooser = {
		.cases = { goro_send_case(a, &value), goro_recv_case(b, NULL) },
		.n = 2,
	};

	check_parked(go(choose, &chooser), GORO_REASON_SELECT);
	goro_chan_close(a);
	goro_chan_recv(b, NULL);
}

/* ---- one channel several times --------------------------------------------------------------- */

static void both_ways_does_not_meet_itself(void)
{
	goro_chan *c = goro_chan_of(int, 0);
	int value = 5, got = 0;
	struct goro_case cases[] = { goro_recv_case(c, &got), goro_send_case(c, &value) };

	for (int i = 0; i < 100; i++)
		check_eq(goro_select_default(cases, 2), -1);
}

struct dancer {
	goro_chan *floor;
	int value, got, chosen;
	goro_waitgroup *wg;
};

static void dance(void *arg)
{
	struct dancer *dancer = arg;
	struct goro_case cases[] = {
		goro_recv_case(dancer->floor, &dancer->got),
		goro_send_case(dancer->floor, &dancer->value),
	};

	dancer->chosen = goro_select(cases, 2);
	goro_waitgroup_done(dancer->wg);
}

/* Two that would both send or receive: one does the one, the other the other. */
static void two_both_ways_meet(void)
{
	goro_chan *floor = goro_chan_of(int, 0);

	for (int i = 0; i < 2000; i++) {
		goro_waitgroup wg = { 0 };
		struct dancer a = { floor, 1, 0, -1, &wg }, b = { floor, 2, 0, -1, &wg };

		goro_waitgroup_add(&wg, 2);
		go(dance, &a);
		go(dance, &b);
		goro_waitgroup_wait(&wg);
		check_eq(a.chosen + b.chosen, 1);
		check_eq(a.got, a.chosen == 0 ? 2 : 0);
		check_eq(b.got, b.chosen == 0 ? 1 : 0);
	}
}

static void same_channel_twice(void)
{
	goro_chan *c = goro_chan_of(int, 0);
	int first = 0, second = 0, value = 9;
	struct chooser chooser = {
		.cases = { goro_recv_case(c, &first), goro_recv_case(c, &second) },
		.n = 2,
		.chosen = -2,
	};

	check_parked(go(choose, &chooser), GORO_REASON_SELECT);
	goro_chan_send(c, &value);
	check_eventually(chooser.chosen != -2);
	check_eq(first, chooser.chosen == 0 ? 9 : 0);
	check_eq(second, chooser.chosen == 1 ? 9 : 0);
	check(!goro_chan_try_send(c, &value));
}

/* ---- nil ------------------------------------------------------------------------------------- */

static void nil_case_never_can(void)
{
	goro_chan *c = goro_chan_of(int, 1);
	int value = 4, got = 0;
	struct goro_case cases[] = {
		goro_recv_case(NULL, &got),
		goro_recv_case(c, &got),
		goro_send_case(NULL, &value),
	};

	check_eq(goro_select_default(cases, 3), -1);
	goro_chan_send(c, &value);
	check_eq(goro_select(cases, 3), 1);
	check_eq(got, 4);
	check_eq(goro_select_default(&cases[2], 1), -1);
}

static void nil_case_beside_one_that_waits(void)
{
	goro_chan *c = goro_chan_of(int, 0);
	int got = 0;
	struct chooser chooser = {
		.cases = { goro_recv_case(NULL, NULL), goro_recv_case(c, &got) },
		.n = 2,
		.chosen = -2,
	};

	check_parked(go(choose, &chooser), GORO_REASON_SELECT);
	goro_chan_send(c, &(int){ 8 });
	check_eventually(chooser.chosen == 1);
	check_eq(got, 8);
}

static void no_cases_deadlock(void)
{
	goro_select(NULL, 0);
}

static void only_nil_cases_deadlock(void)
{
	struct goro_case cases[] = { goro_recv_case(NULL, NULL), goro_recv_case(NULL, NULL) };

	goro_select(cases, 2);
}

/* ---- many ------------------------------------------------------------------------------------ */

static void send_number(void *arg)
{
	goro_chan_send(*(goro_chan **)arg, &(int){ 1 });
}

static void two_hundred_cases(void)
{
	enum { N = 200 };
	goro_chan *c[N];
	struct goro_case cases[N];
	int got[N];

	for (int i = 0; i < N; i++) {
		c[i] = goro_chan_of(int, 0);
		got[i] = 0;
		cases[i] = (struct goro_case)goro_recv_case(c[i], &got[i]);
	}
	for (int i = 0; i < N; i++)
		go(send_number, &c[i]);
	for (int i = 0; i < N; i++)
		got[goro_select(cases, N)]++;
	for (int i = 0; i < N; i++)
		check_eq(got[i], 2); /* received 1, counted once */
}

static void zero_size_elements(void)
{
	goro_chan *c = goro_chan_make(0, 1);
	struct goro_case both[] = { goro_recv_case(c, NULL), goro_send_case(c, NULL) };

	for (int i = 0; i < 10; i++) {
		check_eq(goro_select(both, 2), 1);
		check_eq(goro_select(both, 2), 0);
		check(both[0].ok);
	}
}

#define DIES .status = 2, .says

static const struct check_case cases[] = {
	{ .name = "default_when_nothing_can", .run = default_when_nothing_can },
	{ .name = "ready_case_is_taken", .run = ready_case_is_taken },
	{ .name = "choice_is_uniform", .run = choice_is_uniform },
	{ .name = "closed_choice_is_uniform", .run = closed_choice_is_uniform },
	{ .name = "closed_channel_gives_zero", .run = closed_channel_gives_zero },
	{ .name = "send_on_closed",
	  .run = send_on_closed,
	  DIES = { "^panic: send on closed channel$" } },
	{ .name = "waits_for_the_first", .run = waits_for_the_first },
	{ .name = "close_wakes_it", .run = close_wakes_it },
	{ .name = "close_panics_waiting_sender",
	  .run = close_panics_waiting_sender,
	  DIES = { "^panic: send on closed channel$", "^choose\\(" } },
	{ .name = "both_ways_does_not_meet_itself", .run = both_ways_does_not_meet_itself },
	{ .name = "two_both_ways_meet", .run = two_both_ways_meet },
	{ .name = "same_channel_twice", .run = same_channel_twice },
	{ .name = "nil_case_never_can", .run = nil_case_never_can },
	{ .name = "nil_case_beside_one_that_waits", .run = nil_case_beside_one_that_waits },
	{ .name = "no_cases_deadlock",
	  .run = no_cases_deadlock,
	  DIES = { "^fatal error: all goroutines are asleep - deadlock!$",
		   "^goroutine 1 \\[select \\(no cases\\)\\]:$" } },
	{ .name = "only_nil_cases_deadlock",
	  .run = only_nil_cases_deadlock,
	  DIES = { "^fatal error: all goroutines are asleep - deadlock!$",
		   "^goroutine 1 \\[select" } },
	{ .name = "two_hundred_cases", .run = two_hundred_cases },
	{ .name = "zero_size_elements", .run = zero_size_elements },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
