/* SPDX-License-Identifier: MIT */
/* Goroutines and threads: locked to one, pinned to one of their own, threads that others made. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "goro_introspect.h"

extern struct goro_introspect goro_introspect;

static int tid(void)
{
	return (int)syscall(SYS_gettid);
}

static bool thread_exists(int id)
{
	return !syscall(SYS_tgkill, getpid(), id, 0);
}

/* Others write records meanwhile: an observer knows, ThreadSanitizer does not. */
__attribute__((no_sanitize("thread"))) static uint32_t flags_seen(uint64_t id)
{
	const struct goro_introspect *gi = &goro_introspect;
	const struct goro_field *fields = (const void *)(uintptr_t)gi->fields;
	const uint64_t *chunks = (const void *)(uintptr_t)gi->g_chunks;

	for (uint32_t i = 0; i < gi->g_nchunks * gi->g_chunk_len; i++) {
		const char *g = (const char *)(uintptr_t)chunks[i / gi->g_chunk_len] +
				(size_t)(i % gi->g_chunk_len) * gi->g_size;
		if (*(const volatile uint64_t *)g == id)
			return GORO_STATUS_FLAGS(*(
				const volatile uint32_t *)(g + fields[GORO_FIELD_g_status].offset));
	}
	return 0;
}

/* Keep the workers busy, so that a goroutine that may move does. */
static atomic_bool storm_over;
static goro_waitgroup storm;

static void blow(void *arg)
{
	(void)arg;
	while (!atomic_load(&storm_over)) {
		for (int i = 0; i < 20; i++)
			goro_yield();
		goro_sleep(20 * GORO_MICROSECOND);
	}
	goro_waitgroup_done(&storm);
}

static void storm_begin(void)
{
	goro_waitgroup_add(&storm, 8);
	for (int i = 0; i < 8; i++)
		go(blow, NULL);
}

static void storm_end(void)
{
	atomic_store(&storm_over, true);
	goro_waitgroup_wait(&storm);
}

/* ---- locked ---------------------------------------------------------------------------------- */

struct echo {
	goro_chan *in, *out;
};

static void echo(void *arg)
{
	struct echo *e = arg;
	int v;

	while (goro_chan_recv(e->in, &v)) {
		v++;
		goro_chan_send(e->out, &v);
	}
	goro_chan_close(e->out);
}

static void nothing(void *arg)
{
	*(int *)arg = tid();
}

static void poke(void *fd)
{
	goro_sleep(GORO_MILLISECOND);
	check_eq(goro_write(*(int *)fd, "x", 1), 1);
}

/* Every way to wait, and a yield: the same thread afterwards. */
static void waits(int rounds)
{
	struct echo e = { goro_chan_of(int, 0), goro_chan_of(int, 1) };
	static goro_mutex mu;
	int me = tid(), there = 0, pair[2];

	go(echo, &e);
	check_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	for (int i = 0; i < rounds; i++) {
		struct goro_case cases[] = { goro_recv_case(e.out, &there) };
		char c;

		goro_chan_send(e.in, &i);
		check_eq(tid(), me);
		check_eq(goro_select(cases, 1), 0);
		check_eq(there, i + 1);
		check_eq(tid(), me);
		goro_yield();
		check_eq(tid(), me);
		goro_sleep(10 * GORO_MICROSECOND);
		check_eq(tid(), me);
		check_eq(goro_select_timeout(cases, 1, GORO_MICROSECOND), -1);
		check_eq(tid(), me);
		goro_mutex_lock(&mu);
		goro_yield();
		goro_mutex_unlock(&mu);
		check_eq(tid(), me);
		goro_blocking(nothing, &there);
		check_eq(there, me);
		check_eq(tid(), me);
		if (i % 64)
			continue;
		go(poke, &pair[1]);
		check_eq(goro_read(pair[0], &c, 1), 1);
		check_eq(tid(), me);
	}
	goro_chan_close(e.in);
	check(!goro_chan_recv(e.out, NULL));
	check_eq(goro_close(pair[0]), 0);
	check_eq(goro_close(pair[1]), 0);
	goro_chan_free(e.in);
	goro_chan_free(e.out);
}

static void locked_waits(void *wg)
{
	goro_lock_os_thread();
	waits(300);
	goro_unlock_os_thread();
	goro_waitgroup_done(wg);
}

