/* SPDX-License-Identifier: MIT */
/* Timers, tickers, functions called later, and select with a timeout: Go's rules. */
#include <stdatomic.h>
#include <string.h>

#include "check.h"
#include "goro_introspect.h"

#define MS GORO_MILLISECOND

static bool would_block(goro_chan *c)
{
	return goro_chan_try_recv(c, NULL) == GORO_WOULD_BLOCK;
}

/* ---- timer ----------------------------------------------------------------------------------- */

static void timer_sends_the_time(void)
{
	int64_t before = goro_now(), at = 0;
	goro_timer *t = goro_timer_new(5 * MS);

	/* A machine may be so busy that it is there at once; it is then no earlier either. */
	if (goro_chan_try_recv(goro_timer_chan(t), &at) == GORO_WOULD_BLOCK)
		check(goro_chan_recv(goro_timer_chan(t), &at));
	check(at - before >= 5 * MS);
	check(at <= goro_now());
	check(would_block(goro_timer_chan(t)));
	check(!goro_timer_stop(t)); /* it fired and was received */
	goro_timer_free(t);
	goro_timer_free(NULL);
}

static void timer_at_once(void)
{
	goro_timer *t = goro_timer_new(0), *past = goro_timer_new(INT64_MIN);

	check(goro_chan_recv(goro_timer_chan(t), NULL));
	check(goro_chan_recv(goro_timer_chan(past), NULL));
	goro_timer_free(t);
	goro_timer_free(past);
}

/* For 20, 40, 60... ms after *start, in another order. False: it is later than that already. */
static bool eight_timers(const int *order, goro_timer **timers, int64_t *start)
{
	*start = goro_now() + 100 * MS;
	for (int i = 0; i < 8; i++)
		timers[i] = goro_timer_new(*start + order[i] * 20 * MS - goro_now());
	return goro_now() < *start;
}

/* None too early; and with one worker, on which all wait in one queue, none before another. */
static void timers_fire_in_order(void)
{
	static const int order[] = { 7, 2, 5, 1, 8, 3, 6, 4 };
	int64_t start, at[9] = { 0 };
	goro_timer *timers[8];

	while (!eight_timers(order, timers, &start)) /* the machine stood still meanwhile */
		for (int i = 0; i < 8; i++)
			goro_timer_free(timers[i]);
	for (int i = 0; i < 8; i++) {
		check(goro_chan_recv(goro_timer_chan(timers[i]), &at[order[i]]));
		goro_timer_free(timers[i]);
	}
	for (int i = 1; i <= 8; i++) {
		check(at[i] - start >= i * 20 * MS);
		check(goro_maxprocs() > 1 || at[i] >= at[i - 1]);
	}
}

static void stop_before_it_fires(void)
{
	goro_timer *t = goro_timer_new(20 * MS);

	check(goro_timer_stop(t));
	check(!goro_timer_stop(t));
	goro_sleep(40 * MS);
	check(would_block(goro_timer_chan(t)));
	check(!goro_timer_reset(t, MS)); /* it can be used again */
	check(goro_chan_recv(goro_timer_chan(t), NULL));
	goro_timer_free(t);
}

/* Go 1.23: what was sent but not received is taken back, and counts as not fired. */
static void no_stale_value(void)
{
	goro_timer *t = goro_timer_new(0);
	int64_t at, reset_at;

	check_eventually(goro_chan_len(goro_timer_chan(t)) == 1);
	check(goro_timer_stop(t));
	check(would_block(goro_timer_chan(t)));

	goro_timer_reset(t, 0);
	check_eventually(goro_chan_len(goro_timer_chan(t)) == 1);
	reset_at = goro_now();
	check(goro_timer_reset(t, 10 * MS));
	check(goro_chan_recv(goro_timer_chan(t), &at));
	check(at - reset_at >= 10 * MS);
	goro_timer_free(t);
}

