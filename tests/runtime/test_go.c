/* SPDX-License-Identifier: MIT */
/* Starting, ending, identity, yield, sleep; and that nobody can hold the others back. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "goro_introspect.h"

extern struct goro_introspect goro_introspect;

/* ---- arguments ------------------------------------------------------------------------------- */

struct greeting {
	const char *text;
	atomic_bool seen;
};

static void see(void *arg)
{
	struct greeting *greeting = arg;

	greeting->seen = strcmp(greeting->text, "hello") == 0;
}

static void argument_by_pointer(void)
{
	struct greeting greeting = { .text = "hello" };

	go(see, &greeting);
	check_eventually(greeting.seen);
}

struct parcel {
	goro_chan *result;
	unsigned char fill;
	unsigned char bytes[4096 - 16];
};

static void weigh_parcel(void *arg)
{
	struct parcel *parcel = arg;
	bool good = (uintptr_t)arg % 16 == 0;

	goro_yield(); /* the copy must live as long as we do */
	for (size_t i = 0; i < sizeof(parcel->bytes); i++)
		good &= parcel->bytes[i] == parcel->fill;
	goro_chan_send(parcel->result, &good);
}

static void argument_by_value(void)
{
	struct parcel parcel = { .result = goro_chan_of(bool, 0) };
	bool good;

	for (int i = 0; i < 200; i++) {
		parcel.fill = (unsigned char)i;
		memset(parcel.bytes, i, sizeof(parcel.bytes));
		go_copy(weigh_parcel, &parcel);
		memset(parcel.bytes, 0xee, sizeof(parcel.bytes)); /* ours is ours again */
	}
	for (int i = 0; i < 200; i++) {
		check(goro_chan_recv(parcel.result, &good));
		check(good);
	}
}

struct sized {
	unsigned char bytes[70];
};

static goro_chan *sums;

static void add_bytes(void *arg)
{
	const unsigned char *bytes = arg;
	int sum = 0;

	for (int i = 1; i <= bytes[0]; i++)
		sum += bytes[i];
	goro_chan_send(sums, &sum);
}

static void argument_sizes(void)
{
	unsigned char bytes[70];

	sums = goro_chan_of(int, 0);
	for (int n = 0; n < 69; n++) {
		int sum;

		memset(bytes, 3, sizeof(bytes));
		bytes[0] = (unsigned char)n;
		goro_go_copy(add_bytes, bytes, (size_t)n + 1);
		memset(bytes, 0xee, sizeof(bytes));
		goro_chan_recv(sums, &sum);
		check_eq(sum, 3 * n);
	}
}

/* ---- identity -------------------------------------------------------------------------------- */

static void send_id(void *arg)
{
	uint64_t id = goro_id();

	goro_chan_send(arg, &id);
}

static void ids(void)
{
	goro_chan *c = goro_chan_of(uint64_t, 0);
	uint64_t last = 1;

	check_eq(goro_id(), 1);
	for (int i = 0; i < 5000 / CHECK_SLOW; i++) {
		uint64_t started = go(send_id, c), seen;

		goro_chan_recv(c, &seen);
		check_eq(seen, started);
		check(seen != last && seen > 1); /* records are reused, ids are not */
		last = seen;
	}
}

static void ids_are_unique(void)
{
	enum { N = 3000 };
	goro_chan *c = goro_chan_of(uint64_t, N);
	static bool seen[1 << 20];
	uint64_t id;

	for (int i = 0; i < N; i++)
		go(send_id, c);
	for (int i = 0; i < N; i++) {
		goro_chan_recv(c, &id);
		check(id < sizeof(seen) && !seen[id]);
		seen[id] = true;
	}
}

static void receive(void *arg)
{
	goro_chan_recv(arg, NULL);
}

static void count(void)
{
	goro_chan *gate = goro_chan_make(0, 0);

	check_eq(goro_count(), 1);
	for (int i = 0; i < 100; i++)
		go(receive, gate);
	check_eq(goro_count(), 101); /* also those that have not run yet */
	goro_chan_close(gate);
	check_eventually(goro_count() == 1);
}

static void maxprocs(void)
{
	check_eq(goro_maxprocs(), atoi(getenv("GORO_MAXPROCS")));
}

/* ---- yield, sleep ---------------------------------------------------------------------------- */

static atomic_bool flag;

