/* SPDX-License-Identifier: MIT */
/* GORO_DEBUG=pthread: which waits with a thread's lock in hand are reported, and which are none. */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "goro_introspect.h"

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;

#ifdef TAKE_ADDRESSES
/* At a fixed address the program's own jump to a function is its address, for everybody. */
int (*const addresses[])(pthread_mutex_t *) = { pthread_mutex_lock, pthread_mutex_unlock };
#endif

/* Run it in a goroutine of its own that has a name. */
static void run(goro_fn *fn)
{
	goro_leak_mark *mark = goro_mark_leaks();
	struct goro_options options = { .name = "holder" };

	goro_go_with(&options, fn, NULL);
	goro_assert_no_leaks(mark, CHECK_PATIENCE);
}

static void run_twice(goro_fn *fn)
{
	run(fn);
	run(fn);
}

/* A wait that ends: for a timer, with nothing else to run. */
static __attribute__((noinline)) void wait_a_little(void)
{
	goro_sleep(GORO_MILLISECOND);
	__asm__ volatile("");
}

static __attribute__((noinline)) void receive(goro_chan *c)
{
	int v;

	check(goro_chan_recv(c, &v));
	__asm__ volatile("");
}

static void send_late(void *arg)
{
	goro_sleep(GORO_MILLISECOND);
	goro_chan_send(arg, &(int){ 1 });
}

/* ---- reported ---------------------------------------------------------------------------------
 */

static void over_receive(void *unused)
{
	goro_chan *c = goro_chan_of(int, 0);

	(void)unused;
	go(send_late, c);
	pthread_mutex_lock(&mu);
	receive(c);
	pthread_mutex_unlock(&mu);
	goro_chan_free(c);
}

static void mutex_over_receive(void)
{
	run_twice(over_receive);
}

static void over_select(void *unused)
{
	goro_chan *c = goro_chan_of(int, 0);
	int v;
	struct goro_case cases[] = { goro_recv_case(c, &v), goro_recv_case(NULL, &v) };

	(void)unused;
	go(send_late, c);
	check(!pthread_mutex_trylock(&mu));
	check_eq(goro_select(cases, 2), 0);
	pthread_mutex_unlock(&mu);
	goro_chan_free(c);
}

static void mutex_over_select(void)
{
	run_twice(over_select);
}

/* Nobody else uses the lock: to be unlocked on another thread breaks it. */
static void over_read(void *unused)
{
	pthread_rwlock_t own = PTHREAD_RWLOCK_INITIALIZER;
	int fd[2];
	char byte;

	(void)unused;
	check(!pipe2(fd, O_NONBLOCK));
	check_eq(goro_write(fd[1], "x", 1), 1);
	pthread_rwlock_rdlock(&own);
	check_eq(goro_read(fd[0], &byte, 1), 1); /* no wait: it is there */
	pthread_rwlock_unlock(&own);
	pthread_rwlock_wrlock(&own);
	check_eq(goro_set_deadline(fd[0], goro_now() + GORO_MILLISECOND, 0), 0);
	check_eq(goro_read(fd[0], &byte, 1), -ETIMEDOUT);
	pthread_rwlock_unlock(&own);
	goro_close(fd[0]);
	goro_close(fd[1]);
}

static void rwlock_over_read(void)
{
	run_twice(over_read);
}

static void of_each_kind(void *unused)
{
	struct timespec soon;
	pthread_spinlock_t spin;
	mtx_t mtx;

	(void)unused;
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_sec += 100;
	pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
	pthread_spin_lock(&spin);
	wait_a_little();
	pthread_spin_unlock(&spin);
	pthread_rwlock_rdlock(&rw);
	wait_a_little();
	pthread_rwlock_unlock(&rw);
	flockfile(stdout);
	wait_a_little();
	funlockfile(stdout);
	check_eq(mtx_init(&mtx, mtx_plain), thrd_success);
	check_eq(mtx_lock(&mtx), thrd_success);
	wait_a_little();
	mtx_unlock(&mtx);
	check(!pthread_mutex_timedlock(&mu, &soon));
	wait_a_little();
	pthread_mutex_unlock(&mu);
}