static void reset_moves_it(void)
{
	goro_timer *t = goro_timer_new(GORO_SECOND * 3600);
	int64_t before = goro_now();

	check(goro_timer_reset(t, 5 * MS));
	check(goro_chan_recv(goro_timer_chan(t), NULL));
	check(goro_now() - before < 60 * GORO_SECOND);
	check(!goro_timer_reset(t, INT64_MAX)); /* until the end of time */
	check(goro_timer_stop(t));
	goro_timer_free(t);
}

/* A stopped timer is gone at once: it keeps no program alive that can do nothing else. */
static void stopped_timer_is_no_hope(void)
{
	goro_timer *t = goro_timer_new(3600 * GORO_SECOND);

	goro_timer_stop(t);
	goro_chan_recv(goro_timer_chan(t), NULL);
}

static void stop_of_null(void)
{
	goro_timer_stop(NULL);
}

static void reset_of_null(void)
{
	goro_timer_reset(NULL, 1);
}

/* What waits for a timer is waiting, not deadlocked; and the timer is counted. */
static void armed_timers_are_counted(void)
{
	extern struct goro_introspect goro_introspect;
	goro_timer *t = goro_timer_new(3600 * GORO_SECOND);

	check_eq(goro_introspect.timers, 1);
	goro_timer_stop(t);
	check_eq(goro_introspect.timers, 0);
	goro_timer_reset(t, MS);
	goro_chan_recv(goro_timer_chan(t), NULL);
	check_eventually(goro_introspect.timers <= 1); /* check_eventually itself sleeps */
	goro_timer_free(t);
}

/* ---- after_func ------------------------------------------------------------------------------ */

struct later {
	goro_chan *done;
	uint64_t id;
	int64_t at;
};

static void note_when(void *arg)
{
	struct later *later = arg;

	later->id = goro_id();
	later->at = goro_now();
	goro_sleep(MS); /* it may block: it is a goroutine */
	goro_chan_send(later->done, NULL);
}

static void after_func_runs(void)
{
	struct later later = { .done = goro_chan_make(0, 0) };
	int64_t before = goro_now();
	goro_timer *t = goro_after_func(5 * MS, note_when, &later);

	check(!goro_timer_chan(t));
	check(goro_chan_recv(later.done, NULL));
	check(later.id != goro_id());
	check(later.at - before >= 5 * MS);
	check(!goro_timer_stop(t));
	check(!goro_timer_reset(t, MS)); /* it runs once more */
	check(goro_chan_recv(later.done, NULL));
	goro_timer_free(t);
	goro_chan_free(later.done);
}

static void count(void *started)
{
	atomic_fetch_add((atomic_int *)started, 1);
}

/* Stopped in time, however long the machine stands still in between. */
static void after_func_stopped(void)
{
	atomic_int started = 0, started_freed = 0;
	int64_t start = goro_now();
	goro_timer *t = goro_after_func(10 * MS, count, &started);
	goro_timer *freed = goro_after_func(10 * MS, count, &started_freed);
	bool stopped = goro_timer_stop(t), in_time;

	goro_timer_free(freed);
	in_time = goro_now() - start < 10 * MS;
	check(stopped || !in_time);
	goro_sleep(30 * MS);
	check(!stopped || !started);
	check(!in_time || !started_freed);
	check_eventually(stopped || started);
	goro_timer_free(t);
}

static void after_func_of_null(void)
{
	goro_after_func(1, NULL, NULL);
}

/* A timer that leaves the middle of the heap is replaced by one that must go up, not down. */
static int log_of_fired[32], nlogged;
static goro_waitgroup all_fire;

static void log_fired(void *arg)
{
	/* Two may run at once: sysmon takes the P of one that the machine lets wait. */
	int i = __atomic_fetch_add(&nlogged, 1, __ATOMIC_RELAXED);

	log_of_fired[i] = *(int *)arg;
	goro_waitgroup_done(&all_fire);
}

