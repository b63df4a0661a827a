/* SPDX-License-Identifier: MIT */
/*
 * stuck.c - goroutines that are stuck in every way there is, for reclaim_test.sh.
 *
 *	stuck SCENE
 *
 * A scene starts its goroutines, says "ready" when each of them is where it will wait, and "done"
 * when all that it expects has happened; what it has seen wrong it says, and ends with 1. It goes
 * on looking until it is killed. Each goroutine has
 * two deferred functions, and they must have run in their order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "goro.h"

static _Atomic int stuck, unwound, went_on;

static void fail(const char *what)
{
	fprintf(stderr, "stuck: %s\n", what);
	_exit(1);
}

static void *make(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		abort();
	return p;
}

#define NEW(type) ((type *)make(sizeof(type)))

struct order {
	int at;
};

static void run_first(void *arg)
{
	struct order *o = arg;

	if (o->at++ != 0)
		fail("the deferred function that came last did not run first");
}

static void run_last(void *arg)
{
	struct order *o = arg;

	if (o->at++ != 1)
		fail("the deferred function that came first did not run last");
	unwound++;
}

/* goro_defer() takes a line each. */
#define DEFER(name, fn)                                                         \
	struct goro_deferred name __attribute__((cleanup(goro_deferred_end_))); \
	goro_deferred_begin_(&name, fn, &order)
#define IN_ORDER                    \
	struct order order = { 0 }; \
	DEFER(last, run_last);      \
	DEFER(first, run_first);    \
	stuck++

static void unlock(void *mu)
{
	goro_mutex_unlock(mu);
}

static void until_locked(goro_mutex *mu)
{
	while (goro_mutex_try_lock(mu)) {
		goro_mutex_unlock(mu);
		goro_yield();
	}
}

/* Of one that waits for a condition: it has the lock when it goes on, however it does. */
static void unlock_mine(void *arg)
{
	goro_mutex *mu = arg;

	if (mu->owner_ != goro_id())
		fail("the mutex of a condition was not locked again");
	goro_mutex_unlock(mu);
}

/* ---- each way of waiting --------------------------------------------------------------------- */

static void stuck_send(void *unused)
{
	int n = 1;

	(void)unused;
	IN_ORDER;
	goro_chan_send(goro_chan_of(int, 0), &n);
	fail("a send that nobody can receive returned");
}

static void stuck_recv(void *unused)
{
	(void)unused;
	IN_ORDER;
	goro_chan_recv(goro_chan_of(int, 0), NULL);
	fail("a receive from nobody returned");
}

static void stuck_nil(void *unused)
{
	(void)unused;
	IN_ORDER;
	goro_chan_recv(NULL, NULL);
	fail("a receive from a nil channel returned");
}

static void stuck_no_case(void *unused)
{
	(void)unused;
	IN_ORDER;
	goro_select(NULL, 0);
	fail("a select without cases returned");
}

static void select_of(int n)
{
	struct goro_case cases[12];
	int value = 0;

	for (int i = 0; i < n; i++)
		if (i % 2)
			cases[i] = (struct goro_case)goro_send_case(goro_chan_of(int, 0), &value);
		else
			cases[i] = (struct goro_case)goro_recv_case(
				i == 4 ? NULL : goro_chan_of(int, 0), NULL);
	goro_select(cases, n);
	fail("a select that nobody can wake returned");
}

static void stuck_select(void *unused)
{
	(void)unused;
	IN_ORDER;
	select_of(3);
}

static void stuck_wide_select(void *unused)
{
	(void)unused;
	IN_ORDER;
	select_of(12);
}

static void stuck_double_lock(void *unused)
{
	goro_mutex *mu = NEW(goro_mutex);

	(void)unused;
	IN_ORDER;
	goro_mutex_lock(mu);
	goro_defer(unlock, mu);
	goro_mutex_lock(mu);
	fail("a second lock returned");
}

static void lock_and_end(void *mu)
{
	goro_mutex_lock(mu);
}

static void stuck_orphan(void *unused)
{
	goro_mutex *mu = NEW(goro_mutex);

	(void)unused;
	go(lock_and_end, mu);
	until_locked(mu);
	IN_ORDER;
	/* Before it has it: then the unlock of what it never got does nothing. */
	goro_defer(unlock, mu);
	goro_mutex_lock(mu);
	fail("a lock was got whose owner had ended");
}

