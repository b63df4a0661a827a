/* SPDX-License-Identifier: MIT */
/* Threads that the program has made itself call the API: as goroutines, until they end. */
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "own_threads.h"

/* ---- threads of the program's own ------------------------------------------------------------ */

static void join(void *thread)
{
	check(!pthread_join(*(pthread_t *)thread, NULL));
}

static pthread_t thread_of(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	check(!pthread_create(&thread, NULL, fn, arg));
	return thread;
}

struct talk {
	goro_chan *in, *out;
	goro_mutex mu;
	goro_waitgroup wg;
	int sum;
};

static void add_one(void *arg)
{
	struct talk *t = arg;

	goro_mutex_lock(&t->mu);
	t->sum++;
	goro_mutex_unlock(&t->mu);
	goro_waitgroup_done(&t->wg);
}

/* Every part of the API that a goroutine has. */
static void *uses_all(void *arg)
{
	struct talk *t = arg;
	int me = tid(), v;

	check(goro_id() > 1);
	check(flags_seen(goro_id()) & GORO_FLAG_FOREIGN);
	while (goro_chan_recv(t->in, &v)) {
		struct goro_case cases[] = { goro_send_case(t->out, &v),
					     goro_recv_case(NULL, NULL) };

		check_eq(tid(), me);
		goro_waitgroup_add(&t->wg, 1);
		go(add_one, t);
		goro_mutex_lock(&t->mu);
		t->sum += v;
		goro_yield();
		goro_mutex_unlock(&t->mu);
		check_eq(goro_select(cases, 2), 0);
		goro_sleep(GORO_MICROSECOND);
		check_eq(goro_select_timeout(cases + 1, 1, GORO_MICROSECOND), -1);
		goro_blocking(tell_tid, &v);
		check_eq(v, me);
		check_eq(tid(), me);
	}
	waits(20);
	goro_unlock_os_thread(); /* it is nobody's to unlock */
	check_eq(tid(), me);
	goro_yield();
	check_eq(tid(), me);
	return NULL;
}

static void foreign_uses_all(void)
{
	struct talk t = { goro_chan_of(int, 0), goro_chan_of(int, 0), .sum = 0 };
	pthread_t thread = thread_of(uses_all, &t);
	int v;

	for (int i = 0; i < 200; i++) {
		goro_chan_send(t.in, &i);
		check(goro_chan_recv(t.out, &v) && v == i);
	}
	goro_chan_close(t.in);
	goro_blocking(join, &thread);
	goro_waitgroup_wait(&t.wg);
	check_eq(t.sum, 200 + 199 * 200 / 2);
	check_eq(goro_count(), 1);
}

enum { THREADS = 16, LIVES = 60 };

struct market {
	goro_chan *goods;
	int64_t closing; /* after that nobody begins another life */
	goro_waitgroup spawned;
	atomic_long sold, bought, made;
};

static void make_one(void *arg)
{
	struct market *m = arg;

	atomic_fetch_add(&m->made, 1);
	goro_waitgroup_done(&m->spawned);
}

/* Short lives: some call once and end at once, some in the middle of the crowd. */
static void *short_life(void *arg)
{
	struct market *m = arg;
	long n = tid();

	if (n % 5 == 0)
		return goro_id() ? NULL : arg;
	for (long i = 1; i <= n % 7 + 1; i++) {
		goro_chan_send(m->goods, &i);
		atomic_fetch_add(&m->sold, i);
		goro_waitgroup_add(&m->spawned, 1);
		go(make_one, m);
	}
	return NULL;
}

/* A worker is handed on some ten thousand times. Where dozens want the processor each may take 70
 * ms. */
static void *starts_others(void *arg)
{
	struct market *m = arg;

	for (int i = 0; i < LIVES && goro_now() < m->closing; i++) {
		pthread_t a = thread_of(short_life, arg), b = thread_of(short_life, arg);

		pthread_join(a, NULL);
		pthread_join(b, NULL);
	}
	return NULL;
}

static void buy(void *arg)
{
	struct market *m = arg;
	long v;

	while (goro_chan_recv(m->goods, &v))
		atomic_fetch_add(&m->bought, v);
}

