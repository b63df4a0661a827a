/* SPDX-License-Identifier: MIT */
/*
 * The number of workers changes at random, from two goroutines at once, while everything that knows
 * a P goes on: channels, selects with timeouts, locks, timers that are stopped and reset, sleepers,
 * starts and ends, sockets, blocking calls, goroutines locked to threads, and hogs. Each counts
 * what it has done, and the sums must agree; a lock is only a lock if what it guards adds up.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "stress.h"

enum { MOST = 8, PAIRS = 6, MESSAGES = 150, LOCKERS = 6, TURNS = 150, SLEEPERS = 200 };

static atomic_bool over;
static goro_chan *gossips;
static atomic_long told, heard;
static goro_waitgroup wave, changers;
static atomic_long sent, received, slept, fired, stopped, reset_fired, started, ended;
static goro_mutex mutex;
static goro_rwmutex rwmutex;
static long guarded, rguarded;

/* ---- who changes it -------------------------------------------------------------------------- */

static void change(void *arg)
{
	uint64_t random = stress_seed((uintptr_t)arg);

	while (!atomic_load(&over)) {
		int n = 1 + (int)(stress_random(&random) % MOST);

		must(goro_set_maxprocs(n) >= 1);
		must(goro_maxprocs() >= 1 && goro_maxprocs() <= MOST);
		if (stress_random(&random) % 2)
			goro_sleep((int64_t)(stress_random(&random) % 300) * GORO_MICROSECOND);
		else
			goro_yield();
	}
	goro_waitgroup_done(&changers);
}

/* ---- what goes on meanwhile ------------------------------------------------------------------ */

struct pair {
	goro_chan *there, *back;
	uint64_t random;
};

/* Many wait for it in a select with something else, and leave its queue when that comes first. */
static void gossip(void *arg)
{
	while (!atomic_load(&over)) {
		if (goro_chan_try_send(arg, NULL))
			atomic_fetch_add(&told, 1);
		else
			goro_yield();
	}
	goro_waitgroup_done(&changers);
}

static bool receive(struct pair *pair, long *v)
{
	struct goro_case cases[] = { goro_recv_case(gossips, NULL),
				     goro_recv_case(pair->there, v) };

	while (goro_select(cases, 2) == 0)
		atomic_fetch_add(&heard, 1);
	return cases[1].ok;
}

static void serve(void *arg)
{
	struct pair *pair = arg;
	long v;

	while (receive(pair, &v)) {
		struct goro_case cases[] = { goro_send_case(pair->back, &v),
					     goro_recv_case(NULL, NULL) };

		atomic_fetch_add(&received, v);
		while (goro_select_timeout(cases, 2, 50 * GORO_MICROSECOND) < 0)
			;
	}
	goro_waitgroup_done(&wave);
}

static void ask(void *arg)
{
	struct pair *pair = arg;

	if (stress_random(&pair->random) % 4 == 0)
		goro_lock_os_thread();
	for (long i = 0; i < MESSAGES; i++) {
		struct goro_case cases[2] = { goro_recv_case(pair->back, NULL),
					      goro_send_case(pair->there, &i) };
		long back = -1;

		goro_chan_send(pair->there, &i);
		atomic_fetch_add(&sent, i);
		cases[0].elem = &back;
		must(goro_select(cases, 1) == 0 && back == i);
		if (stress_random(&pair->random) % 8 == 0)
			goro_sleep((int64_t)(stress_random(&pair->random) % 100) *
				   GORO_MICROSECOND);
	}
	goro_chan_close(pair->there);
	goro_waitgroup_done(&wave);
}

static void lock_and_add(void *unused)
{
	(void)unused;
	for (int i = 0; i < TURNS; i++) {
		goro_mutex_lock(&mutex);
		guarded++;
		if (i % 16 == 0)
			goro_yield();
		goro_mutex_unlock(&mutex);
		if (i % 4) {
			goro_rwmutex_rlock(&rwmutex);
			must(rguarded >= 0);
			goro_rwmutex_runlock(&rwmutex);
		} else {
			goro_rwmutex_lock(&rwmutex);
			rguarded++;
			goro_rwmutex_unlock(&rwmutex);
		}
	}
	goro_waitgroup_done(&wave);
}

static void sleeper(void *arg)
{
	uint64_t random = stress_seed((uintptr_t)arg);
	int64_t ns = (int64_t)(stress_random(&random) % 2000) * GORO_MICROSECOND;
	int64_t start = goro_now();

	goro_sleep(ns);
	must(goro_now() - start >= ns);
	atomic_fetch_add(&slept, 1);
	goro_waitgroup_done(&wave);
}

static void fire(void *unused)
{
	(void)unused;
	atomic_fetch_add(&fired, 1);
}

