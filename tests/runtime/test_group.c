/* SPDX-License-Identifier: MIT */
/* Groups of goroutines, shared calls, and the pool. */
#include <malloc.h>
#include <stdatomic.h>
#include <string.h>

#include "check.h"
#include "goro_introspect.h"

#define MS GORO_MILLISECOND

/* ---- group ----------------------------------------------------------------------------------- */

static atomic_int running, most, ran;

static int work(void *arg)
{
	int now = ++running, seen = most;

	while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now))
		;
	goro_yield();
	ran++;
	running--;
	return (int)(intptr_t)arg;
}

static void all_succeed(void)
{
	goro_group *g = goro_group_new(NULL);

	check(goro_group_context(g) == goro_background());
	check_eq(goro_group_wait(g), 0);
	for (int i = 0; i < 1000; i++)
		goro_group_go(g, work, NULL);
	check_eq(goro_group_wait(g), 0);
	check_eq(ran, 1000);
	goro_group_free(g);
	goro_group_free(NULL);
}

static int until_cancelled(void *arg)
{
	goro_context *ctx = arg;

	goro_chan_recv(goro_context_done(ctx), NULL);
	check_eq(goro_context_cause(ctx), -EIO);
	return goro_context_err(ctx);
}

static void first_error_cancels(void)
{
	goro_context *parent = goro_context_with_cancel(goro_background());
	goro_group *g = goro_group_new(parent);

	for (int i = 0; i < 10; i++)
		goro_group_go(g, until_cancelled, goro_group_context(g));
	goro_group_go(g, work, (void *)(intptr_t)-EIO);
	check_eq(goro_group_wait(g), -EIO);
	check_eq(goro_context_err(parent), 0);
	goro_group_free(g);
	goro_context_release(parent);
}

static void wait_cancels(void)
{
	goro_group *g = goro_group_new(goro_background());
	goro_context *ctx = goro_context_retain(goro_group_context(g));

	goro_group_go(g, work, NULL);
	check_eq(goro_group_wait(g), 0);
	check_eq(goro_context_err(ctx), -ECANCELED);
	goro_group_free(g);
	check_eq(goro_context_err(ctx), -ECANCELED);
	goro_context_release(ctx);
}

static void limit_holds(void)
{
	goro_group *g = goro_group_new(NULL);

	goro_group_set_limit(g, 3);
	for (int i = 0; i < 300; i++)
		goro_group_go(g, work, NULL);
	check_eq(goro_group_wait(g), 0);
	check_eq(ran, 300);
	check(most <= 3);
	goro_group_set_limit(g, 0);
	check(!goro_group_try_go(g, work, NULL));
	goro_group_set_limit(g, -1);
	check(goro_group_try_go(g, work, NULL));
	goro_group_wait(g);
	goro_group_free(g);
}

static int exits(void *arg)
{
	(void)arg;
	goro_exit();
}

static void exit_counts_as_end(void)
{
	goro_group *g = goro_group_new(NULL);

	goro_group_set_limit(g, 1);
	goro_group_go(g, exits, NULL);
	goro_group_go(g, exits, NULL);
	check_eq(goro_group_wait(g), 0);
	goro_group_free(g);
}

/* ---- waitgroup: add, go and done in one -------------------------------------------------------
 */

struct addend {
	char odd; /* so that a copy which is not aligned would be seen */
	long double value;
	atomic_long *sum;
};

static void add_up(void *arg)
{
	struct addend *a = arg;

	check_eq((uintptr_t)a % 16, 0);
	check_eq(a->odd, 'x');
	goro_yield();
	*a->sum += (long)a->value;
}

static int add_up_task(void *arg)
{
	add_up(arg);
	return 0;
}

static void just_work(void *arg)
{
	work(arg);
}

static void exit_in_it(void *arg)
{
	work(arg);
	goro_exit();
}

static void go_counts(void)
{
	goro_waitgroup wg = { 0 };

	for (int i = 0; i < 500; i++) {
		goro_waitgroup_go(&wg, exit_in_it, NULL);
		goro_waitgroup_go(&wg, just_work, NULL);
	}
	goro_waitgroup_wait(&wg);
	check_eq(ran, 1000);
}

