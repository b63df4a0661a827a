/* SPDX-License-Identifier: MIT */
/*
 * The Go memory model: what each operation makes visible to whom. Plain variables on purpose: where
 * the order is not made, a value is wrong here or there, and ThreadSanitizer (this program runs
 * under it too) sees it every time.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "check.h"

enum { ROUNDS = 2000 / CHECK_SLOW };

/* Two goroutines and what they share: `a` is written by the first, `b` by the second. */
struct pair {
	int a, b;
	goro_chan *c, *d;
	goro_mutex mu;
	goro_rwmutex rw;
	goro_cond cond;
	goro_once once;
	goro_sema sema;
	goro_context *ctx;
	goro_waitgroup wg, done;
};

static void run_pair(goro_fn *first, goro_fn *second, size_t cap)
{
	struct pair p = { .c = goro_chan_of(int, cap),
			  .d = goro_chan_of(int, cap),
			  .sema = GORO_SEMA(1) };

	goro_waitgroup_add(&p.done, 2);
	go(first, &p);
	go(second, &p);
	goro_waitgroup_wait(&p.done);
	goro_chan_free(p.c);
	goro_chan_free(p.d);
}

#define END(p) goro_waitgroup_done(&(p)->done)

/* ---- channels ----------------------------------------------------------------------------------
 */

/* "A send on a channel is synchronized before the completion of the corresponding receive", and on
 * an unbuffered one "a receive ... before the completion of the corresponding send". */
static void sends(void *arg)
{
	struct pair *p = arg;

	for (int i = 1; i <= ROUNDS; i++) {
		p->a = i;
		goro_chan_send(p->c, &i);
		check_eq(p->b, i); /* written before the receive */
		goro_chan_recv(p->d, NULL);
	}
	END(p);
}

static void receives(void *arg)
{
	struct pair *p = arg;
	int v;

	for (int i = 1; i <= ROUNDS; i++) {
		p->b = i;
		goro_chan_recv(p->c, &v);
		check_eq(p->a, i);
		goro_chan_send(p->d, &v);
	}
	END(p);
}

static void unbuffered(void)
{
	run_pair(sends, receives, 0);
}

/* "The kth receive on a channel with capacity C is synchronized before the completion of the k+Cth
 * send": a buffer of one is a lock. */
static void locks_by_channel(void *arg)
{
	struct pair *p = arg;

	for (int i = 0; i < ROUNDS; i++) {
		goro_chan_send(p->c, &i);
		p->a++;
		goro_chan_recv(p->c, NULL);
	}
	END(p);
}

static void buffered_as_a_lock(void)
{
	struct pair p = { .c = goro_chan_of(int, 1) };

	goro_waitgroup_add(&p.done, 4);
	for (int i = 0; i < 4; i++)
		go(locks_by_channel, &p);
	goro_waitgroup_wait(&p.done);
	check_eq(p.a, 4 * ROUNDS);
}

/* By select, on both sides. */
static void selects_to_send(void *arg)
{
	struct pair *p = arg;

	for (int i = 1; i <= ROUNDS; i++) {
		struct goro_case cases[] = { goro_recv_case(p->d, NULL), goro_send_case(p->c, &i) };

		p->a = i;
		check_eq(goro_select(cases, 2), 1);
		check_eq(p->b, i);
		goro_chan_recv(p->d, NULL);
	}
	END(p);
}

static void selects_to_receive(void *arg)
{
	struct pair *p = arg;
	int v;

	for (int i = 1; i <= ROUNDS; i++) {
		struct goro_case cases[] = { goro_recv_case(NULL, NULL), goro_recv_case(p->c, &v) };

		p->b = i;
		while (goro_select_timeout(cases, 2, GORO_MICROSECOND) < 0)
			;
		check_eq(p->a, i);
		goro_chan_send(p->d, &v);
	}
	END(p);
}

static void selected(void)
{
	run_pair(selects_to_send, selects_to_receive, 0);
}

/* "The closing of a channel is synchronized before a receive that returns because it is closed." */
static void closes(void *arg)
{
	struct pair *p = arg;

	p->a = 1;
	goro_chan_close(p->c);
	END(p);
}

