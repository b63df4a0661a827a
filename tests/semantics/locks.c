/* SPDX-License-Identifier: MIT */
/* What the documentation of package sync promises beyond "it excludes". */
#include <stdatomic.h>
#include <stdlib.h>

#include "check.h"
#include "goro_introspect.h"

/* ---- fairness of the mutex ---------------------------------------------------------------------
 */

/*
 * "If a waiter fails to acquire the mutex for more than 1ms, it switches mutex to the starvation
 * mode": ownership is then handed to it. The hog keeps the lock for 50 us and takes it again at
 * once, so it gets some 20 turns in that time and a few more until the waiter runs; counted in
 * turns, and as the median of many waits, that is the same on a busy machine.
 */
enum { WAITS = 31, HOLD_NS = 50000 };

struct starving {
	goro_mutex mu;
	atomic_int turns;
	atomic_bool stop;
	goro_waitgroup wg;
};

static void hold_again_and_again(void *arg)
{
	struct starving *s = arg;

	while (!s->stop) {
		int64_t end;

		goro_mutex_lock(&s->mu);
		end = goro_now() + HOLD_NS;
		s->turns++;
		while (goro_now() < end)
			;
		goro_mutex_unlock(&s->mu);
	}
	goro_waitgroup_done(&s->wg);
}