static void stays_on_its_thread(void)
{
	goro_waitgroup wg = { 0 };

	storm_begin();
	goro_waitgroup_add(&wg, 5);
	for (int i = 0; i < 5; i++)
		go(locked_waits, &wg);
	goro_waitgroup_wait(&wg);
	storm_end();
}

static void main_stays_on_its_thread(void)
{
	goro_lock_os_thread();
	storm_begin();
	check_eq(tid(), getpid());
	waits(300);
	storm_end();
	check_eq(tid(), getpid());
}

static atomic_int private_thread;

static void notices(void *wg)
{
	for (int i = 0; i < 20; i++) {
		check(tid() != atomic_load(&private_thread));
		goro_yield();
	}
	goro_waitgroup_done(wg);
}

static void others_run_elsewhere(void)
{
	goro_waitgroup wg = { 0 };

	goro_lock_os_thread();
	atomic_store(&private_thread, tid());
	for (int i = 0; i < 50; i++) {
		goro_waitgroup_add(&wg, 20);
		for (int k = 0; k < 20; k++)
			go(notices, &wg);
		goro_waitgroup_wait(&wg);
	}
}

static void locks_nest(void)
{
	uint64_t me = goro_id();

	goro_unlock_os_thread(); /* nothing to undo */
	check(!(flags_seen(me) & GORO_FLAG_LOCKED));
	goro_lock_os_thread();
	goro_lock_os_thread();
	goro_unlock_os_thread();
	check(flags_seen(me) & GORO_FLAG_LOCKED);
	check(flags_seen(me) & GORO_FLAG_MAIN);
	goro_unlock_os_thread();
	check(!(flags_seen(me) & GORO_FLAG_LOCKED));
	goro_unlock_os_thread();
	goro_sleep(1);
	goro_lock_os_thread();
	check(flags_seen(me) & GORO_FLAG_LOCKED);
}

static void child(void *arg)
{
	check(!(flags_seen(goro_id()) & GORO_FLAG_LOCKED));
	atomic_store((atomic_int *)arg, tid());
}

static void children_are_free(void)
{
	atomic_int where = 0;

	goro_lock_os_thread();
	go(child, &where);
	check_eventually(atomic_load(&where));
	check(atomic_load(&where) != tid());
}

static void locked_hog(void *stop)
{
	goro_lock_os_thread();
	while (!atomic_load((atomic_bool *)stop))
		;
}

static void hogs_hold_back_nobody(void)
{
	atomic_bool stop = false;
	int64_t start = goro_now();

	for (int i = 0; i < 8; i++)
		go(locked_hog, &stop);
	for (int i = 0; i < 10; i++)
		goro_sleep(GORO_MILLISECOND);
	check(goro_now() - start < 10 * GORO_SECOND);
	atomic_store(&stop, true);
	check_eventually(goro_count() == 1);
}

static void raise_flag(void *flag)
{
	goro_yield();
	atomic_store((atomic_bool *)flag, true);
}

/* Two that yield, one of them locked, must not keep a third from its turn. */
static void yield_is_fair(void)
{
	atomic_bool flag = false;

	goro_lock_os_thread();
	storm_begin();
	go(raise_flag, &flag);
	while (!atomic_load(&flag))
		goro_yield();
	storm_end();
}

/* ---- the end of a locked one ----------------------------------------------------------------- */

static void ends_locked(void *where)
{
	goro_lock_os_thread();
	atomic_store((atomic_int *)where, tid());
}

static void exits_locked(void *where)
{
	goro_lock_os_thread();
	atomic_store((atomic_int *)where, tid());
	goro_exit();
}

static void ends_unlocked(void *where)
{
	goro_lock_os_thread();
	goro_unlock_os_thread();
	atomic_store((atomic_int *)where, tid());
}

static void thread_ends_with_it(void)
{
	static goro_fn *const ways[] = { ends_locked, exits_locked };

	/* So that it is not main's, which stays. */
	goro_lock_os_thread();
	for (int i = 0; i < 20; i++) {
		atomic_int where = 0;

		go(ways[i % 2], &where);
		check_eventually(atomic_load(&where));
		check_eventually(!thread_exists(atomic_load(&where)));
	}
	for (int i = 0; i < 20; i++) {
		atomic_int where = 0;

		go(ends_unlocked, &where);
		check_eventually(atomic_load(&where) && goro_count() == 1);
		check(thread_exists(atomic_load(&where)));
	}
}