static void each_kind(void)
{
	run_twice(of_each_kind);
}

static void recursive_init(pthread_mutex_t *l)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(l, &attr);
	pthread_mutexattr_destroy(&attr);
}

static void locked_twice(void *unused)
{
	pthread_mutex_t l;

	(void)unused;
	recursive_init(&l);
	pthread_mutex_lock(&l);
	pthread_mutex_lock(&l);
	pthread_mutex_unlock(&l);
	wait_a_little();
	pthread_mutex_unlock(&l);
	pthread_mutex_destroy(&l);
}

static void recursive_mutex(void)
{
	run_twice(locked_twice);
}

static _Atomic bool woken;

static void wait_for_condition(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&mu);
	while (!woken)
		pthread_cond_wait(&cond, &mu);
	wait_a_little();
	pthread_mutex_unlock(&mu);
}

static void wake(void *unused)
{
	(void)unused;
	goro_sleep(5 * GORO_MILLISECOND);
	pthread_mutex_lock(&mu);
	woken = true;
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&mu);
}

static void after_a_condition(void)
{
	goro_leak_mark *mark = goro_mark_leaks();

	go(wake, NULL);
	run(wait_for_condition);
	goro_assert_no_leaks(mark, CHECK_PATIENCE);
}

static _Atomic bool stop;

static void keep_busy(void *unused)
{
	(void)unused;
	while (!stop)
		goro_yield();
}

/* A recursive mutex, and no wait; but the goroutine is moved while it computes. */
static void compute_with_lock(void *unused)
{
	int64_t end = goro_now() + CHECK_PATIENCE;
	pthread_mutex_t l;
	pid_t thread;

	(void)unused;
	recursive_init(&l);
	do {
		check(goro_now() < end);
		pthread_mutex_lock(&l);
		thread = gettid();
		for (int64_t until = goro_now() + 30 * GORO_MILLISECOND; goro_now() < until;) {
			struct timespec now;

			for (int i = 0; i < 100000; i++)
				clock_gettime(CLOCK_MONOTONIC, &now);
		}
		goro_yield();
		if (thread == gettid())
			pthread_mutex_unlock(&l);
	} while (thread == gettid());
	/* Whatever comes of it. */
	pthread_mutex_unlock(&l);
	stop = true;
}

static void unlocked_elsewhere(void)
{
	goro_leak_mark *mark = goro_mark_leaks();

	for (int i = 0; i < 8; i++)
		go(keep_busy, NULL);
	run(compute_with_lock);
	goro_assert_no_leaks(mark, CHECK_PATIENCE);
}

/* Nobody is left who could say it but the end of the process, or of the deadlock's report. */
static void over_the_end(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&mu);
	receive(NULL);
}

static void just_before_exit(void)
{
	check_parked(go(over_the_end, NULL), GORO_REASON_CHAN_RECV_NIL);
}

static void in_a_deadlock(void)
{
	over_the_end(NULL);
}

static void in_a_plugin(void *lib)
{
	((void (*)(goro_fn *))dlsym(lib, "hold_and_call"))((goro_fn *)wait_a_little);
}

static void library_that_comes_late(void)
{
	void *lib = dlopen(HOLDING_PLUGIN, RTLD_NOW);
	goro_leak_mark *mark;

	if (!lib)
		fprintf(stderr, "%s\n", dlerror());
	check(lib);
	/* It is seen soon, but not at once. */
	for (int i = 0; i < 100; i++) {
		wait_a_little();
		mark = goro_mark_leaks();
		go(in_a_plugin, lib);
		goro_assert_no_leaks(mark, CHECK_PATIENCE);
	}
}

/* ---- and not ----------------------------------------------------------------------------------
 */

static void lock_for_a_moment(void *unused)
{
	goro_chan *c = goro_chan_of(int, 1);
	goro_mutex gm = { 0 };

	(void)unused;
	for (int i = 0; i < 3; i++) {
		pthread_mutex_lock(&mu);
		goro_chan_send(c, &i); /* there is room */
		goro_mutex_lock(&gm);
		goro_mutex_unlock(&gm);
		receive(c);
		pthread_mutex_unlock(&mu);
		wait_a_little();
	}
	goro_chan_free(c);
}