static void sees_close(void *arg)
{
	struct pair *p = arg;

	check(!goro_chan_recv(p->c, NULL));
	check_eq(p->a, 1);
	END(p);
}

static void polls_for_close(void *arg)
{
	struct pair *p = arg;

	while (goro_chan_try_recv(p->c, NULL) != GORO_CLOSED)
		goro_yield();
	check_eq(p->a, 1);
	END(p);
}

static void closed(void)
{
	for (int i = 0; i < ROUNDS / 4; i++) {
		run_pair(closes, sees_close, 0);
		run_pair(polls_for_close, closes, 3);
	}
}

/* ---- locks -------------------------------------------------------------------------------------
 */

static void adds_under_mutex(void *arg)
{
	struct pair *p = arg;

	for (int i = 0; i < ROUNDS; i++) {
		if (i % 4)
			goro_mutex_lock(&p->mu);
		else
			while (!goro_mutex_try_lock(&p->mu))
				goro_yield();
		p->a++;
		goro_mutex_unlock(&p->mu);
	}
	END(p);
}

static void mutex(void)
{
	run_pair(adds_under_mutex, adds_under_mutex, 0);
}

static void writes_under_rwmutex(void *arg)
{
	struct pair *p = arg;

	for (int i = 0; i < ROUNDS; i++) {
		goro_rwmutex_lock(&p->rw);
		p->a++;
		p->b++;
		goro_rwmutex_unlock(&p->rw);
		if (i % 16 == 0)
			goro_yield();
	}
	END(p);
}

static void reads_under_rwmutex(void *arg)
{
	struct pair *p = arg;
	int last = 0;

	while (last < ROUNDS) {
		goro_rwmutex_rlock(&p->rw);
		check(p->a == p->b && p->a >= last);
		last = p->a;
		goro_rwmutex_runlock(&p->rw);
		goro_yield();
	}
	END(p);
}

static void rwmutex(void)
{
	run_pair(writes_under_rwmutex, reads_under_rwmutex, 0);
}

static void adds_under_sema(void *arg)
{
	struct pair *p = arg;

	for (int i = 0; i < ROUNDS; i++) {
		goro_sema_acquire(&p->sema, 1);
		p->a++;
		goro_sema_release(&p->sema, 1);
	}
	END(p);
}

static void semaphore(void)
{
	run_pair(adds_under_sema, adds_under_sema, 0);
}

/* Whose turn it is, told by a cond. */
static void takes_turns(struct pair *p, int mine)
{
	for (int i = 0; i < ROUNDS / 2; i++) {
		goro_mutex_lock(&p->mu);
		while (p->b % 2 != mine)
			goro_cond_wait(&p->cond, &p->mu);
		p->b++;
		if (i % 2)
			goro_cond_broadcast(&p->cond);
		goro_mutex_unlock(&p->mu);
		if (i % 2 == 0)
			goro_cond_signal(&p->cond);
	}
	END(p);
}

static void takes_even(void *p)
{
	takes_turns(p, 0);
}

static void takes_odd(void *p)
{
	takes_turns(p, 1);
}

static void cond(void)
{
	run_pair(takes_even, takes_odd, 0);
}

/* ---- start, end, once --------------------------------------------------------------------------
 */

/* "The go statement ... is synchronized before the start of the goroutine's execution." */
static void started(void *arg)
{
	struct pair *p = arg;

	check_eq(p->a, 1);
	p->b = 2;
	goro_waitgroup_done(&p->wg);
}

static void go_and_waitgroup(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct pair p = { .a = 1 };

		goro_waitgroup_add(&p.wg, 1);
		go(started, &p);
		goro_waitgroup_wait(&p.wg);
		check_eq(p.b, 2);
	}
}

static void after_func(void)
{
	for (int i = 0; i < 200; i++) {
		struct pair p = { .a = 1 };
		goro_timer *t;

		goro_waitgroup_add(&p.wg, 1);
		t = goro_after_func(i % 2 * 20 * GORO_MICROSECOND, started, &p);
		goro_waitgroup_wait(&p.wg);
		check_eq(p.b, 2);
		goro_timer_free(t);
	}
}

