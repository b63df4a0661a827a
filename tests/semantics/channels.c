/* SPDX-License-Identifier: MIT */
/* "Close", "Receive operator", "Select statements" of the language specification. */
#include <math.h>
#include <stdatomic.h>

#include "check.h"
#include "goro_introspect.h"

/* ---- closing -----------------------------------------------------------------------------------
 */

static void recover_it(void *message)
{
	const char *got = goro_recover();

	snprintf(message, 64, "%s", got ? got : "nothing");
}

struct attempt {
	goro_chan *c;
	int how;
	char message[64];
};

static void attempt(void *arg)
{
	struct attempt *a = arg;
	int v = 1;
	struct goro_case one[] = { goro_send_case(a->c, &v) };
	struct goro_case two[] = { goro_send_case(a->c, &v), goro_send_case(a->c, &v) };

	goro_defer(recover_it, a->message);
	switch (a->how) {
	case 0:
		goro_chan_send(a->c, &v);
		break;
	case 1:
		goro_chan_try_send(a->c, &v);
		break;
	case 2:
		goro_select(one, 1);
		break;
	case 3:
		goro_select_default(two, 2);
		break;
	case 4:
		goro_select_timeout(two, 2, GORO_SECOND);
		break;
	default:
		goro_chan_close(a->c);
		break;
	}
}

/* Sending on a closed channel panics in every form, room in the buffer or not; so does closing.
 * Afterwards the channel still works: what is in it comes out, in order, and then zeros. */
static void misuse_leaves_the_channel_whole(void)
{
	for (size_t cap = 0; cap < 4; cap++) {
		goro_chan *c = goro_chan_of(int, cap);
		int v;

		for (int i = 0; i < (int)cap - 1; i++)
			goro_chan_send(c, &i);
		goro_chan_close(c);
		for (int how = 0; how < 6; how++) {
			struct attempt a = { .c = c, .how = how };

			check(!goro_try(attempt, &a));
			check(check_match(a.message, how < 5 ? "^send on closed channel$"
							     : "^close of closed channel$"));
		}
		for (int i = 0; i < (int)cap - 1; i++)
			check(goro_chan_recv(c, &v) && v == i);
		v = 7;
		check(!goro_chan_recv(c, &v) && v == 0);
		check_eq(goro_chan_len(c), 0);
		check_eq(goro_chan_cap(c), cap);
		goro_chan_free(c);
	}
}

struct crowd {
	goro_chan *c;
	goro_waitgroup wg;
	atomic_int panicked, zeros, values, selected;
};

static void note_panic(void *arg)
{
	struct crowd *crowd = arg;

	if (goro_recover())
		crowd->panicked++;
	goro_waitgroup_done(&crowd->wg);
}

static void crowd_send(void *arg)
{
	struct crowd *crowd = arg;

	goro_defer(note_panic, crowd);
	goro_chan_send(crowd->c, &(int){ 5 });
	crowd->values++;
}

static void crowd_select_send(void *arg)
{
	struct crowd *crowd = arg;
	struct goro_case cases[] = {
		goro_recv_case(NULL, NULL),
		goro_send_case(crowd->c, &(int){ 5 }),
	};

	goro_defer(note_panic, crowd);
	goro_select(cases, 2);
	crowd->values++;
}

/* Closing makes every blocked sender panic; what was sent before stays. */
static void close_panics_every_sender(void)
{
	struct crowd crowd = { .c = goro_chan_of(int, 3) };
	int v, got = 0;

	for (int i = 0; i < 3; i++)
		goro_chan_send(crowd.c, &i);
	goro_waitgroup_add(&crowd.wg, 40);
	for (int i = 0; i < 20; i++) {
		check_parked(go(crowd_send, &crowd), GORO_REASON_CHAN_SEND);
		check_parked(go(crowd_select_send, &crowd), GORO_REASON_SELECT);
	}
	goro_chan_close(crowd.c);
	goro_waitgroup_wait(&crowd.wg);
	check_eq(crowd.panicked, 40);
	while (goro_chan_recv(crowd.c, &v))
		check_eq(v, got++);
	check_eq(got, 3);
}

struct race {
	goro_chan *c[3];
	atomic_int ready;
	bool panicked;
	goro_waitgroup wg;
};

static void race_panicked(void *arg)
{
	struct race *race = arg;

	race->panicked = goro_recover();
}

/* On two cores at the same moment, where there are two. */
static void meet(struct race *race)
{
	race->ready++;
	for (int i = 1; race->ready < 2; i++)
		if (i % 1000 == 0)
			goro_yield();
}

static void select_over_three(void *arg)
{
	struct race *race = arg;
	struct goro_case cases[] = {
		goro_send_case(race->c[0], NULL),
		goro_send_case(race->c[1], NULL),
		goro_send_case(race->c[2], NULL),
	};

	goro_defer(race_panicked, race);
	meet(race);
	goro_select_timeout(cases, 3, 60 * GORO_SECOND);
}

static void racer(void *arg)
{
	struct race *race = arg;

	check(!goro_try(select_over_three, race));
	goro_waitgroup_done(&race->wg);
}

/*
 * A close that comes while a select is looking: it panics, and has no lock left in its hands, so
 * that all the channels can be used afterwards.
 */
static void select_panics_without_locks(void)
{
	for (int round = 0; round < 3000; round++) {
		struct race race = { .ready = 0 };

		for (int i = 0; i < 3; i++)
			race.c[i] = goro_chan_make(0, 0);
		goro_waitgroup_add(&race.wg, 1);
		go(racer, &race);
		meet(&race);
		for (volatile int i = 0; i < round % 150; i++)
			;
		goro_chan_close(race.c[round % 3]);
		goro_waitgroup_wait(&race.wg);
		check(race.panicked);
		for (int i = 0; i < 3; i++) {
			goro_chan_try_recv(race.c[i], NULL);
			goro_chan_free(race.c[i]);
		}
	}
}

