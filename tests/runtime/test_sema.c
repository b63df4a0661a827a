/* SPDX-License-Identifier: MIT */
/* Weighted semaphores: order of arrival, contexts, misuse. */
#include <stdatomic.h>

#include "check.h"
#include "goro_introspect.h"

#define MS GORO_MILLISECOND

struct asker {
	goro_sema *s;
	goro_context *ctx;
	int64_t n;
	goro_chan *got; /* n, or the error */
};

static void ask(void *arg)
{
	struct asker *a = arg;
	int64_t result = a->n;

	if (a->ctx) {
		int err = goro_sema_acquire_context(a->s, a->ctx, a->n);

		result = err ? err : result;
	} else {
		goro_sema_acquire(a->s, a->n);
	}
	goro_chan_send(a->got, &result);
}

static int64_t answer(goro_chan *got)
{
	int64_t result;

	check(goro_chan_recv(got, &result));
	return result;
}

static void try_acquire(void)
{
	goro_sema s = GORO_SEMA(3);

	check(goro_sema_try_acquire(&s, 2));
	check(!goro_sema_try_acquire(&s, 2));
	check(goro_sema_try_acquire(&s, 1));
	check(goro_sema_try_acquire(&s, 0));
	check(!goro_sema_try_acquire(&s, 1));
	goro_sema_release(&s, 3);
	goro_sema_acquire(&s, 3);
	goro_sema_release(&s, 1);
	goro_sema_release(&s, 2);
	check(!goro_sema_try_acquire(&s, 4));
}

static void first_come_first_served(void)
{
	goro_sema s = GORO_SEMA(4);
	struct asker a = { .s = &s, .got = goro_chan_of(int64_t, 8) };

	goro_sema_acquire(&s, 4);
	a.n = 3;
	check_parked(go_copy(ask, &a), GORO_REASON_SEMA);
	a.n = 1;
	check_parked(go_copy(ask, &a), GORO_REASON_SEMA);
	goro_sema_release(&s, 2);
	check(!goro_sema_try_acquire(&s, 1)); /* there are 2, but the 3 come first */
	goro_yield();
	check_eq(goro_chan_len(a.got), 0);
	goro_sema_release(&s, 1); /* released by others than took them: no owner */
	check_eq(answer(a.got), 3);
	check_eq(goro_chan_len(a.got), 0);
	goro_sema_release(&s, 3);
	check_eq(answer(a.got), 1);
	goro_sema_release(&s, 2);
	goro_chan_free(a.got);
}

static void one_release_serves_many(void)
{
	goro_sema s = GORO_SEMA(6);
	struct asker a = { .s = &s, .n = 2, .got = goro_chan_of(int64_t, 0) };

	goro_sema_acquire(&s, 6);
	for (int i = 0; i < 3; i++)
		check_parked(go_copy(ask, &a), GORO_REASON_SEMA);
	goro_sema_release(&s, 6);
	for (int i = 0; i < 3; i++)
		check_eq(answer(a.got), 2);
	check(!goro_sema_try_acquire(&s, 1));
	goro_chan_free(a.got);
}

static void context_ends_the_wait(void)
{
	goro_sema s = GORO_SEMA(2);
	goro_context *ctx = goro_context_with_cancel(goro_background());
	goro_context *soon = goro_context_with_timeout(goro_background(), 2 * MS);
	struct asker big = { &s, ctx, 2, goro_chan_of(int64_t, 0) };
	struct asker too_big = { &s, soon, 100, goro_chan_of(int64_t, 0) };
	struct asker small = { &s, goro_background(), 1, goro_chan_of(int64_t, 0) };

	goro_sema_acquire(&s, 1);
	check_parked(go_copy(ask, &big), GORO_REASON_SEMA_CONTEXT);
	check_parked(go_copy(ask, &small), GORO_REASON_SEMA);
	go_copy(ask, &too_big);
	check_eq(answer(too_big.got), -ETIMEDOUT);
	goro_context_cancel(ctx);
	check_eq(answer(big.got), -ECANCELED);
	check_eq(answer(small.got), 1); /* it was held back by the big one only */
	check_eq(goro_sema_acquire_context(&s, ctx, 0), -ECANCELED); /* ended already */
	check_eq(goro_sema_acquire_context(&s, goro_background(), 0), 0);
	goro_sema_release(&s, 2);
	goro_context_release(ctx);
	goro_context_release(soon);
	goro_chan_free(big.got);
	goro_chan_free(small.got);
	goro_chan_free(too_big.got);
}

static void more_than_there_is(void)
{
	goro_sema s = GORO_SEMA(2);

	goro_sema_acquire(&s, 3);
}

static void released_too_much(void)
{
	goro_sema s = GORO_SEMA(2);

	goro_sema_acquire(&s, 1);
	goro_sema_release(&s, 2);
}

static void negative_acquire(void)
{
	goro_sema s = GORO_SEMA(2);

	goro_sema_acquire(&s, -1);
}

static void negative_release(void)
{
	goro_sema s = GORO_SEMA(2);

	goro_sema_release(&s, -1);
}

/* Never more than the size is held, nothing is lost, whoever gives up. */
struct crowd {
	goro_sema s;
	atomic_long held, taken, timed_out;
	goro_waitgroup wg;
};

enum { TURNS = 300 / CHECK_SLOW };

static void crowd_in(void *arg)
{
	struct crowd *crowd = arg;

	for (int i = 0; i < TURNS; i++) {
		int64_t n = 1 + (int64_t)(goro_id() + (uint64_t)i) % 5;
		goro_context *ctx = goro_context_with_timeout(goro_background(), i % 7 * 20000);

		if (goro_sema_acquire_context(&crowd->s, ctx, n) == 0) {
			check(atomic_fetch_add(&crowd->held, n) + n <= 5);
			goro_yield();
			crowd->taken++;
			crowd->held -= n;
			goro_sema_release(&crowd->s, n);
		} else {
			check(goro_context_err(ctx));
			crowd->timed_out++;
		}
		goro_context_release(ctx);
	}
	goro_waitgroup_done(&crowd->wg);
}

static void crowds(void)
{
	struct crowd crowd = { .s = GORO_SEMA(5) };

	goro_waitgroup_add(&crowd.wg, 24);
	for (int i = 0; i < 24; i++)
		go(crowd_in, &crowd);
	goro_waitgroup_wait(&crowd.wg);
	check_eq(crowd.taken + crowd.timed_out, 24 * TURNS);
	check(crowd.taken > 0);
	check(goro_sema_try_acquire(&crowd.s, 5));
}

#define DIES .status = 2, .says

static const struct check_case cases[] = {
	{ .name = "try_acquire", .run = try_acquire },
	{ .name = "first_come_first_served", .run = first_come_first_served },
	{ .name = "one_release_serves_many", .run = one_release_serves_many },
	{ .name = "context_ends_the_wait", .run = context_ends_the_wait },
	{ .name = "more_than_there_is",
	  .run = more_than_there_is,
	  DIES = { "^fatal error: all goroutines are asleep - deadlock!$",
		   "^goroutine 1 \\[semacquire\\]:$", "^more_than_there_is\\(" } },
	{ .name = "released_too_much",
	  .run = released_too_much,
	  DIES = { "^panic: semaphore: released more than held$" } },
	{ .name = "negative_acquire",
	  .run = negative_acquire,
	  DIES = { "^panic: semaphore: a negative amount: -1$" } },
	{ .name = "negative_release",
	  .run = negative_release,
	  DIES = { "^panic: semaphore: a negative amount: -1$" } },
	{ .name = "crowds", .run = crowds },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