static void threads_come_and_go(void)
{
	struct market m = { .goods = goro_chan_of(long, 2),
			    .closing = goro_now() + 10 * GORO_SECOND };
	pthread_t threads[THREADS];

	for (int i = 0; i < 3; i++)
		go(buy, &m);
	for (int i = 0; i < THREADS; i++)
		threads[i] = thread_of(starts_others, &m);
	for (int i = 0; i < THREADS; i++)
		goro_blocking(join, &threads[i]);
	goro_waitgroup_wait(&m.spawned);
	goro_chan_close(m.goods);
	check_eventually(goro_count() == 1);
	check_eq(atomic_load(&m.sold), atomic_load(&m.bought));
	check(atomic_load(&m.made) > 0);
	/* Records of threads are used again. */
	check(goro_introspect.m_count < 200);
}

static void *holds(void *mu)
{
	goro_mutex_lock(mu);
	return NULL;
}

/* A thread that ends with a lock is a tomb, as a goroutine that does. */
static void foreign_ends_with_a_lock(void)
{
	static goro_mutex mu;
	pthread_t thread = thread_of(holds, &mu);

	goro_blocking(join, &thread);
	check(!goro_mutex_try_lock(&mu));
	check_eq(goro_count(), 1);
}

static atomic_int destroyed;

static void destroy(void *value)
{
	(void)value;
	goro_yield(); /* it is still a goroutine */
	atomic_fetch_add(&destroyed, 1);
}

static goro_local local = { destroy };

static void deferred(void *arg)
{
	(void)arg;
	atomic_fetch_add(&destroyed, 10);
}

static void *leaves_by_exit(void *arg)
{
	goro_defer(deferred, NULL);
	goro_local_set(&local, arg);
	goro_exit();
}

static void *has_a_value(void *arg)
{
	goro_local_set(&local, arg);
	return arg;
}

static void foreign_ends_as_a_goroutine(void)
{
	int value;
	pthread_t thread = thread_of(has_a_value, &value);

	goro_blocking(join, &thread);
	check_eq(atomic_load(&destroyed), 1);
	thread = thread_of(leaves_by_exit, &value);
	goro_blocking(join, &thread);
	check_eq(atomic_load(&destroyed), 12);
	check_eq(goro_count(), 1);
}

static pthread_key_t late_key;

static void call_late(void *c)
{
	goro_chan_send(c, &(int){ 5 });
}

static void *sets_key(void *c)
{
	check(!pthread_setspecific(late_key, c));
	goro_yield();
	return NULL;
}

/* What runs at a thread's end may call too, before us or after. */
static void foreign_calls_at_its_end(void)
{
	goro_chan *c = goro_chan_of(int, 0);
	pthread_t thread;
	int v = 0;

	check(!pthread_key_create(&late_key, call_late));
	for (int i = 0; i < 10; i++) {
		thread = thread_of(sets_key, c);
		check(goro_chan_recv(c, &v) && v == 5);
		goro_blocking(join, &thread);
	}
	check_eq(goro_count(), 1);
}

static void *calls_and_sits(void *stop)
{
	goro_yield();
	while (!atomic_load((atomic_bool *)stop))
		usleep(1000);
	return NULL;
}

/* In its own code it keeps no P, also where there is one only. */
static void foreign_holds_back_nobody(void)
{
	atomic_bool stop = false;
	pthread_t threads[4];
	int64_t start;

	for (int i = 0; i < 4; i++)
		threads[i] = thread_of(calls_and_sits, &stop);
	check_eventually(goro_count() == 5);
	start = goro_now();
	for (int i = 0; i < 20; i++)
		goro_sleep(GORO_MILLISECOND);
	check(goro_now() - start < 10 * GORO_SECOND);
	atomic_store(&stop, true);
	for (int i = 0; i < 4; i++)
		goro_blocking(join, &threads[i]);
}

static void *sends_late(void *c)
{
	usleep(100 * 1000);
	goro_chan_send(c, &(int){ 9 });
	usleep(100 * 1000);
	goro_chan_send(c, &(int){ 9 });
	return NULL;
}

/* Nobody else is awake, but the thread may call, before its first call and after. */
static void foreign_may_call_yet(void)
{
	goro_chan *c = goro_chan_of(int, 0);
	pthread_t thread = thread_of(sends_late, c);
	int v = 0;

	check(goro_chan_recv(c, &v) && v == 9);
	check(goro_chan_recv(c, &v) && v == 9);
	pthread_join(thread, NULL);
}