static void yield_with_lock(void *unused)
{
	(void)unused;
	for (int i = 0; i < 100; i++) {
		pthread_mutex_lock(&mu);
		goro_yield();
		pthread_mutex_unlock(&mu);
	}
}

static void many_that_yield(void)
{
	goro_leak_mark *mark = goro_mark_leaks();

	for (int i = 0; i < 3; i++)
		go(yield_with_lock, NULL);
	goro_assert_no_leaks(mark, CHECK_PATIENCE);
}

static void try_in_vain(void *unused)
{
	(void)unused;
	check(pthread_mutex_trylock(&mu));
	check(pthread_rwlock_tryrdlock(&rw));
	check(pthread_rwlock_trywrlock(&rw));
	wait_a_little();
}

static void tried_in_vain(void)
{
	goro_lock_os_thread();
	pthread_mutex_lock(&mu);
	pthread_rwlock_wrlock(&rw);
	run(try_in_vain);
	pthread_rwlock_unlock(&rw);
	pthread_mutex_unlock(&mu);
}

static void stay_and_wait(void *unused)
{
	goro_lock_os_thread();
	locked_twice(unused);
	over_receive(unused);
	goro_unlock_os_thread();
}

static void *thread_of_our_own(void *unused)
{
	(void)unused;
	over_receive(NULL);
	return NULL;
}

static void a_thread(void)
{
	pthread_t thread;

	check(!pthread_create(&thread, NULL, thread_of_our_own, NULL));
	check(!pthread_join(thread, NULL));
}

static goro_chan *turn;

static void unlock_for_other(void *unused)
{
	(void)unused;
	pthread_mutex_unlock(&mu);
	goro_chan_send(turn, &(int){ 0 });
}

/* A normal mutex is a semaphore of one: who unlocks it need not be who locked it. */
static void hand_over(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&mu);
	turn = goro_chan_of(int, 1);
	go(unlock_for_other, NULL);
	while (goro_chan_len(turn) == 0)
		goro_yield();
	wait_a_little();
	goro_chan_free(turn);
}

static void *unlock_it(void *unused)
{
	pthread_mutex_unlock(&mu);
	return unused;
}

static void hand_to_thread(void *unused)
{
	pthread_t thread;

	(void)unused;
	pthread_mutex_lock(&mu);
	check(!pthread_create(&thread, NULL, unlock_it, NULL));
	check(!pthread_join(thread, NULL));
	wait_a_little();
}

static void made_anew(void *unused)
{
	pthread_mutex_t l;

	(void)unused;
	pthread_mutex_init(&l, NULL);
	pthread_mutex_lock(&l);
	pthread_mutex_init(&l, NULL);
	wait_a_little();
}

static void wait_for_the_waker(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&mu);
	while (!woken)
		pthread_cond_wait(&cond, &mu);
	pthread_mutex_unlock(&mu);
	wait_a_little();
}

static void wake_and_wait(void *unused)
{
	wake(unused);
	wait_a_little();
}

static void condition_gives_it_up(void)
{
	goro_leak_mark *mark = goro_mark_leaks();

	go(wait_for_the_waker, NULL);
	go(wake_and_wait, NULL);
	goro_assert_no_leaks(mark, CHECK_PATIENCE);
}

static void block(void *unused)
{
	(void)unused;
	usleep(1000);
}

/* That is what a thread does with a mutex, too. */
static void block_with_lock(void *unused)
{
	pthread_mutex_lock(&mu);
	goro_blocking(block, unused);
	usleep(15000);
	pthread_mutex_unlock(&mu);
}

/*
 * To ThreadSanitizer, who unlocks must be who locked; and it is gone already when libunwind cleans
 * up after a thread that took a stack and ends.
 */
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define UNDER_TSAN true
#else
#define UNDER_TSAN false
#endif