/* Whoever ends locked on the process's first thread leaves it standing, and the process alive. */
static void first_thread_stays(void)
{
	atomic_int where = 0;

	for (int i = 0; i < 100 && atomic_load(&where) != getpid(); i++) {
		atomic_store(&where, 0);
		go(ends_locked, &where);
		check_eventually(atomic_load(&where) && goro_count() == 1);
	}
	goro_sleep(GORO_MILLISECOND);
	check(thread_exists(getpid()));
	storm_begin();
	storm_end();
}

/* ---- pinned ---------------------------------------------------------------------------------- */

enum { PINNED = 100, ROUNDS = 100 };

struct ring {
	goro_chan *c[PINNED + 1];
	atomic_int tids[PINNED];
	goro_waitgroup wg;
};

struct link {
	struct ring *ring;
	int i;
};

static void pinned_link(void *arg)
{
	struct link *l = arg;
	int me = tid(), v;

	atomic_store(&l->ring->tids[l->i], me);
	check(flags_seen(goro_id()) & GORO_FLAG_LOCKED);
	while (goro_chan_recv(l->ring->c[l->i], &v)) {
		v++;
		check_eq(tid(), me);
		goro_chan_send(l->ring->c[l->i + 1], &v);
		check_eq(tid(), me);
	}
	goro_chan_close(l->ring->c[l->i + 1]);
	goro_waitgroup_done(&l->ring->wg);
}

static const struct goro_options pinned = { .pinned = true, .name = "pinned" };

static void pinned_ring(void)
{
	static struct link links[PINNED];
	static struct ring ring;

	for (int i = 0; i <= PINNED; i++)
		ring.c[i] = goro_chan_of(int, i % 3);
	goro_waitgroup_add(&ring.wg, PINNED);
	for (int i = 0; i < PINNED; i++) {
		links[i] = (struct link){ &ring, i };
		goro_go_with(&pinned, pinned_link, &links[i]);
	}
	for (int i = 0; i < ROUNDS; i++) {
		int v = i;

		goro_chan_send(ring.c[0], &v);
		check(goro_chan_recv(ring.c[PINNED], &v));
		check_eq(v, i + PINNED);
	}
	goro_chan_close(ring.c[0]);
	goro_waitgroup_wait(&ring.wg);
	for (int i = 0; i < PINNED; i++)
		for (int k = 0; k < i; k++)
			check(atomic_load(&ring.tids[i]) != atomic_load(&ring.tids[k]));
	for (int i = 0; i < PINNED; i++)
		check_eventually(!thread_exists(atomic_load(&ring.tids[i])));
}

static void count_one(void *n)
{
	atomic_fetch_add((atomic_int *)n, 1);
}

/* More than there may be threads at a time, or records of threads. */
static void pinned_in_turn(void)
{
	atomic_int n = 0;

	for (int i = 0; i < 5000; i += 50) {
		for (int k = 0; k < 50; k++)
			goro_go_with(&pinned, count_one, &n);
		check_eventually(goro_count() == 1);
	}
	check_eq(atomic_load(&n), 5000);
	check(goro_introspect.m_count < 1000);
}

static void unlocks(void *where)
{
	goro_unlock_os_thread();
	check(!(flags_seen(goro_id()) & GORO_FLAG_LOCKED));
	atomic_store((atomic_int *)where, tid());
}

static void pinned_may_unlock(void)
{
	atomic_int where = 0;

	goro_go_with(&pinned, unlocks, &where);
	check_eventually(atomic_load(&where) && goro_count() == 1);
	check(thread_exists(atomic_load(&where)));
}

/* ---- who is asleep --------------------------------------------------------------------------- */

static void receive(void *c)
{
	goro_lock_os_thread();
	goro_chan_recv(c, NULL);
}

static void locked_deadlock(void)
{
	goro_chan *c = goro_chan_of(int, 0);

	go(receive, c);
	goro_lock_os_thread();
	goro_go_with(&pinned, receive, c);
	goro_chan_recv(c, NULL);
}

static void sleeps(void *c)
{
	goro_lock_os_thread();
	goro_sleep(50 * GORO_MILLISECOND);
	goro_chan_send(c, &(int){ 7 });
}