/* Timers are stopped from where they were not armed, after their P has gone. */
static void timers(void *arg)
{
	uint64_t random = stress_seed((uintptr_t)arg);
	goro_timer *t[20];

	for (int i = 0; i < 20; i++)
		t[i] = goro_after_func((int64_t)(stress_random(&random) % 1000) * GORO_MICROSECOND,
				       fire, NULL);
	goro_sleep(400 * GORO_MICROSECOND);
	for (int i = 0; i < 20; i++) {
		atomic_fetch_add(&stopped, goro_timer_stop(t[i]));
		goro_timer_free(t[i]);
	}
	for (int i = 0; i < 5; i++) {
		goro_timer *k = goro_timer_new(3600 * GORO_SECOND);

		goro_yield();
		must(goro_timer_reset(k, 100 * GORO_MICROSECOND));
		must(goro_chan_recv(goro_timer_chan(k), NULL));
		atomic_fetch_add(&reset_fired, 1);
		goro_timer_free(k);
	}
	goro_waitgroup_done(&wave);
}

static void leaf(void *unused)
{
	(void)unused;
	atomic_fetch_add(&ended, 1);
}

static void spawn(void *unused)
{
	static const struct goro_options pinned = { .pinned = true };

	(void)unused;
	for (int i = 0; i < 400; i++) {
		atomic_fetch_add(&started, 1);
		if (i % 100 == 50)
			goro_go_with(&pinned, leaf, NULL);
		else
			go(leaf, NULL);
		if (i % 50 == 0)
			goro_yield();
	}
	goro_waitgroup_done(&wave);
}

static void hog(void *unused)
{
	int64_t end = goro_now() + 3 * GORO_MILLISECOND;

	(void)unused;
	while (goro_now() < end)
		;
	goro_waitgroup_done(&wave);
}

static void sit(void *unused)
{
	(void)unused;
	usleep(300);
}

static void block(void *unused)
{
	(void)unused;
	for (int i = 0; i < 5; i++)
		goro_blocking(sit, NULL);
	usleep(500); /* and without saying so */
	goro_waitgroup_done(&wave);
}

static void socket_echo(void *fd)
{
	char c;

	while (goro_read(*(int *)fd, &c, 1) == 1)
		must(goro_write(*(int *)fd, &c, 1) == 1);
	goro_waitgroup_done(&wave);
}

static void socket_ask(void *arg)
{
	int *fds = arg;

	for (int i = 0; i < 50; i++) {
		char c = (char)i, back = 0;

		must(goro_write(fds[0], &c, 1) == 1);
		must(goro_read(fds[0], &back, 1) == 1 && back == c);
	}
	must(goro_close(fds[0]) == 0);
	goro_waitgroup_done(&wave);
}

/* ---- waves ----------------------------------------------------------------------------------- */

static void one_wave(long n)
{
	static struct pair pairs[PAIRS];
	int fds[2];

	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	goro_waitgroup_add(&wave, 2 * PAIRS + LOCKERS + SLEEPERS + 2 + 1 + 2 + 2 + 2);
	for (int i = 0; i < PAIRS; i++) {
		pairs[i] = (struct pair){ goro_chan_of(long, (size_t)i % 3), goro_chan_of(long, 0),
					  stress_seed((uint64_t)(n * PAIRS + i)) };
		go(serve, &pairs[i]);
		go(ask, &pairs[i]);
	}
	stress_start(LOCKERS, lock_and_add, NULL);
	for (long i = 0; i < SLEEPERS; i++)
		go(sleeper, (void *)(n * SLEEPERS + i));
	go(timers, (void *)(2 * n));
	go(timers, (void *)(2 * n + 1));
	go(spawn, NULL);
	stress_start(2, hog, NULL);
	stress_start(2, block, NULL);
	go(socket_echo, &fds[1]);
	go(socket_ask, fds);
	goro_waitgroup_wait(&wave);
	must(goro_close(fds[1]) == 0);
	for (int i = 0; i < PAIRS; i++) {
		goro_chan_free(pairs[i].there);
		goro_chan_free(pairs[i].back);
	}
}

int main(int argc, char **argv)
{
	int64_t end = stress_end(argc, argv);
	long waves = 0;

	gossips = goro_chan_make(0, 0);
	goro_waitgroup_add(&changers, 4);
	go(gossip, gossips);
	go(gossip, gossips);
	go(change, (void *)1);
	go(change, (void *)2);
	/* Nobody says how soon gossip finds one who listens. */
	while (goro_now() < end || !atomic_load(&told))
		one_wave(waves++);
	atomic_store(&over, true);
	goro_waitgroup_wait(&changers);
	while (goro_count() > 1)
		goro_sleep(GORO_MILLISECOND);
	must(atomic_load(&sent) == atomic_load(&received));
	must(atomic_load(&sent) == waves * PAIRS * (MESSAGES * (MESSAGES - 1L) / 2));
	must(atomic_load(&told) == atomic_load(&heard));
	must(guarded == waves * LOCKERS * TURNS);
	must(rguarded == waves * LOCKERS * ((TURNS + 3) / 4));
	must(atomic_load(&slept) == waves * SLEEPERS);
	must(atomic_load(&fired) + atomic_load(&stopped) == waves * 40);
	must(atomic_load(&reset_fired) == waves * 10);
	must(atomic_load(&started) == waves * 400 && atomic_load(&ended) == atomic_load(&started));
	printf("%ld waves\n", waves);
	return 0;
}
