/* SPDX-License-Identifier: MIT */
/* GORO_LOCKORDER=1: what is a warning, and, more important, what is none. */
#include <string.h>

#include "check.h"

#define N 3

static goro_mutex mu[N], gate;
static goro_rwmutex rw[N];

/* Run each in a goroutine of its own, one after the other, so that nothing deadlocks. */
static void run(goro_fn *fn)
{
	goro_leak_mark *mark = goro_mark_leaks();

	go(fn, NULL);
	goro_assert_no_leaks(mark, CHECK_PATIENCE);
}

static __attribute__((noinline)) void lock_2(goro_mutex *a, goro_mutex *b)
{
	goro_mutex_lock(a);
	goro_mutex_lock(b); /* SECOND */
	goro_mutex_unlock(b);
	goro_mutex_unlock(a);
}

static void there(void *unused)
{
	(void)unused;
	lock_2(&mu[0], &mu[1]);
}

static void back(void *unused)
{
	(void)unused;
	lock_2(&mu[1], &mu[0]);
}

static void both_orders(void)
{
	for (int i = 0; i < 5; i++) {
		run(there);
		run(back);
	}
}

static void step(void *arg)
{
	int i = *(int *)arg;

	lock_2(&mu[i], &mu[(i + 1) % N]);
}

static void in_a_ring(void)
{
	for (int i = 0; i < N; i++) {
		goro_leak_mark *mark = goro_mark_leaks();

		go_copy(step, &i);
		goro_assert_no_leaks(mark, CHECK_PATIENCE);
	}
}

/* Unlocked in another order than locked, and a condition's mutex. */
static void crosswise(void *unused)
{
	static goro_cond cond;

	(void)unused;
	goro_mutex_lock(&mu[0]);
	goro_mutex_lock(&mu[1]);
	goro_mutex_unlock(&mu[0]);
	/* mu[1] alone is held: this is no mu[1] under mu[2]'s order. */
	goro_mutex_lock(&mu[2]);
	goro_mutex_unlock(&mu[1]);
	goro_mutex_unlock(&mu[2]);
	goro_cond_signal(&cond);
}

static void after_all(void *unused)
{
	(void)unused;
	lock_2(&mu[1], &mu[2]);
	lock_2(&mu[0], &mu[2]);
	goro_mutex_lock(&mu[2]);
	goro_mutex_unlock(&mu[2]);
	goro_mutex_lock(&mu[0]);
	goro_mutex_unlock(&mu[0]);
}

static void one_order(void)
{
	for (int i = 0; i < 3; i++) {
		run(there);
		run(crosswise);
		run(after_all);
	}
}

static void the_same_goroutine(void)
{
	there(NULL);
	back(NULL);
	there(NULL);
}

static void gated_there(void *unused)
{
	goro_mutex_lock(&gate);
	there(unused);
	goro_mutex_unlock(&gate);
}

static void gated_back(void *unused)
{
	goro_mutex_lock(&gate);
	back(unused);
	goro_mutex_unlock(&gate);
}

static void behind_one_gate(void)
{
	run(gated_there);
	run(gated_back);
}

static void one_has_no_gate(void)
{
	run(gated_there);
	run(back);
}

static void try_back(void *unused)
{
	(void)unused;
	goro_mutex_lock(&mu[1]);
	if (goro_mutex_try_lock(&mu[0]))
		goro_mutex_unlock(&mu[0]);
	goro_mutex_unlock(&mu[1]);
}

static void who_tries_does_not_wait(void)
{
	run(there);
	run(try_back);
}

/* What was tried in vain is not held; what was tried with success is. */
static void try_then_lock(void *unused)
{
	(void)unused;
	check(goro_mutex_try_lock(&mu[1]));
	goro_mutex_lock(&mu[0]);
	goro_mutex_unlock(&mu[0]);
	goro_mutex_unlock(&mu[1]);
}

static void who_tried_holds(void)
{
	run(there);
	run(try_then_lock);
}

static void try_in_vain(void *unused)
{
	(void)unused;
	check(!goro_mutex_try_lock(&mu[1]));
	check(!goro_rwmutex_try_rlock(&rw[1]));
	check(!goro_rwmutex_try_lock(&rw[1]));
	goro_mutex_lock(&mu[0]);
	goro_mutex_unlock(&mu[0]);
}

static void who_tried_in_vain_does_not(void)
{
	run(there);
	goro_mutex_lock(&mu[1]);
	goro_rwmutex_lock(&rw[1]);
	run(try_in_vain);
	goro_rwmutex_unlock(&rw[1]);
	goro_mutex_unlock(&mu[1]);
}