static void *waits_for_ever(void *c)
{
	goro_chan_recv(c, NULL);
	return NULL;
}

static void *ends_soon(void *attach)
{
	if (attach)
		goro_yield();
	usleep(20 * 1000);
	return NULL;
}

static void foreign_deadlock(void)
{
	goro_chan *c = goro_chan_of(int, 0);

	thread_of(waits_for_ever, c);
	goro_chan_recv(c, NULL);
}

static void deadlock_after_threads(void)
{
	goro_chan *c = goro_chan_of(int, 0);

	pthread_detach(thread_of(ends_soon, NULL));
	pthread_detach(thread_of(ends_soon, c));
	goro_chan_recv(c, NULL);
}

static void *many_calls(void *n)
{
	goro_chan *c = goro_chan_of(int, 1);

	for (int i = 0; i < 100000; i++) {
		goro_chan_send(c, &i);
		check(goro_chan_recv(c, NULL));
	}
	atomic_fetch_add((atomic_int *)n, 1);
	goro_chan_free(c);
	return NULL;
}

/* Threads, and the number of workers, and hogs. */
static void foreign_beside_changes(void)
{
	pthread_t threads[8];
	atomic_bool stop = false;
	atomic_int n = 0;

	go(locked_hog, &stop);
	for (int i = 0; i < 8; i++)
		threads[i] = thread_of(many_calls, &n);
	for (int i = 0; atomic_load(&n) < 8; i++) {
		goro_set_maxprocs(1 + i * 3 % 8);
		goro_sleep(100 * GORO_MICROSECOND);
	}
	for (int i = 0; i < 8; i++)
		goro_blocking(join, &threads[i]);
	atomic_store(&stop, true);
	check_eventually(goro_count() == 1);
}

/* With what is left of us. The sanitizers' own ends of threads do not survive a fork: another
 * thread may have had one of their locks. */
static _Noreturn void end_of_child(void)
{
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	_exit(0);
#else
	pthread_exit(NULL);
#endif
}

static void *parent_calls(void *arg)
{
	char *argv[] = { (char[]){ "true" }, NULL };
	pid_t child;
	int status;

	(void)arg;
	goro_yield();
	check(!posix_spawn(&child, "/bin/true", NULL, NULL, argv, NULL));
	check(waitpid(child, &status, 0) == child && !status);
	child = fork();
	if (!child)
		end_of_child();
	check(waitpid(child, &status, 0) == child && !status);
	return NULL;
}

static void foreign_forks(void)
{
	pthread_t thread = thread_of(parent_calls, NULL);

	goro_blocking(join, &thread);
}

static void *keeps_errno(void *unused)
{
	(void)unused;
	errno = EDOM;
	goro_yield();
	check_eq(errno, EDOM);
	return NULL;
}

static void foreign_keeps_errno(void)
{
	pthread_t thread = thread_of(keeps_errno, NULL);

	goro_blocking(join, &thread);
}

static const struct check_case cases[] = {
	{ .name = "foreign_keeps_errno", .run = foreign_keeps_errno },
	{ .name = "foreign_uses_all", .run = foreign_uses_all },
	{ .name = "threads_come_and_go", .run = threads_come_and_go },
	{ .name = "foreign_ends_with_a_lock", .run = foreign_ends_with_a_lock },
	{ .name = "foreign_ends_as_a_goroutine", .run = foreign_ends_as_a_goroutine },
	{ .name = "foreign_calls_at_its_end", .run = foreign_calls_at_its_end },
	{ .name = "foreign_holds_back_nobody", .run = foreign_holds_back_nobody },
	{ .name = "foreign_may_call_yet", .run = foreign_may_call_yet },
	{ .name = "foreign_deadlock",
	  .run = foreign_deadlock,
	  .status = 2,
	  .says = { "^fatal error: all goroutines are asleep - deadlock!$" },
	  .anywhere = { "^goroutine 1 \\[chan receive\\]:$",
			"^goroutine [0-9]+ \\[chan receive, locked to thread\\]:$",
			"^waits_for_ever\\(" } },
	{ .name = "deadlock_after_threads",
	  .run = deadlock_after_threads,
	  .status = 2,
	  .says = { "^fatal error: all goroutines are asleep - deadlock!$" } },
	{ .name = "foreign_beside_changes", .run = foreign_beside_changes },
	{ .name = "foreign_forks", .run = foreign_forks },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