/* ---- select ------------------------------------------------------------------------------------
 */

/*
 * "A uniform pseudo-random selection": Pearson's chi-square over 8 cases that can all go on, 7
 * degrees of freedom. A fair choice exceeds 46 once in ten million times.
 */
static double chi_square(const int *hits, int n, int total)
{
	double expected = (double)total / n, sum = 0;

	for (int i = 0; i < n; i++)
		sum += pow(hits[i] - expected, 2) / expected;
	return sum;
}

static void choice_is_fair(void)
{
	enum { N = 8, ROUNDS = 40000 / CHECK_SLOW };
	struct goro_case cases[N];
	int hits[N] = { 0 }, after[N] = { 0 }, last = 0, v = 0;

	for (int i = 0; i < N; i++) {
		goro_chan *c = goro_chan_of(int, 1);

		if (i % 2) {
			goro_chan_send(c, &v);
			cases[i] = (struct goro_case)goro_recv_case(c, &v);
		} else {
			cases[i] = (struct goro_case)goro_send_case(c, &v);
		}
	}
	for (int round = 0; round < ROUNDS; round++) {
		int at = goro_select(cases, N);

		if (at % 2)
			goro_chan_send(cases[at].chan, &v);
		else
			goro_chan_recv(cases[at].chan, &v);
		hits[at]++;
		after[(at - last + N) %
		      N]++; /* nor does the last choice say anything about this one */
		last = at;
	}
	check(chi_square(hits, N, ROUNDS) < 46);
	check(chi_square(after, N, ROUNDS) < 46);
}

/* Only some can go on: the others, before, between and behind them, lend them no extra weight. */
static void choice_among_some_is_fair(void)
{
	enum { N = 9, ROUNDS = 30000 / CHECK_SLOW };
	struct goro_case cases[N];
	int hits[3] = { 0 }, v = 0;

	for (int i = 0; i < N; i++) {
		goro_chan *c = i == 2 ? NULL : goro_chan_of(int, 0);

		cases[i] = (struct goro_case)goro_recv_case(c, &v);
		if (i == 1 || i == 3 || i == 8)
			goro_chan_close(c);
	}
	for (int round = 0; round < ROUNDS; round++) {
		int at = goro_select(cases, N);

		check(at == 1 || at == 3 || at == 8);
		hits[at == 1 ? 0 : at == 3 ? 1 : 2]++;
	}
	check(chi_square(hits, 3, ROUNDS) < 33); /* 2 degrees of freedom */
}

/* One that is always ready does not starve the others, nor does a default. */
static void producer(void *arg)
{
	struct crowd *crowd = arg;

	for (int i = 0; i < 1000; i++)
		goro_chan_send(crowd->c, &i);
	goro_waitgroup_done(&crowd->wg);
}

static void nobody_is_starved(void)
{
	struct crowd crowd = { .c = goro_chan_of(int, 0) };
	goro_chan *always = goro_chan_make(0, 0);
	int v, got = 0;
	struct goro_case cases[] = { goro_recv_case(always, NULL), goro_recv_case(crowd.c, &v) };

	goro_chan_close(always);
	goro_waitgroup_add(&crowd.wg, 1);
	go(producer, &crowd);
	while (got < 1000) {
		if (goro_select(cases, 2) == 1)
			got++;
		else
			goro_yield();
	}
	goro_waitgroup_wait(&crowd.wg);
}

/* Only the chosen case takes effect. */
static void one_case_takes_effect(void)
{
	goro_chan *a = goro_chan_of(int, 1), *b = goro_chan_of(int, 1);
	int one = 1, x = -1;

	for (int i = 0; i < 200; i++) {
		struct goro_case cases[] = { goro_send_case(a, &one), goro_send_case(b, &one) };

		goro_select(cases, 2);
		check_eq(goro_chan_len(a) + goro_chan_len(b), 1);
		x = -1;
		if (goro_chan_try_recv(a, &x) != GORO_GOT)
			check_eq(goro_chan_try_recv(b, &x), GORO_GOT);
		check_eq(x, 1);
	}
}

/* A channel of cap n holds n and never more; FIFO between one sender and one receiver. */
static void fifo_body(void *arg)
{
	for (int i = 0; i < 5000; i++)
		goro_chan_send(arg, &i);
}

static void length_never_passes_capacity(void)
{
	for (size_t cap = 0; cap < 3; cap++) {
		goro_chan *c = goro_chan_of(int, cap);
		int v;

		go(fifo_body, c);
		for (int i = 0; i < 5000; i++) {
			check(goro_chan_len(c) <= cap);
			check(goro_chan_recv(c, &v) && v == i);
		}
	}
}

static void nil_has_no_length(void)
{
	check_eq(goro_chan_len(NULL), 0);
	check_eq(goro_chan_cap(NULL), 0);
	check(!goro_chan_try_send(NULL, NULL));
	check_eq(goro_chan_try_recv(NULL, NULL), GORO_WOULD_BLOCK);
}

#define CASE(f)                      \
	{                            \
		.name = #f, .run = f \
	}
static const struct check_case cases[] = {
	CASE(misuse_leaves_the_channel_whole),
	CASE(close_panics_every_sender),
	CASE(select_panics_without_locks),
	CASE(choice_is_fair),
	CASE(choice_among_some_is_fair),
	CASE(nobody_is_starved),
	CASE(one_case_takes_effect),
	CASE(length_never_passes_capacity),
	CASE(nil_has_no_length),
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
