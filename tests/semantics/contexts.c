/* SPDX-License-Identifier: MIT */
/* Package context where several cancel at once, and errgroup and singleflight where tasks panic. */
#include <stdatomic.h>

#include "check.h"
#include "goro_introspect.h"

/* ---- the tree ----------------------------------------------------------------------------------
 */

enum { WIDTH = 3, DEPTH = 5, NODES = 364 }; /* 1 + 3 + 9 + 27 + 81 + 243 */

struct tree {
	goro_context *c[NODES];
	atomic_int ready;
	goro_waitgroup wg;
};

struct canceller {
	struct tree *t;
	int at;
};

static void check_all_below(struct tree *t, int at)
{
	if (at >= NODES)
		return;
	check(goro_context_err(t->c[at]));
	for (int i = 1; i <= WIDTH; i++)
		check_all_below(t, WIDTH * at + i);
}

/* When cancel returns, all that was made from it is cancelled: also if it was not we who did it. */
static void cancel_and_look(void *arg)
{
	struct canceller *c = arg;

	/* On two cores at the same moment, where there are two. */
	c->t->ready++;
	for (int i = 1; c->t->ready < 2; i++)
		if (i % 1000 == 0)
			goro_yield();
	goro_context_cancel(c->t->c[c->at]);
	check_all_below(c->t, c->at);
	goro_waitgroup_done(&c->t->wg);
}

static void cancel_returns_when_all_is_cancelled(void)
{
	for (int round = 0; round < 300; round++) {
		/* The root and what is below it, or twice the same. */
		static const int at[] = { 0, 1, 2, 4, 13, 40 };
		struct tree t = { .ready = 0 };
		struct canceller c = { &t, 0 };

		for (int i = 0; i < NODES; i++)
			t.c[i] = goro_context_with_cancel(i ? t.c[(i - 1) / WIDTH]
							    : goro_background());
		goro_waitgroup_add(&t.wg, 2);
		go_copy(cancel_and_look, &c);
		c.at = at[round % 6];
		go_copy(cancel_and_look, &c);
		goro_waitgroup_wait(&t.wg);
		for (int i = 0; i < NODES; i++)
			goro_context_release(t.c[i]);
	}
}

/* The first cancel decides error and cause, for the whole tree below. */
static void first_cause_stays(void)
{
	goro_context *a = goro_context_with_cancel(goro_background());
	goro_context *b = goro_context_with_timeout(a, 3600 * GORO_SECOND);
	goro_context *c = goro_context_with_cancel(b);

	goro_context_cancel_cause(b, -ENOSPC);
	goro_context_cancel_cause(a, -EIO);
	goro_context_cancel_cause(c, -EPERM);
	check_eq(goro_context_cause(c), -ENOSPC);
	check_eq(goro_context_cause(b), -ENOSPC);
	check_eq(goro_context_cause(a), -EIO);
	check_eq(goro_context_err(c), -ECANCELED);
	check(goro_context_deadline(c, NULL) && !goro_context_deadline(a, NULL));
	goro_context_release(c);
	goro_context_release(b);
	goro_context_release(a);
}

/* A child of one that is cancelled is born cancelled, for the same reason. */
static void born_cancelled(void)
{
	goro_context *a = goro_context_with_cancel(goro_background());
	goro_context *b;

	goro_context_cancel_cause(a, -EIO);
	b = goro_context_with_timeout(a, GORO_SECOND);
	check_eq(goro_context_err(b), -ECANCELED);
	check_eq(goro_context_cause(b), -EIO);
	check_eq(goro_chan_try_recv(goro_context_done(b), NULL), GORO_CLOSED);
	goro_context_release(b);
	b = goro_context_with_deadline(goro_background(), goro_now() - 1);
	check_eq(goro_context_err(b), -ETIMEDOUT);
	goro_context_release(b);
	goro_context_release(a);
}

static atomic_int ran;

static void count(void *unused)
{
	(void)unused;
	ran++;
}

/* AfterFunc: stopped or started, never both, against a cancel that comes at the same time. */
static void cancel_it(void *ctx)
{
	goro_context_cancel(ctx);
	goro_context_release(ctx);
}

static void after_func_once(void)
{
	int stopped = 0;
	enum { N = 500 };

	for (int i = 0; i < N; i++) {
		goro_context *ctx = goro_context_with_cancel(goro_background());
		goro_context_after *a = goro_context_after_func(ctx, count, NULL);

		go(cancel_it, ctx);
		if (i % 2)
			goro_yield();
		stopped += goro_context_after_stop(a);
	}
	check_eventually(ran == N - stopped);
	check_eventually(goro_count() == 1);
	check_eq(ran, N - stopped);
}

/* ---- groups and flights ------------------------------------------------------------------------
 */

static int wait_and_say(void *arg)
{
	goro_chan_recv(arg, NULL);
	return -EIO;
}

static int say(void *arg)
{
	goro_context *ctx = arg;

	goro_chan_recv(goro_context_done(ctx), NULL);
	return goro_context_cause(ctx);
}

/* Wait returns the first error; the context of the group is over when Wait is. */
static void first_error_of_a_group(void)
{
	goro_chan *gate = goro_chan_make(0, 0);
	goro_group *g = goro_group_new(goro_background());
	goro_context *ctx = goro_context_retain(goro_group_context(g));

	for (int i = 0; i < 10; i++)
		goro_group_go(g, say, ctx);
	goro_group_go(g, wait_and_say, gate);
	check_eq(goro_context_err(ctx), 0);
	goro_chan_close(gate);
	check_eq(goro_group_wait(g), -EIO);
	check_eq(goro_context_cause(ctx), -EIO);
	goro_group_free(g);
	goro_context_release(ctx);
	goro_chan_free(gate);
}

static goro_flight flight;
static atomic_int flights;

static void recover_it(void *unused)
{
	(void)unused;
	check(goro_recover());
}

static int panics(void *gate, void *result)
{
	(void)result;
	flights++;
	goro_chan_recv(gate, NULL);
	goro_panic("in flight");
}

static void first_in_flight(void *gate)
{
	int result = 0;

	goro_defer(recover_it, NULL);
	goro_flight_do(&flight, "key", panics, gate, &result, sizeof(result), NULL);
}

static void try_first(void *gate)
{
	check(!goro_try(first_in_flight, gate));
	flights += 100;
}

static void second_in_flight(void *gate)
{
	int result = 0;

	check_eq(goro_flight_do(&flight, "key", panics, gate, &result, sizeof(result), NULL),
		 -ECANCELED);
	flights += 10;
}

/* A shared call that panics: its maker panics, those who share it hear of it, nobody waits on. */
static void flight_that_panics(void)
{
	goro_chan *gate = goro_chan_make(0, 0);

	go(try_first, gate);
	check_eventually(flights == 1);
	check_parked(go(second_in_flight, gate), GORO_REASON_WAITGROUP);
	goro_chan_close(gate);
	check_eventually(flights == 111);
}

#define CASE(f)                      \
	{                            \
		.name = #f, .run = f \
	}
static const struct check_case cases[] = {
	CASE(cancel_returns_when_all_is_cancelled),
	CASE(first_cause_stays),
	CASE(born_cancelled),
	CASE(after_func_once),
	CASE(first_error_of_a_group),
	CASE(flight_that_panics),
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