static void stuck_cond(void *unused)
{
	goro_mutex *mu = NEW(goro_mutex);

	(void)unused;
	IN_ORDER;
	goro_mutex_lock(mu);
	goro_defer(unlock_mine, mu);
	goro_cond_wait(NEW(goro_cond), mu);
	fail("a condition came true that nobody knows");
}

static void stuck_waitgroup(void *unused)
{
	goro_waitgroup *wg = NEW(goro_waitgroup);

	(void)unused;
	IN_ORDER;
	goro_waitgroup_add(wg, 1);
	goro_waitgroup_wait(wg);
	fail("a group ended that nobody ends");
}

static void stuck_sema(void *unused)
{
	goro_sema *s = NEW(goro_sema);

	(void)unused;
	s->size_ = 1;
	IN_ORDER;
	goro_sema_acquire(s, 1);
	goro_sema_acquire(s, 1);
	fail("a semaphore was got that nobody releases");
}

static void stuck_write(void *unused)
{
	goro_rwmutex *rw = NEW(goro_rwmutex);

	(void)unused;
	IN_ORDER;
	goro_rwmutex_rlock(rw);
	goro_rwmutex_lock(rw);
	fail("a reader got its own lock for writing");
}

static void stuck_read(void *unused)
{
	goro_rwmutex *rw = NEW(goro_rwmutex);

	(void)unused;
	IN_ORDER;
	goro_rwmutex_lock(rw);
	goro_rwmutex_rlock(rw);
	fail("a writer got its own lock for reading");
}

static void again(void *once)
{
	goro_once_do(once, again, once);
}

static void stuck_once(void *unused)
{
	goro_once *once = NEW(goro_once);

	(void)unused;
	IN_ORDER;
	goro_once_do(once, again, once);
	fail("a once within itself returned");
}

static void stuck_pinned(void *unused)
{
	(void)unused;
	goro_lock_os_thread();
	IN_ORDER;
	goro_chan_recv(goro_chan_of(int, 0), NULL);
	fail("a receive from nobody returned");
}

/* ---- one helps the other --------------------------------------------------------------------- */

static void holds_and_waits(void *mu)
{
	IN_ORDER;
	goro_mutex_lock(mu);
	goro_defer(unlock, mu);
	goro_chan_recv(goro_chan_of(int, 0), NULL);
	fail("a receive from nobody returned");
}

static void needs_lock(void *mu)
{
	stuck++;
	goro_mutex_lock(mu);
	goro_mutex_unlock(mu);
	went_on++;
}

struct two {
	goro_mutex a, b;
	goro_waitgroup both;
};

static void lock_both(goro_mutex *mine, goro_mutex *other, goro_waitgroup *both)
{
	IN_ORDER;
	goro_mutex_lock(mine);
	goro_defer(unlock, mine);
	goro_waitgroup_done(both);
	goro_waitgroup_wait(both);
	goro_mutex_lock(other);
	goro_mutex_unlock(other);
	went_on++;
}

static void a_then_b(void *arg)
{
	struct two *t = arg;

	lock_both(&t->a, &t->b, &t->both);
}

static void b_then_a(void *arg)
{
	struct two *t = arg;

	lock_both(&t->b, &t->a, &t->both);
}

static void done(void *wg)
{
	goro_waitgroup_done(wg);
}

static void child(void *wg)
{
	IN_ORDER;
	goro_defer(done, wg);
	goro_chan_recv(goro_chan_of(int, 0), NULL);
	fail("a receive from nobody returned");
}

static void parent(void *unused)
{
	goro_waitgroup *wg = NEW(goro_waitgroup);

	(void)unused;
	goro_waitgroup_add(wg, 3);
	for (int i = 0; i < 3; i++)
		go(child, wg);
	stuck++;
	goro_waitgroup_wait(wg);
	went_on++;
}

/* ---- one channel for all --------------------------------------------------------------------- */

enum { CROWD = 300 };

struct crowd {
	goro_mutex mu;
	goro_chan *c, *other;
	_Atomic int came;
};

static void nobody_waits(void *c)
{
	if (goro_chan_try_send(c, &(int){ 0 }))
		fail("something was sent to one that is unwound");
}