static void locked_sleep_is_no_deadlock(void)
{
	goro_chan *c = goro_chan_of(int, 0);
	int v = 0;

	goro_lock_os_thread();
	go(sleeps, c);
	check(goro_chan_recv(c, &v));
	goro_go_with(&pinned, sleeps, c);
	check(goro_chan_recv(c, &v));
	check_eq(v, 7);
	goro_sleep(10 * GORO_MILLISECOND);
}

static void main_exits_locked(void)
{
	goro_lock_os_thread();
	goro_exit();
}

/* ---- threads that end under a goroutine ------------------------------------------------------ */

/* A sanitizer has an end of its own for threads, which looks for the stack of a thread where that
 * of a goroutine is. */
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
static void ends_its_thread(void *unused)
{
	(void)unused;
	pthread_exit(NULL);
}

static void pthread_exit_in_a_goroutine(void)
{
	go(ends_its_thread, NULL);
	goro_sleep(CHECK_PATIENCE);
}

static void is_cancelled(void *unused)
{
	(void)unused;
	pthread_cancel(pthread_self());
	pthread_testcancel();
}

static void pthread_cancel_in_a_goroutine(void)
{
	go(is_cancelled, NULL);
	goro_sleep(CHECK_PATIENCE);
}

static void outlives_main(void *unused)
{
	(void)unused;
	goro_sleep(20 * GORO_MILLISECOND);
	fprintf(stderr, "the others run on\n");
	goro_exit();
}

/* As POSIX has it: who calls pthread_exit() in main lets the others come to their ends. */
static void pthread_exit_in_main(void)
{
	go(outlives_main, NULL);
	pthread_exit(NULL);
}
#endif

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
		goro_blocking(nothing, &v);
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

static void *starts_others(void *arg)
{
	for (int i = 0; i < LIVES; i++) {
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
	struct market m = { .goods = goro_chan_of(long, 2) };
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

static const struct check_case cases[] = {
	{ .name = "stays_on_its_thread", .run = stays_on_its_thread },
	{ .name = "main_stays_on_its_thread", .run = main_stays_on_its_thread },
	{ .name = "others_run_elsewhere", .run = others_run_elsewhere },
	{ .name = "locks_nest", .run = locks_nest },
	{ .name = "children_are_free", .run = children_are_free },
	{ .name = "hogs_hold_back_nobody", .run = hogs_hold_back_nobody },
	{ .name = "yield_is_fair", .run = yield_is_fair },
	{ .name = "thread_ends_with_it", .run = thread_ends_with_it },
	{ .name = "first_thread_stays", .run = first_thread_stays },
	{ .name = "pinned_ring", .run = pinned_ring },
	{ .name = "pinned_in_turn", .run = pinned_in_turn },
	{ .name = "pinned_may_unlock", .run = pinned_may_unlock },
	{ .name = "locked_deadlock",
	  .run = locked_deadlock,
	  .status = 2,
	  .says = { "^fatal error: all goroutines are asleep - deadlock!$",
		    "^goroutine 1 \\[chan receive, locked to thread\\]:$" } },
	{ .name = "locked_sleep_is_no_deadlock", .run = locked_sleep_is_no_deadlock },
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
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
	{ .name = "pthread_exit_in_a_goroutine",
	  .run = pthread_exit_in_a_goroutine,
	  .status = 2,
	  .says = { "^fatal error: pthread_exit\\(\\) or pthread_cancel\\(\\) ended the thread "
		    "that "
		    "ran a goroutine; goro_exit\\(\\) ends a goroutine$",
		    "^goroutine 2 \\[running\\]:$",
		    "^created by pthread_exit_in_a_goroutine in goroutine 1$" } },
	{ .name = "pthread_cancel_in_a_goroutine",
	  .run = pthread_cancel_in_a_goroutine,
	  .status = 2,
	  .says = { "^fatal error: pthread_exit\\(\\) or pthread_cancel\\(\\) ended " } },
	{ .name = "pthread_exit_in_main",
	  .run = pthread_exit_in_main,
	  .status = 2,
	  .says = { "^the others run on$",
		    "^fatal error: no goroutines \\(main called runtime\\.Goexit\\)" } },
#endif
	{ .name = "main_exits_locked",
	  .run = main_exits_locked,
	  .status = 2,
	  .says = { "^fatal error: no goroutines \\(main called runtime\\.Goexit\\) - "
		    "deadlock!$" } },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