static void stop_keeps_the_order(void)
{
	/* 101 goes; 11, the last of the heap, takes its place below 100. */
	static int when[] = { 1,   100, 2,   3,	  4,   101, 102, 103, 104, 110, 111,
			      112, 113, 114, 115, 116, 117, 118, 119, 120, 11 };
	static const int order[] = { 1,	  2,   3,   4,	 11,  100, 102, 103, 104, 110,
				     111, 112, 113, 114, 115, 116, 117, 118, 119, 120 };
	goro_timer *timers[21];
	bool in_time;

	do { /* again if the machine stood still before all were in the heap */
		int64_t start = goro_now() + 50 * MS;

		nlogged = 0;
		goro_waitgroup_add(&all_fire, 21);
		for (int i = 0; i < 21; i++)
			timers[i] = goro_after_func(start + when[i] * MS - goro_now(), log_fired,
						    &when[i]);
		if (goro_timer_stop(timers[5]))
			goro_waitgroup_done(&all_fire);
		in_time = goro_now() < start;
		goro_waitgroup_wait(&all_fire); /* without a sleep: that would sort the heap */
		for (int i = 0; i < 21; i++)
			goro_timer_free(timers[i]);
	} while (!in_time);
	check_eq(nlogged, 20);
	for (int i = 0; i < 20; i++)
		check_eq(log_of_fired[i], order[i]);
}

/* ---- ticker ---------------------------------------------------------------------------------- */

static void ticker_ticks(void)
{
	int64_t start = goro_now(), at, last = start;
	goro_ticker *k = goro_ticker_new(2 * MS);

	for (int i = 1; i <= 10; i++) {
		check(goro_chan_recv(goro_ticker_chan(k), &at));
		check(at > last);
		check(at - start >= i * 2 * MS);
		last = at;
	}
	goro_ticker_stop(k);
	goro_sleep(10 * MS);
	check(would_block(goro_ticker_chan(k)));
	goro_ticker_reset(k, MS);
	check(goro_chan_recv(goro_ticker_chan(k), NULL));
	goro_ticker_free(k);
	goro_ticker_free(NULL);
}

static void ticker_drops_ticks(void)
{
	goro_ticker *k = goro_ticker_new(MS);
	int64_t start = goro_now(), slept;
	int got = 0;

	goro_sleep(50 * MS);
	slept = goro_now() - start;
	/* One lay in the channel; the next is in its rhythm, and the missed ones never come. */
	check(goro_chan_recv(goro_ticker_chan(k), NULL));
	while (goro_now() - start < slept + 5 * MS) {
		check(goro_chan_recv(goro_ticker_chan(k), NULL));
		got++;
	}
	check(got <= (goro_now() - start - slept) / MS + 2); /* one of them may be late */
	goro_ticker_free(k);
}

static void ticker_of_nothing(void)
{
	goro_ticker_new(0);
}

static void ticker_reset_to_nothing(void)
{
	goro_ticker_reset(goro_ticker_new(MS), -1);
}

/* ---- select with a timeout ------------------------------------------------------------------- */

static void timeout_without_cases(void)
{
	int64_t before = goro_now();

	check_eq(goro_select_timeout(NULL, 0, 5 * MS), -1);
	check(goro_now() - before >= 5 * MS);
	check_eq(goro_select_timeout(NULL, 0, -1), -1);
}

static void timeout_passes(void)
{
	goro_chan *c = goro_chan_make(0, 0), *full = goro_chan_make(0, 0);
	struct goro_case cases[] = {
		goro_recv_case(c, NULL),
		goro_send_case(full, NULL),
		goro_recv_case(NULL, NULL),
	};

	for (int i = 0; i < 5; i++) {
		int64_t before = goro_now();

		check_eq(goro_select_timeout(cases, 3, 3 * MS), -1);
		check(goro_now() - before >= 3 * MS);
	}
	check_eq(goro_select_timeout(cases + 2, 1, MS), -1); /* nothing but a nil channel */
	check_eq(goro_select_timeout(cases, 3, 0), -1);
	/* Nothing was left behind in their queues: else this panics. */
	goro_chan_free(c);
	goro_chan_free(full);
}

