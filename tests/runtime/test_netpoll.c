/* SPDX-License-Identifier: MIT */
/* Who looks at descriptors while others compute, yield, tick or are asleep. */
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "goro_introspect.h"
#include "net.h"

/* A thread that the runtime knows nothing of. */
static void *poke_later(void *arg)
{
	struct timespec ts = { 0, 100 * GORO_MILLISECOND };

	nanosleep(&ts, NULL);
	check_eq(write(*(int *)arg, "x", 1), 1);
	return NULL;
}

/* All asleep but for one that waits for a descriptor: no deadlock. */
static void io_is_no_deadlock(void)
{
	pthread_t thread;
	int pair[2];
	char c;

	check_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	go(receive_for_ever, goro_chan_make(0, 0));
	check_eq(pthread_create(&thread, NULL, poke_later, &pair[1]), 0);
	check_eq(goro_read(pair[0], &c, 1), 1);
	check_eq(pthread_join(thread, NULL), 0);
}

/* And when that one is off its descriptor, it is one. */
static void deadlock_after_io(void)
{
	goro_waitgroup wg = { 0 };
	int pair[2];
	uint64_t id;

	check_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	goro_waitgroup_add(&wg, 1);
	id = go_copy(read_cancelled, &((struct waiter){ pair[0], &wg }));
	check_parked(id, GORO_REASON_IO);
	check_eq(goro_close(pair[0]), 0);
	goro_waitgroup_wait(&wg);
	receive_for_ever(goro_chan_make(0, 0));
}

static atomic_bool dawdles;

static void dawdle(int sig)
{
	struct timespec ts = { 0, 5 * GORO_MILLISECOND };

	(void)sig;
	dawdles = true;
	nanosleep(&ts, NULL);
	dawdles = false;
}

struct slow_writer {
	int pair[2];
	goro_waitgroup *wg;
};

/* Now and then a signal makes one of its calls long, which never have to wait. */
static void write_slowly(void *arg)
{
	struct slow_writer *w = arg;
	struct itimerspec often = { { 0, GORO_MILLISECOND }, { 0, GORO_MILLISECOND } };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };
	timer_t timer;
	char c;

	goro_lock_os_thread();
	event._sigev_un._tid = gettid();
	check_eq(timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer), 0);
	check_eq(timer_settime(timer, 0, &often, NULL), 0);
	while (goro_write(w->pair[0], "x", 1) == 1)
		check_eq(read(w->pair[1], &c, 1), 1);
	timer_delete(timer);
	goro_waitgroup_done(w->wg);
}

/* Who closes waits for calls that are under way, and not for the kernel's news: there may be
 * nothing to ask for any. */
static void close_where_nobody_polls(void)
{
	struct sigaction sa = { .sa_handler = dawdle, .sa_flags = SA_RESTART | SA_ONSTACK };

	check_eq(sigaction(SIGUSR1, &sa, NULL), 0);
	for (int i = 0; i < 10; i++) {
		goro_waitgroup wg = { 0 };
		struct slow_writer w = { .wg = &wg };

		check_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, w.pair), 0);
		goro_waitgroup_add(&wg, 1);
		go_copy(write_slowly, &w);
		while (!dawdles)
			goro_yield();
		check_eq(goro_close(w.pair[0]), 0);
		goro_waitgroup_wait(&wg);
		close(w.pair[1]);
	}
}

static void yield_for_ever(void *arg)
{
	while (!atomic_load((atomic_bool *)arg))
		goro_yield();
}

static void compute_for_ever(void *arg)
{
	while (!atomic_load((atomic_bool *)arg))
		;
}

/* A busy machine may keep all of us from its processors for seconds. Who is not polled waits for
 * ever. */
static void ping(int a, int b, int rounds)
{
	int64_t worst = 0;
	char c;

	go_copy(echo_one, &b);
	for (int i = 0; i < rounds; i++) {
		int64_t start = goro_now(), took;

		check_eq(goro_write(a, "x", 1), 1);
		check_eq(goro_read(a, &c, 1), 1);
		took = goro_now() - start;
		worst = took > worst ? took : worst;
	}
	check(worst < 20 * GORO_SECOND);
}

/* Workers that never run out of goroutines still look at descriptors. */
static void polled_beside_yields(void)
{
	static atomic_bool stop;
	int ends[2];

	connected(ends);
	for (int i = 0; i < 8; i++)
		go(yield_for_ever, &stop);
	ping(ends[0], ends[1], 20);
	stop = true;
}

static void polled_beside_hogs(void)
{
	static atomic_bool stop;
	int ends[2];

	connected(ends);
	for (int i = 0; i < 4; i++)
		go(compute_for_ever, &stop);
	ping(ends[0], ends[1], 10);
	stop = true;
}

/* Timers are not late because their keeper sleeps in epoll_wait, nor because there is traffic. */
static void ticks_beside_traffic(void)
{
	struct echo e = { .listener = listen_local(), .rounds = 400 };
	int64_t worst = 0;

	goro_waitgroup_add(&e.wg, 65);
	go(echo_accept, &e);
	for (int i = 0; i < 64; i++)
		go(echo_client, &e);
	while (e.served < 64 * 400L) {
		int64_t start = goro_now(), late;

		goro_sleep(GORO_MILLISECOND);
		late = goro_now() - start - GORO_MILLISECOND;
		worst = late > worst ? late : worst;
	}
	fprintf(stderr, "worst tick: %ld us late\n", (long)(worst / GORO_MICROSECOND));
	check(worst < GORO_SECOND);
	goro_close(e.listener);
	goro_waitgroup_wait(&e.wg);
}

int main(int argc, char **argv)
{
	static const struct check_case cases[] = {
		{ .name = "io_is_no_deadlock", .run = io_is_no_deadlock },
		{ .name = "deadlock_after_io",
		  .run = deadlock_after_io,
		  .status = 2,
		  .says = { "^fatal error: all goroutines are asleep - deadlock!" } },
		{ .name = "close_where_nobody_polls", .run = close_where_nobody_polls },
		{ .name = "polled_beside_yields", .run = polled_beside_yields },
		{ .name = "polled_beside_hogs", .run = polled_beside_hogs },
		{ .name = "ticks_beside_traffic", .run = ticks_beside_traffic },
	};

	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