static void read_2(goro_rwmutex *a, goro_rwmutex *b)
{
	goro_rwmutex_rlock(a);
	goro_rwmutex_rlock(b);
	goro_rwmutex_runlock(a);
	goro_rwmutex_runlock(b);
}

static void read_there(void *unused)
{
	(void)unused;
	read_2(&rw[0], &rw[1]);
}

static void read_back(void *unused)
{
	(void)unused;
	read_2(&rw[1], &rw[0]);
}

static void readers_do_not_mind(void)
{
	run(read_there);
	run(read_back);
}

static void write_back(void *unused)
{
	(void)unused;
	goro_rwmutex_lock(&rw[1]);
	goro_rwmutex_lock(&rw[0]);
	goro_rwmutex_unlock(&rw[0]);
	goro_rwmutex_unlock(&rw[1]);
}

static void a_writer_does(void)
{
	run(read_there);
	run(write_back);
}

struct pair {
	goro_mutex a, b;
};

static void ordered(void *arg)
{
	struct pair *p = arg;

	lock_2(&p->a, &p->b);
}

static void reversed(void *arg)
{
	struct pair *p = arg;

	lock_2(&p->b, &p->a);
}

/* Each time they are other locks, though at the same place. */
static void memory_that_is_used_again(void)
{
	static struct pair p;

	for (int i = 0; i < 10; i++) {
		goro_leak_mark *mark = goro_mark_leaks();

		memset(&p, 0, sizeof(p));
		go(i % 2 ? ordered : reversed, &p);
		goro_assert_no_leaks(mark, CHECK_PATIENCE);
	}
}

static void hammer(void *arg)
{
	unsigned seed = *(unsigned *)arg;

	for (int i = 0; i < 2000; i++) {
		unsigned a = (seed = seed * 1103515245 + 12345) >> 16 & 1;

		lock_2(&mu[a], &mu[a + 1]);
		if (i % 7 == 0)
			read_2(&rw[a], &rw[a + 1]);
	}
}

/* Always in order, from many goroutines at once, and all of it still excludes. */
static void many_at_once(void)
{
	goro_leak_mark *mark = goro_mark_leaks();

	for (unsigned i = 0; i < 8; i++)
		go_copy(hammer, &i);
	goro_assert_no_leaks(mark, 6 * CHECK_PATIENCE);
}

static void off(void)
{
	both_orders();
}

#define WARNING "^warning: 2 locks are taken in both orders, in which 2 goroutines can deadlock$"
#define ON	.env = "GORO_LOCKORDER=1"
#define SILENT	ON, .never = "warning"

static const struct check_case cases[] = {
	{ .name = "both_orders",
	  .run = both_orders,
	  ON,
	  .says = { WARNING, "^goroutine [0-9]+ took lock A:$", "^    lock_2\\(",
		    "test_lockorder\\.c:[0-9]+$", "^    back\\(",
		    "^  and then, still holding it, lock B:$", "^    lock_2\\(", "^    back\\(",
		    "^goroutine [0-9]+ took lock B:$", "^    there\\(" } },
	{ .name = "both_orders_once", .run = both_orders, ON, .never = "warning(.|\n)*warning" },
	{ .name = "in_a_ring",
	  .run = in_a_ring,
	  ON,
	  .says = { "^warning: 3 locks are taken in circular orders, in which 3 goroutines" } },
	{ .name = "one_order", .run = one_order, SILENT },
	{ .name = "the_same_goroutine", .run = the_same_goroutine, SILENT },
	{ .name = "behind_one_gate", .run = behind_one_gate, SILENT },
	{ .name = "one_has_no_gate", .run = one_has_no_gate, ON, .says = { WARNING } },
	{ .name = "who_tries_does_not_wait", .run = who_tries_does_not_wait, SILENT },
	{ .name = "who_tried_holds", .run = who_tried_holds, ON, .says = { WARNING } },
	{ .name = "who_tried_in_vain_does_not", .run = who_tried_in_vain_does_not, SILENT },
	{ .name = "readers_do_not_mind", .run = readers_do_not_mind, SILENT },
	{ .name = "a_writer_does",
	  .run = a_writer_does,
	  ON,
	  .says = { WARNING, "took lock [AB]:$", "took lock [AB] for reading:$",
		    "still holding it, lock [AB] for reading:$" } },
	{ .name = "memory_that_is_used_again", .run = memory_that_is_used_again, SILENT },
	{ .name = "many_at_once", .run = many_at_once, SILENT },
	{ .name = "off", .run = off, .never = "warning" },
	{ .name = "bad_setting",
	  .run = off,
	  .env = "GORO_LOCKORDER=yes",
	  .status = 2,
	  .says = { "^fatal error: GORO_LOCKORDER=yes: not 0 or 1\n$" } },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