static void give_one(void *arg)
{
	goro_chan_send(arg, &(int){ 7 });
}

static void timeout_not_reached(void)
{
	goro_chan *c = goro_chan_of(int, 0);
	int v = 0;
	struct goro_case cases[] = { goro_recv_case(c, &v) };

	go(give_one, c);
	check_eq(goro_select_timeout(cases, 1, 3600 * GORO_SECOND), 0);
	check_eq(v, 7);
	check(cases[0].ok);
	goro_chan_close(c);
	check_eq(goro_select_timeout(cases, 1, INT64_MAX), 0);
	check(!cases[0].ok);
	goro_chan_free(c);
}

static void many_cases(void)
{
	struct goro_case cases[100];

	for (int i = 0; i < 100; i++)
		cases[i] = (struct goro_case)goro_recv_case(goro_chan_make(0, 0), NULL);
	check_eq(goro_select_timeout(cases, 100, 2 * MS), -1);
	for (int i = 0; i < 100; i++)
		goro_chan_free(cases[i].chan);
}

static void wait_in_select(void *arg)
{
	struct goro_case cases[] = { goro_recv_case(arg, NULL) };

	check_eq(goro_select_timeout(cases, 1, 3600 * GORO_SECOND), 0);
}

/* An observer must not take it for one that waits for ever. */
static void timeout_is_an_external_wait(void)
{
	extern struct goro_introspect goro_introspect;
	const struct goro_name *names = (const void *)(uintptr_t)goro_introspect.reason_names;
	goro_chan *c = goro_chan_make(0, 0);

	check_parked(go(wait_in_select, c), GORO_REASON_SELECT_TIMEOUT);
	check_eq(names[GORO_REASON_SELECT_TIMEOUT].wait_class, GORO_CLASS_EXTERNAL);
	goro_chan_send(c, NULL);
}

/* Values against timeouts of the same length: each value sent is received exactly once. */
enum { RACERS = 8, RACES = 400 };

struct race {
	goro_chan *c;
	atomic_long sent, received;
	goro_waitgroup senders, receivers;
};

static void race_send(void *arg)
{
	struct race *race = arg;
	struct goro_case cases[] = { goro_send_case(race->c, &(int){ 1 }) };

	for (int i = 0; i < RACES; i++)
		if (goro_select_timeout(cases, 1, (i % 5) * 20 * GORO_MICROSECOND) == 0)
			race->sent++;
	goro_waitgroup_done(&race->senders);
}

static void race_recv(void *arg)
{
	struct race *race = arg;
	int v;
	struct goro_case cases[] = { goro_recv_case(race->c, &v) };

	for (;;) {
		int done = goro_select_timeout(cases, 1, 50 * GORO_MICROSECOND);

		if (done == 0 && !cases[0].ok)
			break;
		race->received += done == 0;
	}
	goro_waitgroup_done(&race->receivers);
}

static void timeouts_race_values(void)
{
	struct race race = { .c = goro_chan_of(int, 0) };

	goro_waitgroup_add(&race.senders, RACERS);
	goro_waitgroup_add(&race.receivers, RACERS);
	for (int i = 0; i < RACERS; i++) {
		go(race_send, &race);
		go(race_recv, &race);
	}
	goro_waitgroup_wait(&race.senders);
	goro_chan_close(race.c);
	goro_waitgroup_wait(&race.receivers);
	check_eq(race.received, race.sent);
	goro_chan_free(race.c);
}

/* ---- 10,000 timers, everybody at them -------------------------------------------------------- */

enum { TIMERS = 10000, TORMENTORS = 16, TORMENTS = 4000 };

