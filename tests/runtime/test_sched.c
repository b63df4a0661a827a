/* SPDX-License-Identifier: MIT */
/* Whose turn it is: that nobody can hold the others back, in what
 * order, and on how many workers. */
#include <stdatomic.h>
#include <unistd.h>

#include "check.h"
#include "goro_introspect.h"

extern struct goro_introspect goro_introspect;

/* ---- hogs ------------------------------------------------------------------------------------ */

static atomic_bool flag;
static atomic_int hogs;

static void compute_for_ever(void *arg)
{
	(void)arg;
	hogs++;
	while (!flag)
		;
}

/* As many goroutines that never call the runtime as there are workers: main still gets its turn. */
static void hogs_hold_back_nobody(void)
{
	int n = goro_maxprocs();

	for (int i = 0; i < n; i++)
		go(compute_for_ever, NULL);
	check_eventually(hogs == n);
	for (int i = 0; i < 5; i++)
		goro_sleep(GORO_MILLISECOND);
	flag = true;
	check_eventually(goro_count() == 1);
}

static void block_in_libc(void *arg)
{
	(void)arg;
	hogs++;
	while (!flag)
		usleep(300000);
	hogs--;
}

static void blocking_calls_hold_back_nobody(void)
{
	int n = goro_maxprocs();
	int64_t start;

	for (int i = 0; i < n; i++)
		go(block_in_libc, NULL);
	start = goro_now();
	check_eventually(hogs == n);
	goro_sleep(GORO_MILLISECOND);
	/* One after the other, each blocking for 300 ms, would take longer than this. */
	check(goro_now() - start < n * 300 * GORO_MILLISECOND + 2 * GORO_SECOND);
	flag = true;
	check_eventually(hogs == 0);
}

/* ---- in what order ----------------------------------------------------------------------------
 */

enum { TREE_DEPTH = CHECK_SLOW > 1 ? 10 : 14, TREES = 300 / CHECK_SLOW };

static atomic_int tree_live, tree_most, tree_ended, trees;

static void grow_tree(int depth);

static void grow_branch(void *depth)
{
	int live = ++tree_live, most = tree_most;

	while (live > most && !atomic_compare_exchange_weak(&tree_most, &most, live))
		;
	grow_tree(*(int *)depth);
	tree_live--;
	tree_ended++;
}

struct branch {
	int depth;
	goro_waitgroup *wg;
};

static void grow_and_tell(void *arg)
{
	struct branch *branch = arg;

	grow_branch(&branch->depth);
	goro_waitgroup_done(branch->wg);
}

/* Half of it in a goroutine of its own. */
static void grow_tree(int depth)
{
	goro_waitgroup wg = { 0 };

	if (depth == 0)
		return;
	goro_waitgroup_add(&wg, 1);
	go_copy(grow_and_tell, &((struct branch){ depth - 1, &wg }));
	grow_tree(depth - 1);
	goro_waitgroup_wait(&wg);
}

/*
 * 16,383 goroutines in all; level by level 1,300 of them and more are there at the same time,
 * branch by branch a few dozen. Not where each takes so long that the millisecond of a branch is
 * over soon.
 */
static void who_waits_runs_its_children(void)
{
	grow_tree(TREE_DEPTH);
	check_eq(tree_ended, (1 << TREE_DEPTH) - 1);
	check_eq(tree_live, 0);
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
	check(tree_most < 650);
#endif
}

static void grow_until_all_have(void *done)
{
	int64_t end = goro_now() + 60 * GORO_SECOND;

	grow_tree(5);
	trees++;
	while (trees < TREES) {
		grow_tree(5);
		check(goro_now() < end);
	}
	goro_waitgroup_done(done);
}

/* Those that wait in the queue of the P, and in the global one, have their turns all the same. */
static void but_not_for_ever(void)
{
	goro_waitgroup wg = { 0 };

	goro_waitgroup_add(&wg, TREES);
	for (int i = 0; i < TREES; i++)
		go(grow_until_all_have, &wg);
	goro_waitgroup_wait(&wg);
}

/* ---- the number of workers, at run time ------------------------------------------------------ */

static void set_maxprocs(void)
{
	int was = goro_maxprocs();

	check_eq(goro_set_maxprocs(0), was);
	check_eq(goro_set_maxprocs(-3), was);
	check_eq(goro_maxprocs(), was);
	for (int n = 1; n <= 9; n++) {
		check_eq(goro_set_maxprocs(n), was);
		check_eq(goro_maxprocs(), n);
		check_eq(goro_introspect.p_count, n);
		was = n;
	}
	check_eq(goro_set_maxprocs(100000), 9);
	check_eq(goro_maxprocs(), 256);
	check_eq(goro_set_maxprocs(1), 256);
	check_eq(goro_count(), 1);
}

static void compute(void *stop)
{
	while (!atomic_load_explicit((atomic_bool *)stop, memory_order_relaxed))
		;
}

static void sit(void *ms)
{
	usleep(*(useconds_t *)ms * 1000);
}

static void block(void *ms)
{
	goro_blocking(sit, ms);
	sit(ms);
}