static void silent(void)
{
	run_twice(lock_for_a_moment);
	many_that_yield();
	run(stay_and_wait);
	if (!UNDER_TSAN) {
		a_thread();
		run(hand_over);
		run(hand_to_thread);
	}
	run(made_anew);
	condition_gives_it_up();
	run(block_with_lock);
	tried_in_vain();
}

static void off(void)
{
	mutex_over_receive();
	recursive_mutex();
}

#define ON     .env = "GORO_DEBUG=pthread"
#define ONCE   .never = "warning(.|\n)*warning"
#define WAITS  "^warning: a goroutine waits while it holds "
#define HOLDER "^goroutine [0-9]+ \"holder\" locked it:$"
#define HERE   "^    \t.*test_pthreads\\.c:[0-9]+$"
#define THEN   "^  and then, still holding it, waited \\["

static const struct check_case cases[] = {
	{ .name = "mutex_over_receive",
	  .run = mutex_over_receive,
	  ON,
	  ONCE,
	  .says = { WAITS "a pthread mutex$", HOLDER "\n    over_receive\\(", HERE,
		    THEN "chan receive\\]:\n    .*receive\\(", HERE, "^    over_receive\\(", HERE,
		    "^Who wants it meanwhile blocks a whole thread, ", "use goro_mutex,",
		    "goro_lock_os_thread\\(\\)" } },
	{ .name = "mutex_over_select",
	  .run = mutex_over_select,
	  ON,
	  ONCE,
	  .says = { WAITS "a pthread mutex$", HOLDER, "^    over_select\\(", THEN "select\\]:$",
		    "over_select\\(" } },
	{ .name = "rwlock_over_read",
	  .run = rwlock_over_read,
	  ON,
	  ONCE,
	  .says = { WAITS "a pthread rwlock for writing$", HOLDER, "^    over_read\\(",
		    THEN ".*\\]:$", "over_read\\(", "its owner is the thread", "goro_rwmutex" } },
	{ .name = "each_kind",
	  .run = each_kind,
	  ON,
	  .anywhere = { WAITS "a pthread spin lock$", "spins with a whole thread",
			WAITS "a pthread rwlock for reading$", WAITS "a FILE's lock$",
			WAITS "a pthread mutex$(.|\n)*" WAITS "a pthread mutex$" },
	  .never = "(warning(.|\n)*){6}" },
	{ .name = "recursive_mutex",
	  .run = recursive_mutex,
	  ON,
	  ONCE,
	  .says = { WAITS "a pthread mutex$", HOLDER, "^    locked_twice\\(", THEN "sleep\\]:$",
		    "its owner is the thread" } },
	{ .name = "after_a_condition",
	  .run = after_a_condition,
	  ON,
	  ONCE,
	  .says = { WAITS "a pthread mutex$", HOLDER, "^    wait_for_condition\\(", THEN } },
	{ .name = "unlocked_elsewhere",
	  .run = unlocked_elsewhere,
	  ON,
	  ONCE,
	  .says = { "^warning: a goroutine unlocks a pthread mutex on another thread than it was "
		    "locked on$",
		    "\"holder\" locked it on thread [0-9]+:\n    compute_with_lock\\(", HERE,
		    "^  and unlocked it on thread [0-9]+:\n    compute_with_lock\\(", HERE } },
	{ .name = "just_before_exit", .run = just_before_exit, ON, ONCE, .says = { WAITS } },
	{ .name = "in_a_deadlock",
	  .run = in_a_deadlock,
	  ON,
	  .status = 2,
	  .says = { WAITS, "asleep - deadlock" } },
	{ .name = "library_that_comes_late",
	  .run = library_that_comes_late,
	  ON,
	  ONCE,
	  .says = { WAITS "a pthread mutex$", "locked it:\n    hold_and_call\\(" } },
	{ .name = "silent", .run = silent, ON, .never = "warning" },
	{ .name = "off", .run = off, .never = "warning" },
	{ .name = "unknown_word",
	  .run = off,
	  .env = "GORO_DEBUG=pthreads",
	  .status = 2,
	  .says = { "GORO_DEBUG=pthreads: what can be asked for is pthread" } },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