struct torment {
	goro_timer *timers[TIMERS];
	atomic_int fired[TIMERS];   /* times that the function ran */
	atomic_int started[TIMERS]; /* times that it was armed and not stopped since */
	goro_waitgroup wg;
};

static struct torment torment;

static void count_fired(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
}

/* Each arming ends in exactly one way: it fires, or a stop or reset says that it did not. */
static void torment_timers(void *arg)
{
	uint64_t x = (uint64_t)(uintptr_t)arg * 0x9e3779b97f4a7c15u + 1;

	for (int i = 0; i < TORMENTS; i++) {
		uint32_t at;
		bool stopped;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		at = (uint32_t)(x >> 20) % TIMERS;
		if (x % 3 == 0) {
			stopped = goro_timer_stop(torment.timers[at]);
		} else {
			stopped =
				goro_timer_reset(torment.timers[at], (int64_t)(x >> 40) % (2 * MS));
			torment.started[at]++;
		}
		torment.started[at] -= stopped;
		if (x % 64 == 0)
			goro_yield();
		if (x % 512 == 0)
			goro_sleep((int64_t)(x >> 50));
	}
	goro_waitgroup_done(&torment.wg);
}

static bool all_fired(void)
{
	for (int i = 0; i < TIMERS; i++)
		if (torment.fired[i] < torment.started[i])
			return false;
	return true;
}

static void ten_thousand_timers(void)
{
	for (int i = 0; i < TIMERS; i++) {
		torment.started[i] = 1;
		torment.timers[i] = goro_after_func(i * 300, count_fired, &torment.fired[i]);
	}
	goro_waitgroup_add(&torment.wg, TORMENTORS);
	for (int i = 0; i < TORMENTORS; i++)
		go(torment_timers, (void *)(uintptr_t)(i + 1));
	goro_waitgroup_wait(&torment.wg);
	check_eventually(all_fired());
	goro_sleep(5 * MS);
	for (int i = 0; i < TIMERS; i++) {
		check_eq(torment.fired[i], torment.started[i]);
		goro_timer_free(torment.timers[i]);
	}
}

/* The same with channels and a receiver for each: no value is older than the last reset. */
enum { PAIRS = 64, RESETS = 300 };

struct pair {
	goro_timer *t;
	goro_chan *stop;
	int64_t reset_at;
	goro_waitgroup *wg;
};

static void reset_and_receive(void *arg)
{
	struct pair *pair = arg;

	for (int i = 0; i < RESETS; i++) {
		int64_t ns = i % 7 * 10 * GORO_MICROSECOND, before = goro_now(), at;

		goro_timer_reset(pair->t, ns);
		if (i % 3 == 0)
			continue; /* it may fire before the next reset: that value must not come */
		check(goro_chan_recv(goro_timer_chan(pair->t), &at));
		check(at - before >= ns);
	}
	goro_timer_free(pair->t);
	goro_waitgroup_done(pair->wg);
}

static void resets_race_firing(void)
{
	struct pair pairs[PAIRS];
	goro_waitgroup wg = { 0 };

	goro_waitgroup_add(&wg, PAIRS);
	for (int i = 0; i < PAIRS; i++) {
		pairs[i] = (struct pair){ .t = goro_timer_new(0), .wg = &wg };
		go(reset_and_receive, &pairs[i]);
	}
	goro_waitgroup_wait(&wg);
}

#define DIES .status = 2, .says

/* ---- after ----------------------------------------------------------------------------------- */

static void after_sends_the_time(void)
{
	int64_t before = goro_now(), at = 0;
	goro_chan *c = goro_after(5 * MS);

	check(would_block(c));
	check(goro_chan_recv(c, &at));
	check(at - before >= 5 * MS && at <= goro_now());
	check(would_block(c));
	goro_chan_free(c);
	c = goro_after(-1);
	check(goro_chan_recv(c, NULL));
	goro_chan_free(c);
}