static void raise_flag(void *arg)
{
	(void)arg;
	flag = true;
}

static void yield_lets_others_run(void)
{
	int turns = 0;

	go(raise_flag, NULL);
	while (!flag) {
		goro_yield();
		check(goro_maxprocs() > 1 || ++turns < 100);
	}
}

struct turns {
	int n[8];
	int worst;
	goro_waitgroup wg;
};

struct taker {
	struct turns *turns;
	int me;
};

static void take_turns(void *arg)
{
	struct taker *taker = arg;
	struct turns *turns = taker->turns;

	for (int i = 0; i < 1000; i++) {
		turns->n[taker->me]++;
		for (int k = 0; k < 8; k++)
			if (turns->n[taker->me] - turns->n[k] > turns->worst)
				turns->worst = turns->n[taker->me] - turns->n[k];
		goro_yield();
	}
	turns->n[taker->me] = 1 << 20;
	goro_waitgroup_done(&turns->wg);
}

/* Round robin: nobody is more than a few turns ahead (a retake by sysmon may cost some a turn). */
static void yield_is_fair(void)
{
	struct turns turns = { 0 };

	goro_waitgroup_add(&turns.wg, 8);
	for (int i = 0; i < 8; i++)
		go_copy(take_turns, &((struct taker){ &turns, i }));
	goro_waitgroup_wait(&turns.wg);
	check(turns.worst > 0 && turns.worst <= 10);
}

static void sleep_waits(void)
{
	int64_t start = goro_now();

	goro_sleep(30 * GORO_MILLISECOND);
	check(goro_now() - start >= 30 * GORO_MILLISECOND);
	start = goro_now();
	for (int i = 0; i < 1000; i++) {
		goro_sleep(0);
		goro_sleep(-GORO_SECOND);
		goro_sleep(INT64_MIN);
	}
	check(goro_now() - start < 5 * GORO_SECOND);
}

struct nap {
	int64_t until;
	goro_chan *woke;
	int number;
};

static void take_nap(void *arg)
{
	struct nap *nap = arg;

	goro_sleep(nap->until - goro_now());
	check(goro_now() >= nap->until);
	goro_chan_send(nap->woke, &nap->number);
}

/* Whoever sleeps shorter wakes first; with one worker the order is exact. */
static void sleepers_wake_in_order(void)
{
	static const int order[] = { 3, 1, 4, 0, 2 };
	goro_chan *woke = goro_chan_of(int, 5);
	int64_t start = goro_now() + 50 * GORO_MILLISECOND;
	int number;

	for (int i = 0; i < 5; i++) {
		struct nap nap = { start + order[i] * 20 * GORO_MILLISECOND, woke, order[i] };

		go_copy(take_nap, &nap);
	}
	for (int i = 0; i < 5; i++) {
		goro_chan_recv(woke, &number);
		check_eq(number, i);
	}
}

/* ---- errno ----------------------------------------------------------------------------------- */

struct errno_test {
	int mine;
	goro_chan *ball;
	goro_waitgroup *wg;
};

/* Plain errno in one long function: goro.h sees to it that its address is not kept over a switch.
 */
static void keep_errno(void *arg)
{
	struct errno_test *test = arg;

	check_eq(errno, 0); /* a new goroutine starts with a clean one */
	errno = test->mine;
	for (int i = 0; i < 2000; i++) {
		if (i % 3 == 0)
			goro_yield();
		else if (i % 3 == 1)
			goro_chan_try_send(test->ball, NULL);
		else
			goro_chan_try_recv(test->ball, NULL);
		if (i % 500 == 0)
			goro_sleep(GORO_MILLISECOND);
		check_eq(errno, test->mine);
	}
	goro_waitgroup_done(test->wg);
}

static void errno_is_kept(void)
{
	goro_waitgroup wg = { 0 };
	goro_chan *ball = goro_chan_make(0, 4);

	errno = 1000;
	/* Twice: those of the second round get the records and stacks of the first. */
	for (int round = 0; round < 2; round++) {
		goro_waitgroup_add(&wg, 50);
		for (int i = 1; i <= 50; i++)
			go_copy(keep_errno, &((struct errno_test){ i, ball, &wg }));
		goro_waitgroup_wait(&wg);
		check_eventually(goro_count() == 1);
		check_eq(errno, 1000);
	}
}