static void copies_are_its_own(void)
{
	goro_group *g = goro_group_new(NULL);
	goro_waitgroup wg = { 0 };
	atomic_long sum = 0;

	goro_group_set_limit(g, 10);
	for (int i = 1; i <= 100; i++) {
		struct addend a = { 'x', i, &sum };

		goro_waitgroup_go_copy(&wg, add_up, &a, sizeof(a));
		goro_group_go_copy(g, add_up_task, &a, sizeof(a));
		memset(&a, 0, sizeof(a));
	}
	goro_waitgroup_wait(&wg);
	check_eq(goro_group_wait(g), 0);
	check_eq(sum, 2 * 5050);
	goro_group_free(g);
}

static int wait_for(void *arg)
{
	goro_chan_recv(arg, NULL);
	return 0;
}

static void limit_while_active(void)
{
	goro_group *g = goro_group_new(NULL);

	goro_group_go(g, wait_for, goro_chan_make(0, 0));
	goro_group_set_limit(g, 2);
}

static int ends_at_once(void *arg)
{
	(void)arg;
	return 0;
}

static void recover_(void *arg)
{
	(void)arg;
	goro_recover();
}

static void try_to_free(void *group)
{
	goro_defer(recover_, NULL);
	goro_group_free(group);
}

/* As soon as it does not panic nobody uses the group any more: what
 * has its memory then is let be. */
static void free_without_wait(void)
{
	for (int round = 0; round < 500; round++) {
		goro_group *g = goro_group_new(NULL);
		size_t size = malloc_usable_size(g);
		void *next;

		goro_group_set_limit(g, 1);
		goro_group_go(g, ends_at_once, NULL);
		while (!goro_try(try_to_free, g))
			goro_yield();
		next = malloc(size);
		memset(next, 0xff, size);
		goro_yield();
		for (size_t i = 0; i < size; i++)
			check_eq(((unsigned char *)next)[i], 0xff);
		free(next);
	}
}

static void free_while_active(void)
{
	goro_group *g = goro_group_new(NULL);

	goro_group_go(g, wait_for, goro_chan_make(0, 0));
	goro_group_free(g);
}

static void nil_task(void)
{
	goro_group_go(goro_group_new(NULL), NULL, NULL);
}

/* ---- flight ---------------------------------------------------------------------------------- */

static goro_flight flight;
static atomic_int calls;
static goro_chan *gate;

static int fetch(void *arg, void *result)
{
	int n = ++calls;

	goro_chan_recv(gate, NULL);
	*(int *)result = n;
	return arg ? *(int *)arg : 0;
}

struct asker {
	const char *key;
	goro_waitgroup *wg;
	int got, err;
	bool shared;
	uint64_t id;
};

static void ask(void *arg)
{
	struct asker *a = arg;
	int err = -EAGAIN;

	a->err = goro_flight_do(&flight, a->key, fetch, &err, &a->got, sizeof(a->got), &a->shared);
	goro_waitgroup_done(a->wg);
}

static void one_call_for_all(void)
{
	enum { N = 50 };
	struct asker askers[N + 1];
	goro_waitgroup wg = { 0 };

	gate = goro_chan_make(0, 0);
	goro_waitgroup_add(&wg, N + 1);
	for (int i = 0; i <= N; i++) {
		askers[i] = (struct asker){ .key = i < N ? "same" : "other", .wg = &wg };
		askers[i].id = go(ask, &askers[i]);
		check_parked(askers[i].id, i % N ? GORO_REASON_WAITGROUP : GORO_REASON_CHAN_RECV);
	}
	check_eq(calls, 2);
	goro_chan_close(gate);
	goro_waitgroup_wait(&wg);
	check_eq(calls, 2);
	for (int i = 0; i <= N; i++) {
		check_eq(askers[i].got, i < N ? 1 : 2);
		check_eq(askers[i].err, -EAGAIN);
		check_eq(askers[i].shared, i < N);
	}
	/* The call is over: the next one is a new one. */
	goro_waitgroup_add(&wg, 1);
	ask(&askers[0]);
	check_eq(askers[0].got, 3);
	check(!askers[0].shared);
	goro_chan_free(gate);
}

