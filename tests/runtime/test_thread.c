/* SPDX-License-Identifier: MIT */
/* Goroutines and threads: locked to one, pinned to one of their own, and threads that end. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "own_threads.h"

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

enum { PINNED = 100, ROUNDS = 100 / CHECK_SLOW };

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