static void initialise(void *arg)
{
	struct pair *p = arg;

	p->a = 1;
}

static void uses_once(void *arg)
{
	struct pair *p = arg;

	goro_once_do(&p->once, initialise, p);
	check_eq(p->a, 1);
	END(p);
}

static void once(void)
{
	for (int i = 0; i < ROUNDS / 2; i++)
		run_pair(uses_once, uses_once, 0);
}

/* ---- contexts, groups, pools -------------------------------------------------------------------
 */

static void cancels(void *arg)
{
	struct pair *p = arg;

	p->a = 1;
	goro_context_cancel(p->ctx);
	goro_context_release(p->ctx);
	END(p);
}

static void sees_cancel(void *arg)
{
	struct pair *p = arg;
	goro_context *child = goro_context_with_cancel(p->ctx);

	goro_chan_recv(goro_context_done(child), NULL);
	check_eq(p->a, 1);
	check_eq(goro_context_err(child), -ECANCELED);
	goro_context_release(child);
	goro_context_release(p->ctx);
	END(p);
}

static void polls_for_cancel(void *arg)
{
	struct pair *p = arg;

	while (!goro_context_err(p->ctx))
		goro_yield();
	check_eq(p->a, 1);
	goro_context_release(p->ctx);
	END(p);
}

static void cancel(void)
{
	for (int i = 0; i < ROUNDS / 4; i++) {
		struct pair p = { .ctx = goro_context_with_cancel(goro_background()) };

		goro_context_retain(p.ctx);
		goro_waitgroup_add(&p.done, 2);
		go(i % 2 ? sees_cancel : polls_for_cancel, &p);
		go(cancels, &p);
		goro_waitgroup_wait(&p.done);
	}
}

static int part(void *arg)
{
	*(int *)arg = 1;
	return 0;
}

static void group(void)
{
	for (int i = 0; i < ROUNDS / 4; i++) {
		goro_group *g = goro_group_new(NULL);
		int done[3] = { 0 };

		for (int k = 0; k < 3; k++)
			goro_group_go(g, part, &done[k]);
		check_eq(goro_group_wait(g), 0);
		check_eq(done[0] + done[1] + done[2], 3);
		goro_group_free(g);
	}
}

static goro_flight flight;
static int made;

static int fetch(void *unused, void *result)
{
	(void)unused;
	goro_yield();
	made++; /* never two at once */
	*(int **)result = &made;
	return 0;
}

static void flies(void *arg)
{
	struct pair *p = arg;
	int *result;

	for (int i = 0; i < ROUNDS / 4; i++) {
		goro_flight_do(&flight, "k", fetch, NULL, &result, sizeof(result), NULL);
		check(result == &made);
	}
	END(p);
}

static void flights(void)
{
	run_pair(flies, flies, 0);
	check(made > 0);
}

static void *new_box(void *unused)
{
	(void)unused;
	return calloc(1, sizeof(int));
}

static void free_box(void *box, void *unused)
{
	(void)unused;
	free(box);
}

static goro_pool boxes = { .make = new_box, .drop = free_box };

static void uses_boxes(void *arg)
{
	struct pair *p = arg;

	for (int i = 0; i < ROUNDS; i++) {
		int *box = goro_pool_get(&boxes);

		(*box)++;
		if (i % 8 == 0)
			goro_yield();
		goro_pool_put(&boxes, box);
	}
	END(p);
}

static void pool(void)
{
	run_pair(uses_boxes, uses_boxes, 0);
	goro_pool_clear(&boxes);
}

#define CASE(f)                      \
	{                            \
		.name = #f, .run = f \
	}
static const struct check_case cases[] = {
	CASE(unbuffered),
	CASE(buffered_as_a_lock),
	CASE(selected),
	CASE(closed),
	CASE(mutex),
	CASE(rwmutex),
	CASE(semaphore),
	CASE(cond),
	CASE(go_and_waitgroup),
	CASE(after_func),
	CASE(once),
	CASE(cancel),
	CASE(group),
	CASE(flights),
	CASE(pool),
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