static void forgotten_call(void)
{
	goro_waitgroup wg = { 0 };
	struct asker old = { .key = "k", .wg = &wg }, new = old, late = old;

	gate = goro_chan_make(0, 0);
	goro_waitgroup_add(&wg, 1);
	goro_flight_forget(&flight, "k");
	check_parked(go(ask, &old), GORO_REASON_CHAN_RECV);
	goro_flight_forget(&flight, "k");
	new.wg = late.wg = &(goro_waitgroup){ 0 };
	goro_waitgroup_add(new.wg, 2);
	check_parked(go(ask, &new), GORO_REASON_CHAN_RECV);
	goro_chan_send(gate, NULL); /* the first that waits: the old one */
	goro_waitgroup_wait(&wg);
	check_eq(old.got, 1);
	/* Its end did not touch the new call, which is there to be shared. */
	check_parked(go(ask, &late), GORO_REASON_WAITGROUP);
	goro_chan_send(gate, NULL);
	goro_waitgroup_wait(new.wg);
	check_eq(calls, 2);
	check_eq(new.got, 2);
	check_eq(late.got, 2);
	check(!old.shared && new.shared &&late.shared);
	goro_chan_free(gate);
}

static int fetch_and_exit(void *arg, void *result)
{
	(void)arg;
	*(int *)result = 5;
	goro_chan_recv(gate, NULL);
	goro_exit();
}

static void ask_and_exit(void *arg)
{
	int got;

	(void)arg;
	goro_flight_do(&flight, "k", fetch_and_exit, NULL, &got, sizeof(got), NULL);
	check(!"came back");
}

static void call_that_exits(void)
{
	goro_waitgroup wg = { 0 };
	struct asker a = { .key = "k", .wg = &wg };

	gate = goro_chan_make(0, 0);
	goro_waitgroup_add(&wg, 1);
	check_parked(go(ask_and_exit, NULL), GORO_REASON_CHAN_RECV);
	check_parked(go(ask, &a), GORO_REASON_WAITGROUP);
	goro_chan_close(gate);
	goro_waitgroup_wait(&wg);
	check_eq(a.err, -ECANCELED);
	check_eq(a.got, 5);
	check_eq(calls, 0);
	goro_chan_free(gate);
}

static void other_size(void)
{
	goro_waitgroup wg = { 0 };
	struct asker a = { .key = "k", .wg = &wg };
	char small;

	gate = goro_chan_make(0, 0);
	check_parked(go(ask, &a), GORO_REASON_CHAN_RECV);
	goro_flight_do(&flight, "k", fetch, NULL, &small, sizeof(small), NULL);
}

static void no_key(void)
{
	goro_flight_do(&flight, NULL, fetch, NULL, NULL, 0, NULL);
}

static int fetch_quickly(void *arg, void *result)
{
	goro_yield();
	memcpy(result, arg, 8);
	return 0;
}

static void ask_often(void *arg)
{
	for (int i = 0; i < 500; i++) {
		char key[16] = { 0 }, got[8] = { 0 };

		snprintf(key, sizeof(key), "key %03d", i % 40);
		check_eq(goro_flight_do(&flight, key, fetch_quickly, key, got, 8, NULL), 0);
		check(!memcmp(key, got, 8));
		if (i % 16 == 0)
			goro_flight_forget(&flight, key);
	}
	goro_waitgroup_done(arg);
}

static void many_flights(void)
{
	goro_waitgroup wg = { 0 };

	goro_waitgroup_add(&wg, 20);
	for (int i = 0; i < 20; i++)
		go(ask_often, &wg);
	goro_waitgroup_wait(&wg);
}

/* ---- pool ------------------------------------------------------------------------------------ */

static atomic_long made, dropped;

static void *make_object(void *arg)
{
	check(arg == &made);
	made++;
	return calloc(1, sizeof(atomic_int));
}

