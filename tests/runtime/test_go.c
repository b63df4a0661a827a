/* SPDX-License-Identifier: MIT */
/* Starting, ending, identity, yield, sleep. Whose turn it is: test_sched.c. */
#include <errno.h>
#include <setjmp.h>
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

/* Within one goroutine, also when it has waited and is on another thread. */
static void jump_back(void *wg)
{
	for (volatile int i = 0; i < 50; i++) {
		volatile int jumps = 0;
		jmp_buf back;

		if (setjmp(back) < 3) {
			goro_yield();
			longjmp(back, ++jumps);
		}
		check_eq(jumps, 3);
	}
	goro_waitgroup_done(wg);
}

static void jumps_in_a_crowd(void)
{
	goro_waitgroup wg = { 0 };

	goro_waitgroup_add(&wg, 100);
	for (int i = 0; i < 100; i++)
		go(jump_back, &wg);
	goro_waitgroup_wait(&wg);
}

/* Bigger than a stack; and then there is still a stack. */
static void use_all(void *arg)
{
	volatile char room[40000];
	unsigned char *bytes = arg;
	int sum = 0;
	size_t size;

	memset((char *)room, 1, sizeof(room));
	check_eq((uintptr_t)arg % 16, 0);
	memcpy(&size, bytes, sizeof(size));
	goro_yield();
	for (size_t i = sizeof(size); i < size; i++)
		sum += bytes[i];
	check_eq(sum, 5 * (size - sizeof(size)));
	goro_chan_send(sums, &sum);
}

static void big_arguments(void)
{
	static const size_t sizes[] = { 30000, 57344, 57345, 65536, 200000, 3000000, 64 << 20 };
	unsigned char *bytes = malloc(64 << 20);
	int sum;

	check(bytes);
	sums = goro_chan_of(int, 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		memset(bytes, 5, sizes[i]);
		memcpy(bytes, &sizes[i], sizeof(sizes[i]));
		goro_go_copy(use_all, bytes, sizes[i]);
		memset(bytes, 6, sizes[i]);
		goro_chan_recv(sums, &sum);
	}
	free(bytes);
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
	atomic_int n[8];
	atomic_int worst;
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

	for (int i = 1; i <= 1000; i++) {
		atomic_store(&turns->n[taker->me], i);
		for (int k = 0; k < 8; k++)
			if (i - atomic_load(&turns->n[k]) > atomic_load(&turns->worst))
				atomic_store(&turns->worst, i - atomic_load(&turns->n[k]));
		goro_yield();
	}
	atomic_store(&turns->n[taker->me], 1 << 20);
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

static bool wake_in_order(int64_t apart)
{
	static const int order[] = { 3, 1, 4, 0, 2 };
	goro_chan *woke = goro_chan_of(int, 5);
	int64_t start = goro_now() + 2 * apart;
	bool right = true;
	int number;

	for (int i = 0; i < 5; i++) {
		struct nap nap = { start + order[i] * apart, woke, order[i] };

		go_copy(take_nap, &nap);
	}
	for (int i = 0; i < 5; i++) {
		goro_chan_recv(woke, &number);
		right &= number == i;
	}
	goro_chan_free(woke);
	return right;
}

/*
 * Whoever sleeps shorter wakes first. A thread may stand still between looking at the clock and
 * going to sleep, for longer than two are apart: then they are put further apart.
 */
static void sleepers_wake_in_order(void)
{
	int64_t apart = 20 * GORO_MILLISECOND;

	while (!wake_in_order(apart)) {
		apart *= 4;
		check(apart < 6 * GORO_SECOND);
	}
}

/* ---- errno ----------------------------------------------------------------------------------- */

struct errno_test {
	int mine;
	goro_chan *ball;
	goro_waitgroup *wg;
};

/* Plain errno in one long function: goro.h sees to it that its
 * address is not kept over a switch. */
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

static const struct check_case cases[] = {
	{ .name = "argument_by_pointer", .run = argument_by_pointer },
	{ .name = "argument_by_value", .run = argument_by_value },
	{ .name = "argument_sizes", .run = argument_sizes },
	{ .name = "big_arguments", .run = big_arguments },
	{ .name = "jumps_in_a_crowd", .run = jumps_in_a_crowd },
	{ .name = "ids", .run = ids },
	{ .name = "ids_are_unique", .run = ids_are_unique },
	{ .name = "count", .run = count },
	{ .name = "maxprocs", .run = maxprocs, .workers = "1 2 3 8" },
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
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