/* Freed before it fires it never does; and the one that is late does not keep the other. */
static void after_in_a_select(void)
{
	for (int i = 0; i < 1000; i++) {
		goro_chan *soon = goro_after(i % 2 ? 0 : 50 * GORO_MICROSECOND),
			  *late = goro_after(i % 3 ? 100 * GORO_SECOND : MS / 10);
		struct goro_case cases[] = { goro_recv_case(late, NULL),
					     goro_recv_case(soon, NULL) };
		int which = goro_select(cases, 2);

		check(which == 1 || i % 3 == 0);
		check(cases[which].ok);
		goro_chan_free(soon);
		goro_chan_free(late);
	}
}

static void after_freed_while_waited_for(void *arg)
{
	check_parked(1, GORO_REASON_SELECT);
	goro_chan_free(arg);
}

static void after_is_freed_by_nobody_else(void)
{
	goro_chan *c = goro_after(100 * GORO_SECOND);
	struct goro_case cases[] = { goro_recv_case(c, NULL) };

	go(after_freed_while_waited_for, c);
	goro_select(cases, 1);
}

static const struct check_case cases[] = {
	{ .name = "timer_sends_the_time", .run = timer_sends_the_time },
	{ .name = "timer_at_once", .run = timer_at_once },
	{ .name = "timers_fire_in_order", .run = timers_fire_in_order },
	{ .name = "stop_before_it_fires", .run = stop_before_it_fires },
	{ .name = "no_stale_value", .run = no_stale_value },
	{ .name = "reset_moves_it", .run = reset_moves_it },
	{ .name = "stopped_timer_is_no_hope",
	  .run = stopped_timer_is_no_hope,
	  DIES = { "^fatal error: all goroutines are asleep - deadlock!$" } },
	{ .name = "stop_of_null",
	  .run = stop_of_null,
	  DIES = { "^panic: time: Stop called on uninitialized Timer$" } },
	{ .name = "reset_of_null",
	  .run = reset_of_null,
	  DIES = { "^panic: time: Reset called on uninitialized Timer$" } },
	{ .name = "armed_timers_are_counted", .run = armed_timers_are_counted },
	{ .name = "after_func_runs", .run = after_func_runs },
	{ .name = "after_func_stopped", .run = after_func_stopped },
	{ .name = "after_func_of_null",
	  .run = after_func_of_null,
	  DIES = { "^fatal error: go of nil func value$" } },
	{ .name = "stop_keeps_the_order", .run = stop_keeps_the_order, .workers = "1" },
	{ .name = "ticker_ticks", .run = ticker_ticks },
	{ .name = "ticker_drops_ticks", .run = ticker_drops_ticks },
	{ .name = "ticker_of_nothing",
	  .run = ticker_of_nothing,
	  DIES = { "^panic: non-positive interval for NewTicker$" } },
	{ .name = "ticker_reset_to_nothing",
	  .run = ticker_reset_to_nothing,
	  DIES = { "^panic: non-positive interval for Ticker\\.Reset$" } },
	{ .name = "timeout_without_cases", .run = timeout_without_cases },
	{ .name = "timeout_passes", .run = timeout_passes },
	{ .name = "timeout_not_reached", .run = timeout_not_reached },
	{ .name = "many_cases", .run = many_cases },
	{ .name = "timeout_is_an_external_wait", .run = timeout_is_an_external_wait },
	{ .name = "timeouts_race_values", .run = timeouts_race_values },
	{ .name = "ten_thousand_timers", .run = ten_thousand_timers },
	{ .name = "resets_race_firing", .run = resets_race_firing },
	{ .name = "after_sends_the_time", .run = after_sends_the_time },
	{ .name = "after_in_a_select", .run = after_in_a_select },
	{ .name = "after_is_freed_by_nobody_else",
	  .run = after_is_freed_by_nobody_else,
	  .status = 2,
	  .says = { "^panic: free of a channel that goroutine 1 waits on$" } },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