static void drop_object(void *object, void *arg)
{
	check(arg == &made);
	dropped++;
	free(object);
}

static goro_pool pool = { .make = make_object, .drop = drop_object, .arg = &made };

static void pool_gives_back(void)
{
	goro_pool none = { 0 };
	void *a = goro_pool_get(&pool);

	check(a);
	goro_pool_put(&pool, NULL);
	goro_pool_put(&pool, a);
	check(goro_pool_get(&pool) == a); /* main has not moved, or it came from where it was */
	check_eq(made, 1);
	goro_pool_put(&pool, a);
	goro_pool_clear(&pool);
	check_eq(dropped, 1);
	goro_pool_clear(&pool);
	goro_pool_put(&pool, goro_pool_get(&pool));
	check_eq(made, 2);
	goro_pool_clear(&pool);
	check_eq(dropped, 2);

	check(!goro_pool_get(&none));
	goro_pool_put(&none, &none);
	check(goro_pool_get(&none) == &none);
	goro_pool_clear(&none);
}

static void pool_is_bounded(void)
{
	enum { N = 5000 };
	void **objects = calloc(N, sizeof(*objects));

	check(objects);
	for (int i = 0; i < N; i++)
		objects[i] = goro_pool_get(&pool);
	check_eq(made, N);
	for (int i = 0; i < N; i++)
		goro_pool_put(&pool, objects[i]);
	check(dropped > N - 1000);
	check(dropped < N - 400); /* it keeps a good many */
	for (int i = 0; i < 400; i++)
		objects[i] = goro_pool_get(&pool);
	check(made < N + 64); /* and gives them back */
	for (int i = 0; i < 400; i++)
		goro_pool_put(&pool, objects[i]);
	goro_pool_clear(&pool);
	check_eq(dropped, made);
	free(objects);
}

/* No object is with two goroutines at once, none is lost. */
static void use_pool(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		atomic_int *objects[40];
		int n = 1 + i % 40;

		for (int k = 0; k < n; k++) {
			objects[k] = goro_pool_get(&pool);
			check_eq(atomic_fetch_add(objects[k], 1), 0);
		}
		if (i % 8 == 0)
			goro_yield();
		for (int k = 0; k < n; k++) {
			check_eq(atomic_fetch_sub(objects[k], 1), 1);
			goro_pool_put(&pool, objects[k]);
		}
	}
	goro_waitgroup_done(arg);
}

static void pool_shared(void)
{
	goro_waitgroup wg = { 0 };

	goro_waitgroup_add(&wg, 16);
	for (int i = 0; i < 16; i++)
		go(use_pool, &wg);
	goro_waitgroup_wait(&wg);
	goro_pool_clear(&pool);
	check_eq(dropped, made);
}

/* ---- tickets --------------------------------------------------------------------------------- */

struct slow {
	goro_chan *go_on;
	int calls;
};

static int slow_answer(void *arg, void *result)
{
	struct slow *slow = arg;

	__atomic_add_fetch(&slow->calls, 1, __ATOMIC_RELAXED);
	goro_chan_recv(slow->go_on, NULL);
	*(int *)result = 42;
	return -EAGAIN;
}

static int exits_in_flight(void *arg, void *result)
{
	(void)arg, (void)result;
	goro_exit();
}