/* ---- the end --------------------------------------------------------------------------------- */

static __attribute__((noinline)) int exit_deeper(int depth)
{
	if (depth == 0)
		goro_exit();
	return depth < 0 ? 0 : exit_deeper(depth - 1) + 1;
}

static void leave_early(void *arg)
{
	goro_chan_close(arg);
	check(exit_deeper(10) < 0); /* it does not come back */
}

static void exit_ends_one(void)
{
	goro_chan *c = goro_chan_make(0, 0);

	go(leave_early, c);
	check(!goro_chan_recv(c, NULL));
	check_eventually(goro_count() == 1);
}

static void end_process(void *arg)
{
	(void)arg;
	goro_sleep(20 * GORO_MILLISECOND);
	exit(7);
}

static void exit_in_main_lets_others_run(void)
{
	go(end_process, NULL);
	goro_exit();
}

static void nothing(void *arg)
{
	(void)arg;
}

static void exit_in_main_and_no_others(void)
{
	for (int i = 0; i < 10; i++)
		go(nothing, NULL);
	goro_exit();
}

static void main_ends_the_process(void)
{
	for (int i = 0; i < 100; i++)
		go(receive, goro_chan_make(0, 0));
}

static void spawn_more(void *arg)
{
	goro_waitgroup *wg = arg;

	for (int i = 0; i < 100; i++)
		go((goro_fn *)goro_waitgroup_done, wg);
}

static void goroutines_start_goroutines(void)
{
	goro_waitgroup wg = { 0 };

	goro_waitgroup_add(&wg, 10000);
	for (int i = 0; i < 100; i++)
		go(spawn_more, &wg);
	goro_waitgroup_wait(&wg);
}

/* ---- hogs ------------------------------------------------------------------------------------ */

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
	{ .name = "argument_by_pointer", .run = argument_by_pointer },
	{ .name = "argument_by_value", .run = argument_by_value },
	{ .name = "argument_sizes", .run = argument_sizes },
	{ .name = "ids", .run = ids },
	{ .name = "ids_are_unique", .run = ids_are_unique },
	{ .name = "count", .run = count },
	{ .name = "maxprocs", .run = maxprocs, .workers = "1 2 3 8" },
	{ .name = "set_maxprocs", .run = set_maxprocs },
	{ .name = "set_maxprocs_beside_hogs", .run = set_maxprocs_beside_hogs },
	{ .name = "set_maxprocs_beside_callers", .run = set_maxprocs_beside_callers },
	{ .name = "set_maxprocs_beside_select", .run = set_maxprocs_beside_select },
	{ .name = "set_maxprocs_beside_timers", .run = set_maxprocs_beside_timers },
	{ .name = "set_maxprocs_and_deadlock",
	  .run = set_maxprocs_and_deadlock,
	  .status = 2,
	  .says = { "^fatal error: all goroutines are asleep - deadlock!$" } },
	{ .name = "yield_lets_others_run", .run = yield_lets_others_run },
	{ .name = "yield_is_fair", .run = yield_is_fair, .workers = "1" },
	{ .name = "sleep_waits", .run = sleep_waits },
	{ .name = "sleepers_wake_in_order", .run = sleepers_wake_in_order, .workers = "1" },
	{ .name = "errno_is_kept", .run = errno_is_kept },
	{ .name = "exit_ends_one", .run = exit_ends_one },
	{ .name = "exit_in_main_lets_others_run",
	  .run = exit_in_main_lets_others_run,
	  .status = 7 },
	{ .name = "exit_in_main_and_no_others",
	  .run = exit_in_main_and_no_others,
	  .status = 2,
	  .says = { "^fatal error: no goroutines \\(main called runtime\\.Goexit\\) - "
		    "deadlock!$" } },
	{ .name = "main_ends_the_process", .run = main_ends_the_process },
	{ .name = "goroutines_start_goroutines", .run = goroutines_start_goroutines },
	{ .name = "who_waits_runs_its_children", .run = who_waits_runs_its_children },
	{ .name = "but_not_for_ever", .run = but_not_for_ever, .workers = "1 2" },
	{ .name = "hogs_hold_back_nobody", .run = hogs_hold_back_nobody },
	{ .name = "blocking_calls_hold_back_nobody", .run = blocking_calls_hold_back_nobody },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