/* What was noted of a wait for a lock, or in a select, is not what is to be undone. */
static void wait_in_crowd(void *arg)
{
	struct crowd *all = arg;
	struct goro_case cases[] = { goro_recv_case(all->c, NULL),
				     goro_recv_case(all->other, NULL) };
	bool selects = all->came++ % 3 == 0;

	goro_mutex_lock(&all->mu);
	goro_mutex_unlock(&all->mu);
	IN_ORDER;
	goro_defer(nobody_waits, all->c);
	if (selects)
		goro_select(cases, 2);
	else
		goro_chan_recv(all->c, NULL);
	fail("a receive from nobody returned");
}

static void crowd(void *unused)
{
	struct crowd *all = NEW(struct crowd);

	(void)unused;
	all->c = goro_chan_of(int, 0);
	all->other = goro_chan_of(int, 0);
	goro_mutex_lock(&all->mu);
	for (int i = 0; i < CROWD; i++)
		go(wait_in_crowd, all);
	while (all->came < CROWD)
		goro_yield();
	goro_mutex_unlock(&all->mu);
}

/* ---- deferred functions that wait in their turn ---------------------------------------------- */

static _Atomic int waits_again;

static void wait_again(void *unused)
{
	(void)unused;
	waits_again++;
	goro_chan_recv(goro_chan_of(int, 0), NULL);
	fail("a receive from nobody returned");
}

static void stuck_twice(void *unused)
{
	(void)unused;
	IN_ORDER;
	goro_defer(wait_again, NULL);
	goro_chan_recv(goro_chan_of(int, 0), NULL);
	fail("a receive from nobody returned");
}

/* ---- scenes ---------------------------------------------------------------------------------- */

struct scene {
	const char *name;
	goro_fn *fns[20];
	int unwound, went_on, waits_again;
};

static const struct scene scenes[] = {
	{ "each",
	  { stuck_send, stuck_recv, stuck_nil, stuck_no_case, stuck_select, stuck_wide_select,
	    stuck_double_lock, stuck_orphan, stuck_cond, stuck_waitgroup, stuck_sema, stuck_write,
	    stuck_read, stuck_once, stuck_pinned },
	  15,
	  0,
	  0 },
	{ "lock", { 0 }, 1, 3, 0 },
	{ "cycle", { 0 }, 2, 1, 0 },
	{ "group", { parent }, 3, 1, 0 },
	{ "twice", { stuck_twice }, 1, 0, 1 },
	{ "many", { 0 }, 1000, 0, 0 },
	{ "crowd", { 0 }, CROWD, 0, 0 },
	{ 0 },
};

static goro_mutex global;

static int start(const struct scene *s)
{
	int n = 0;

	for (; s->fns[n]; n++)
		go(s->fns[n], NULL);
	if (!strcmp(s->name, "lock")) {
		go(holds_and_waits, &global);
		until_locked(&global);
		for (n = 1; n < 4; n++)
			go(needs_lock, &global);
	} else if (!strcmp(s->name, "cycle")) {
		static struct two t;

		goro_waitgroup_add(&t.both, 2);
		go(a_then_b, &t);
		go(b_then_a, &t);
		n = 2;
	} else if (!strcmp(s->name, "group")) {
		n = 4;
	} else if (!strcmp(s->name, "crowd")) {
		go(crowd, NULL);
		n = CROWD;
	} else if (!strcmp(s->name, "many")) {
		for (; n < s->unwound; n++)
			go(n % 2 ? stuck_recv : stuck_select, NULL);
	}
	return n;
}

static bool is_over(const struct scene *s, size_t before)
{
	return unwound >= s->unwound && went_on >= s->went_on && goro_count() <= before;
}

static bool is_right(const struct scene *s)
{
	return unwound == s->unwound && went_on == s->went_on && waits_again == s->waits_again;
}

static void say(const char *word)
{
	puts(word);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const struct scene *s = scenes;
	size_t before;
	int n;

	while (s->name && (argc < 2 || strcmp(s->name, argv[1])))
		s++;
	if (!s->name)
		fail("which scene?");
	before = goro_count();
	/*
	 * Whoever calls a function of libc first has ld.so find it, which leaves his registers far
	 * below on his stack. This call is the reclaimer's last after each request: it shall not
	 * cover up what those before have left.
	 */
	close(-1);
	n = start(s);
	while (stuck < n)
		goro_yield();
	say("ready");
	while (!is_over(s, before))
		goro_sleep(5 * GORO_MILLISECOND);
	if (!is_right(s))
		fail("more than ought to was unwound, or went on");
	say("done");
	for (;;) {
		goro_sleep(5 * GORO_MILLISECOND);
		if (!is_right(s))
			fail("something went on happening");
	}
}