static void tickets(void)
{
	static goro_flight tower;
	struct slow slow = { goro_chan_make(0, 0), 0 };
	goro_flight_ticket *t[3], *lost;
	char key[] = "key";
	bool shared;
	int answer = 0;

	for (int i = 0; i < 3; i++)
		t[i] = goro_flight_start(&tower, key, slow_answer, &slow, sizeof(int));
	memset(key, 0, sizeof(key)); /* it was copied */
	check_eventually(__atomic_load_n(&slow.calls, __ATOMIC_RELAXED) == 1);
	for (int i = 0; i < 100; i++)
		goro_yield();
	check_eq(goro_chan_try_recv(goro_flight_done(t[0]), NULL), GORO_WOULD_BLOCK);
	goro_flight_drop(t[0]); /* its answer comes all the same, and goes nowhere */
	goro_chan_close(slow.go_on);
	for (int i = 1; i < 3; i++) {
		check(!goro_chan_recv(goro_flight_done(t[i]), NULL));
		check_eq(goro_flight_take(t[i], &answer, &shared), -EAGAIN);
		check_eq(answer, 42);
		goro_flight_drop(t[i]);
	}
	check_eq(__atomic_load_n(&slow.calls, __ATOMIC_RELAXED), 1);
	lost = goro_flight_start(&tower, "exits", exits_in_flight, NULL, 0);
	check_eq(goro_flight_take(lost, NULL, NULL), -ECANCELED);
	goro_flight_drop(lost);
	goro_flight_drop(NULL);
	goro_chan_free(slow.go_on);
}

static int quick_answer(void *count, void *result)
{
	(void)result;
	__atomic_add_fetch((int *)count, 1, __ATOMIC_RELAXED);
	return 0;
}

/* With one worker no goroutine of the two runs before both have been asked for; unless the machine
 * stood still in between, so that another worker got the processor. */
static void tickets_share_from_the_start(void)
{
	static goro_flight tower;
	goro_flight_ticket *a = NULL, *b = NULL;
	bool shared[2] = { false };
	int asked;

	do {
		if (a) {
			goro_flight_take(a, NULL, NULL);
			goro_flight_take(b, NULL, NULL);
		}
		goro_flight_drop(a);
		goro_flight_drop(b);
		__atomic_store_n(&asked, 0, __ATOMIC_RELAXED);
		a = goro_flight_start(&tower, "key", quick_answer, &asked, 0);
		b = goro_flight_start(&tower, "key", quick_answer, &asked, 0);
	} while (__atomic_load_n(&asked, __ATOMIC_RELAXED));
	check_eq(goro_flight_take(a, NULL, &shared[0]), 0);
	check_eq(goro_flight_take(b, NULL, &shared[1]), 0);
	check(shared[0] && shared[1]);
	check_eq(asked, 1);
	goro_flight_drop(a);
	goro_flight_drop(b);
}

#define DIES .status = 2, .says

static const struct check_case cases[] = {
	{ .name = "all_succeed", .run = all_succeed },
	{ .name = "first_error_cancels", .run = first_error_cancels },
	{ .name = "wait_cancels", .run = wait_cancels },
	{ .name = "limit_holds", .run = limit_holds },
	{ .name = "exit_counts_as_end", .run = exit_counts_as_end },
	{ .name = "go_counts", .run = go_counts },
	{ .name = "copies_are_its_own", .run = copies_are_its_own },
	{ .name = "limit_while_active",
	  .run = limit_while_active,
	  DIES = { "^panic: errgroup: modify limit while 1 goroutines in the group are still "
		   "active$" } },
	{ .name = "free_while_active",
	  .run = free_while_active,
	  DIES = { "^panic: errgroup: free of a group with 1 active goroutines$" } },
	{ .name = "free_without_wait", .run = free_without_wait },
	{ .name = "nil_task", .run = nil_task, DIES = { "^fatal error: go of nil func value$" } },
	{ .name = "one_call_for_all", .run = one_call_for_all },
	{ .name = "forgotten_call", .run = forgotten_call },
	{ .name = "call_that_exits", .run = call_that_exits },
	{ .name = "other_size",
	  .run = other_size,
	  DIES = { "^panic: singleflight: key \"k\" with results of 4 and of 1 bytes" } },
	{ .name = "no_key", .run = no_key, DIES = { "^panic: singleflight: no key$" } },
	{ .name = "many_flights", .run = many_flights },
	{ .name = "pool_gives_back", .run = pool_gives_back },
	{ .name = "pool_is_bounded", .run = pool_is_bounded },
	{ .name = "pool_shared", .run = pool_shared },
	{ .name = "tickets", .run = tickets },
	{ .name = "tickets_share_from_the_start",
	  .run = tickets_share_from_the_start,
	  .workers = "1" },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