/* Nobody asks those who compute or sit in the kernel. */
static void set_maxprocs_beside_hogs(void)
{
	useconds_t ms = 300;
	atomic_bool stop = false;
	int64_t start;

	for (int i = 0; i < 6; i++)
		go(compute, &stop);
	for (int i = 0; i < 3; i++)
		go(block, &ms);
	start = goro_now();
	for (int i = 0; i < 20; i++) {
		goro_set_maxprocs(1 + i * 3 % 8);
		goro_sleep(GORO_MILLISECOND);
	}
	check(goro_now() - start < 20 * GORO_SECOND);
	atomic_store(&stop, true);
	check_eventually(goro_count() == 1);
}

/* One that calls all the time, but never waits. */
static void poll_for(void *stop)
{
	goro_chan *c = goro_chan_of(int, 1);

	while (!atomic_load_explicit((atomic_bool *)stop, memory_order_relaxed))
		goro_chan_try_recv(c, NULL);
	goro_chan_free(c);
}

static void set_maxprocs_beside_callers(void)
{
	atomic_bool stop = false;

	for (int i = 0; i < 4; i++)
		go(poll_for, &stop);
	for (int i = 0; i < 20; i++)
		goro_set_maxprocs(1 + i * 3 % 8);
	atomic_store(&stop, true);
	check_eventually(goro_count() == 1);
}

static void set_later(void *n)
{
	goro_sleep(5 * GORO_MILLISECOND);
	goro_set_maxprocs(*(int *)n);
}

static void answer(void *out)
{
	goro_sleep(20 * GORO_MILLISECOND);
	goro_chan_send(out, &(int){ 3 });
}

/* A select that began to wait when no lock was needed, with others once they are. */
static void set_maxprocs_beside_select(void)
{
	goro_chan *a = goro_chan_of(int, 0), *b = goro_chan_of(int, 0);

	for (int i = 0; i < 20; i++) {
		int v = 0;
		struct goro_case cases[] = { goro_recv_case(a, &v), goro_recv_case(b, &v) };

		goro_set_maxprocs(1 + i % 2 * 3);
		go(answer, i % 4 < 2 ? a : b);
		go_copy(set_later, &(int){ 1 + (i + 1) % 2 * 3 });
		check_eq(goro_select(cases, 2), i % 4 < 2 ? 0 : 1);
		check_eq(v, 3);
	}
}

static void sleep_long(void *ms)
{
	int64_t end = goro_now() + 200 * GORO_MICROSECOND;

	while (goro_now() < end)
		; /* worth another worker's while */
	goro_sleep(*(int *)ms * GORO_MILLISECOND);
}

static uint32_t spread_of_timers(void)
{
	const struct goro_field *fields = (const void *)(uintptr_t)goro_introspect.fields;
	const uint64_t *ps = (const void *)(uintptr_t)goro_introspect.ps;
	uint32_t n = 0;

	for (uint32_t i = 0; i < goro_introspect.p_count; i++) {
		const void *at =
			(const char *)(uintptr_t)ps[i] + fields[GORO_FIELD_p_nswitch].offset;

		n += __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED) != 0;
	}
	return n;
}

/* Sleepers of Ps that are not used any more. */
static void set_maxprocs_beside_timers(void)
{
	static int times[200];
	int64_t start = goro_now();

	goro_set_maxprocs(8);
	for (int i = 0; i < 200; i++) {
		times[i] = 300 + i % 50;
		go(sleep_long, &times[i]);
	}
	check_eventually(__atomic_load_n(&goro_introspect.timers, __ATOMIC_RELAXED) > 50);
	check(spread_of_timers() > 1);
	goro_set_maxprocs(1);
	check_eventually(goro_count() == 1);
	check(goro_now() - start < 10 * GORO_SECOND);
}

static void set_maxprocs_and_deadlock(void)
{
	goro_chan *c = goro_chan_of(int, 0);

	go(sleep_long, &(int){ 10 });
	goro_set_maxprocs(7);
	goro_set_maxprocs(2);
	goro_chan_recv(c, NULL);
}

static const struct check_case cases[] = {
	{ .name = "set_maxprocs", .run = set_maxprocs },
	{ .name = "set_maxprocs_beside_hogs", .run = set_maxprocs_beside_hogs },
	{ .name = "set_maxprocs_beside_callers", .run = set_maxprocs_beside_callers },
	{ .name = "set_maxprocs_beside_select", .run = set_maxprocs_beside_select },
	{ .name = "set_maxprocs_beside_timers", .run = set_maxprocs_beside_timers },
	{ .name = "set_maxprocs_and_deadlock",
	  .run = set_maxprocs_and_deadlock,
	  .status = 2,
	  .says = { "^fatal error: all goroutines are asleep - deadlock!$" } },
	{ .name = "who_waits_runs_its_children", .run = who_waits_runs_its_children },
	{ .name = "but_not_for_ever", .run = but_not_for_ever, .workers = "1 2" },
	{ .name = "hogs_hold_back_nobody", .run = hogs_hold_back_nobody },
	{ .name = "blocking_calls_hold_back_nobody", .run = blocking_calls_hold_back_nobody },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