static int by_value(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void starvation_is_bounded(void)
{
	struct starving s = { 0 };
	int waited[WAITS];

	goro_waitgroup_add(&s.wg, 1);
	go(hold_again_and_again, &s);
	while (!s.turns)
		goro_yield();
	for (int i = 0; i < WAITS; i++) {
		int before = s.turns;

		goro_mutex_lock(&s.mu);
		waited[i] = s.turns - before;
		goro_mutex_unlock(&s.mu);
		goro_yield();
	}
	s.stop = true;
	goro_waitgroup_wait(&s.wg);
	qsort(waited, WAITS, sizeof(waited[0]), by_value);
	printf("turns of the hog while another waited: median %d, worst %d\n", waited[WAITS / 2],
	       waited[WAITS - 1]);
	/* 10 ms of computing without a call, after which sysmon steps in, are 200 turns. */
	check(waited[WAITS / 2] <= 250);
}

/* Many that want it: nobody gets more than a few times what the least lucky gets. */
struct member {
	struct starving *s;
	atomic_int got;
};

static void member(void *arg)
{
	struct member *m = arg;

	while (!m->s->stop) {
		goro_mutex_lock(&m->s->mu);
		m->got++;
		m->s->turns++;
		goro_mutex_unlock(&m->s->mu);
		if (m->got % 64 == 0)
			goro_yield();
	}
	goro_waitgroup_done(&m->s->wg);
}

static void nobody_is_left_out(void)
{
	enum { N = 16 };
	struct starving s = { 0 };
	struct member members[N];

	goro_waitgroup_add(&s.wg, N);
	for (int i = 0; i < N; i++) {
		members[i] = (struct member){ .s = &s };
		go(member, &members[i]);
	}
	for (int i = 0; i < N; i++)
		check_eventually(members[i].got > 100);
	s.stop = true;
	goro_waitgroup_wait(&s.wg);
}

/* ---- rwmutex -----------------------------------------------------------------------------------
 */

struct room {
	goro_rwmutex rw;
	atomic_int in;
	atomic_bool open;
	goro_waitgroup wg;
};

static void write_once(void *arg)
{
	struct room *r = arg;

	goro_rwmutex_lock(&r->rw);
	check_eq(r->in, 0);
	goro_rwmutex_unlock(&r->rw);
	goro_waitgroup_done(&r->wg);
}

static void read_in_turns(void *arg)
{
	struct room *r = arg;

	while (!r->open) {
		goro_rwmutex_rlock(&r->rw);
		r->in++;
		goro_yield();
		r->in--;
		goro_rwmutex_runlock(&r->rw);
	}
	goro_waitgroup_done(&r->wg);
}

/* "A blocked Lock call excludes new readers": readers that overlap for ever do not keep it out. */
static void readers_cannot_starve_a_writer(void)
{
	struct room r = { 0 };

	goro_waitgroup_add(&r.wg, 4);
	for (int i = 0; i < 4; i++)
		go(read_in_turns, &r);
	for (int i = 0; i < 50; i++) {
		goro_waitgroup_add(&r.wg, 1);
		write_once(&r);
	}
	r.open = true;
	goro_waitgroup_wait(&r.wg);
}

/* ---- cond --------------------------------------------------------------------------------------
 */

struct meeting {
	goro_mutex mu;
	goro_cond cond;
	int order[16], n;
	atomic_int gone;
};

struct guest {
	struct meeting *m;
	int number;
};

static void guest(void *arg)
{
	struct guest *g = arg;
	struct meeting *m = g->m;

	goro_mutex_lock(&m->mu);
	goro_cond_wait(&m->cond, &m->mu);
	m->order[m->n++] = g->number;
	goro_mutex_unlock(&m->mu);
	m->gone++;
}

static void invite(struct meeting *m, int number)
{
	struct guest g = { m, number };

	check_parked(go_copy(guest, &g), GORO_REASON_COND);
}

/* Broadcast wakes those that wait, and not one that comes afterwards. */
static void broadcast_is_for_those_who_wait(void)
{
	struct meeting m = { 0 };

	for (int round = 0; round < 20; round++) {
		m.n = 0;
		m.gone = 0;
		for (int i = 0; i < 5; i++)
			invite(&m, i);
		goro_mutex_lock(&m.mu);
		goro_cond_broadcast(&m.cond);
		goro_mutex_unlock(&m.mu);
		invite(&m, 5);
		check_eventually(m.gone == 5);
		goro_mutex_lock(&m.mu);
		for (int i = 0; i < m.n; i++)
			check(m.order[i] != 5);
		goro_mutex_unlock(&m.mu);
		goro_cond_signal(&m.cond);
		check_eventually(m.gone == 6);
		check_eq(m.order[5], 5);
	}
}

/* Signals go to the longest waiting, one each; those in excess are not kept. */
static void signals_are_not_kept(void)
{
	struct meeting m = { 0 };

	goro_cond_signal(&m.cond);
	goro_cond_broadcast(&m.cond);
	for (int i = 0; i < 3; i++)
		invite(&m, i);
	for (int i = 0; i < 3; i++) {
		goro_cond_signal(&m.cond);
		check_eventually(m.gone == i + 1);
		check_eq(m.order[i], i);
	}
}

static void recover_it(void *message)
{
	const char *got = goro_recover();

	snprintf(message, 64, "%s", got ? got : "nothing");
}

struct thief {
	struct meeting *m;
	char message[64];
	atomic_bool done;
};

static void waits_without_the_lock(void *arg)
{
	struct thief *thief = arg;

	goro_defer(recover_it, thief->message);
	goro_cond_wait(&thief->m->cond, &thief->m->mu);
}

static void thief(void *arg)
{
	struct thief *t = arg;

	check(!goro_try(waits_without_the_lock, t));
	t->done = true;
}

/* A wait with somebody else's lock panics, and leaves the cond as it was. */
static void misused_cond_still_works(void)
{
	struct meeting m = { 0 };
	struct thief t = { .m = &m };

	invite(&m, 1);
	goro_mutex_lock(&m.mu);
	go(thief, &t);
	check_eventually(t.done);
	check(check_match(t.message, "^sync: unlock of mutex held by goroutine 1$"));
	goro_mutex_unlock(&m.mu);
	goro_cond_signal(&m.cond);
	check_eventually(m.gone == 1);
	invite(&m, 2);
	goro_cond_broadcast(&m.cond);
	check_eventually(m.gone == 2);
}

/* ---- waitgroup ---------------------------------------------------------------------------------
 */

struct rounds {
	goro_waitgroup wg;
	atomic_int inside, released;
	goro_waitgroup waiters;
};

static void wait_for_it(void *arg)
{
	struct rounds *r = arg;

	r->inside++;
	goro_waitgroup_wait(&r->wg);
	r->released++;
	goro_waitgroup_done(&r->waiters);
}

/* It can be used again as soon as it is zero, even while those that waited are still waking up. */
static void reuse_while_waiters_wake(void)
{
	struct rounds r = { 0 };

	for (int round = 0; round < 300; round++) {
		goro_waitgroup_add(&r.wg, 1);
		goro_waitgroup_add(&r.waiters, 4);
		for (int i = 0; i < 4; i++)
			go(wait_for_it, &r);
		while (r.inside < 4 * (round + 1))
			goro_yield();
		goro_waitgroup_done(&r.wg);
		if (round % 2) /* else the next round begins at once */
			goro_waitgroup_wait(&r.waiters);
		else
			goro_yield();
		check(r.released <= 4 * (round + 1));
		goro_waitgroup_wait(&r.waiters);
		check_eq(r.released, 4 * (round + 1));
	}
}

static void too_many(void *arg)
{
	goro_waitgroup wg = { 0 };

	goro_defer(recover_it, arg);
	goro_waitgroup_add(&wg, INT32_MAX);
	goro_waitgroup_add(&wg, 1);
}

static void counter_does_not_wrap(void)
{
	char message[64];

	check(!goro_try(too_many, message));
	check(check_match(message, "^sync: negative WaitGroup counter$"));
}

/* Add with what is negative is Done. */
static void add_goes_both_ways(void)
{
	goro_waitgroup wg = { 0 };

	goro_waitgroup_add(&wg, 7);
	goro_waitgroup_add(&wg, -5);
	goro_waitgroup_done(&wg);
	goro_waitgroup_add(&wg, 0);
	goro_waitgroup_done(&wg);
	goro_waitgroup_wait(&wg);
	goro_waitgroup_wait(&wg);
}

#define CASE(f)                      \
	{                            \
		.name = #f, .run = f \
	}
static const struct check_case cases[] = {
	CASE(starvation_is_bounded),
	CASE(nobody_is_left_out),
	CASE(readers_cannot_starve_a_writer),
	CASE(broadcast_is_for_those_who_wait),
	CASE(signals_are_not_kept),
	CASE(misused_cond_still_works),
	CASE(reuse_while_waiters_wake),
	CASE(counter_does_not_wrap),
	CASE(add_goes_both_ways),
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
