/* SPDX-License-Identifier: MIT */
/* mixed_steps.c - what a goroutine of mixed.c can do next, and what each of it writes to the
 * accounts. */
#include <time.h>
#include <unistd.h>

#include "mixed.h"

static uint64_t below(struct life *life, uint64_t n)
{
	return (stress_random(&life->random) >> 16) % n;
}

static goro_chan *some_chan(struct life *life)
{
	return life->w->chan[below(life, CHANS)];
}

/* ---- tokens through channels -------------------------------------------------------------------
 */

/* Call before the flag is looked at: nobody closes a channel while there are senders. */
static bool may_send(struct world *w)
{
	atomic_fetch_add(&w->senders, 1);
	if (!atomic_load(&w->stop))
		return true;
	atomic_fetch_sub(&w->senders, 1);
	return false;
}

static void sent(struct world *w, uint64_t token, bool really)
{
	if (really) {
		must(bits_set(&w->sent, token));
		atomic_fetch_add(&w->acc.sent, 1);
	}
}

void mixed_received(struct world *w, uint64_t token)
{
	must(token < TOKENS && bits_set(&w->received, token));
	atomic_fetch_add(&w->acc.received, 1);
}

static bool new_token(struct world *w, uint64_t *token)
{
	*token = atomic_fetch_add(&w->next_token, 1);
	return *token < TOKENS;
}

static void plain_send(struct life *life)
{
	struct world *w = life->w;
	uint64_t token;

	if (!may_send(w))
		return;
	if (new_token(w, &token)) {
		goro_chan_send(some_chan(life), &token);
		sent(w, token, true);
	}
	atomic_fetch_sub(&w->senders, 1);
}

static void plain_receive(struct life *life)
{
	uint64_t token;

	if (goro_chan_recv(some_chan(life), &token))
		mixed_received(life->w, token);
}

static void try_both(struct life *life)
{
	struct world *w = life->w;
	uint64_t token;

	if (goro_chan_try_recv(some_chan(life), &token) == GORO_GOT)
		mixed_received(w, token);
	if (!may_send(w))
		return;
	if (new_token(w, &token))
		sent(w, token, goro_chan_try_send(some_chan(life), &token));
	atomic_fetch_sub(&w->senders, 1);
}

/* A context that somebody may cancel meanwhile; released by the caller. */
static goro_context *some_tree(struct life *life)
{
	struct world *w = life->w;
	goro_context *ctx;

	goro_rwmutex_rlock(&w->trees_lock);
	ctx = goro_context_retain(w->tree[below(life, TREES)]);
	goro_rwmutex_runlock(&w->trees_lock);
	return ctx;
}

/* Two to five channels, each way, until one of them can, time is out, or somebody cancels. */
static void select_some(struct life *life)
{
	struct world *w = life->w;
	goro_context *ctx = some_tree(life);
	int n = 2 + (int)below(life, 4), done;
	uint64_t out[5], in[5];
	struct goro_case cases[7];
	bool sends = may_send(w);

	for (int i = 0; i < n; i++) {
		out[i] = TOKENS;
		if (sends && below(life, 2) && new_token(w, &out[i]))
			cases[i] = (struct goro_case)goro_send_case(some_chan(life), &out[i]);
		else
			cases[i] = (struct goro_case)goro_recv_case(some_chan(life), &in[i]);
	}
	cases[n] = (struct goro_case)goro_recv_case(goro_context_done(ctx), NULL);
	cases[n + 1] = (struct goro_case)goro_recv_case(w->stop_chan, NULL);
	switch (below(life, 4)) {
	case 0:
		done = goro_select_default(cases, n + 2);
		break;
	case 1:
		done = goro_select(cases, n + 2);
		break;
	default:
		done = goro_select_timeout(cases, n + 2,
					   (int64_t)below(life, 2 * GORO_MILLISECOND));
	}
	if (done < 0)
		atomic_fetch_add(&w->acc.timeouts, 1);
	for (int i = 0; i < n; i++)
		if (cases[i].send)
			sent(w, out[i], i == done);
		else if (i == done && cases[i].ok)
			mixed_received(w, in[i]);
	if (sends)
		atomic_fetch_sub(&w->senders, 1);
	if (done == n)
		must(goro_context_err(ctx));
	goro_context_release(ctx);
}

/* ---- locks -------------------------------------------------------------------------------------
 */

static void transfer(struct life *life)
{
	struct world *w = life->w;
	uint64_t a = below(life, ACCOUNTS), b = below(life, ACCOUNTS);
	uint64_t first = a < b ? a : b, second = a < b ? b : a;

	if (a == b)
		return;
	goro_rwmutex_rlock(&w->audit);
	goro_mutex_lock(&w->mu[first]);
	goro_mutex_lock(&w->mu[second]);
	w->money[a]--;
	if (below(life, 64) == 0)
		goro_yield();
	w->money[b]++;
	goro_mutex_unlock(&w->mu[first]);
	goro_mutex_unlock(&w->mu[second]);
	goro_rwmutex_runlock(&w->audit);
}

static void audit(struct life *life)
{
	struct world *w = life->w;
	long sum = 0;

	if (below(life, 1000))
		return;
	goro_rwmutex_lock(&w->audit);
	for (int i = 0; i < ACCOUNTS; i++)
		sum += w->money[i];
	must(sum == (long)ACCOUNTS * MONEY);
	goro_rwmutex_unlock(&w->audit);
}

static void semaphore(struct life *life)
{
	struct world *w = life->w;
	int64_t n = 1 + (int64_t)below(life, SLOTS);
	goro_context *ctx;

	if (below(life, 16))
		return;
	ctx = goro_context_with_timeout(w->tree[0], (int64_t)below(life, 3 * GORO_MILLISECOND));
	if (!goro_sema_acquire_context(&w->sema, ctx, n)) {
		atomic_fetch_add(&w->acc.taken, (unsigned long)n);
		if (below(life, 2))
			goro_yield();
		atomic_fetch_add(&w->acc.given, (unsigned long)n);
		goro_sema_release(&w->sema, n);
	}
	goro_context_cancel(ctx);
	goro_context_release(ctx);
}

/* Never more than there is room for, and who takes waits until there is something. */
static void queue_put(struct life *life)
{
	struct world *w = life->w;

	goro_mutex_lock(&w->queue_mu);
	if (w->queue < w->queue_max) {
		w->queue++;
		goro_cond_signal(&w->queue_cond);
	}
	goro_mutex_unlock(&w->queue_mu);
}

static void queue_take(struct life *life)
{
	struct world *w = life->w;

	goro_mutex_lock(&w->queue_mu);
	while (!w->queue && !atomic_load(&w->stop))
		goro_cond_wait(&w->queue_cond, &w->queue_mu);
	if (w->queue)
		w->queue--;
	goro_mutex_unlock(&w->queue_mu);
}

/* ---- time --------------------------------------------------------------------------------------
 */

static void doze(struct life *life)
{
	goro_sleep((int64_t)below(life, 3 * GORO_MILLISECOND));
}

static void fired(void *arg)
{
	struct world *w = arg;

	atomic_fetch_add(&w->acc.timers_fired, 1);
	goro_waitgroup_done(&w->children);
}

/* A function later, which is started or stopped, and never both. */
static void call_later(struct life *life)
{
	struct world *w = life->w;
	goro_timer *t;

	goro_waitgroup_add(&w->children, 1);
	atomic_fetch_add(&w->acc.timers_made, 1);
	t = goro_after_func((int64_t)below(life, 2 * GORO_MILLISECOND), fired, w);
	if (below(life, 2))
		goro_yield();
	else
		goro_sleep((int64_t)below(life, 2 * GORO_MILLISECOND));
	if (goro_timer_stop(t)) {
		atomic_fetch_add(&w->acc.timers_stopped, 1);
		goro_waitgroup_done(&w->children);
	}
	goro_timer_free(t);
}

/* After a stop or a reset no old time is received, however close they come. */
static void reset_timer(struct life *life)
{
	goro_timer *t = goro_timer_new((int64_t)below(life, 100 * GORO_MICROSECOND));
	int64_t when, before;

	for (int i = 0; i < 4; i++) {
		if (below(life, 2))
			goro_yield();
		before = goro_now();
		goro_timer_reset(t, (int64_t)below(life, 100 * GORO_MICROSECOND));
		if (below(life, 2) && goro_chan_recv(goro_timer_chan(t), &when))
			must(when >= before);
	}
	goro_timer_stop(t);
	must(goro_chan_try_recv(goro_timer_chan(t), &when) == GORO_WOULD_BLOCK);
	goro_timer_free(t);
}

/* ---- the outside -------------------------------------------------------------------------------
 */

/* A token there and back over a socket, by whoever has the line. */
static void call_echo(struct life *life)
{
	struct world *w = life->w;
	uint64_t number = stress_random(&life->random), answer = 0;
	int fd;

	if (below(life, 8) || goro_chan_try_recv(w->lines, &fd) != GORO_GOT)
		return;
	must(goro_write(fd, &number, sizeof(number)) == sizeof(number));
	for (size_t got = 0; got < sizeof(answer);) {
		ssize_t n = goro_read(fd, (char *)&answer + got, sizeof(answer) - got);

		must(n > 0);
		got += (size_t)n;
	}
	must(answer == number);
	atomic_fetch_add(&w->acc.echoed, 1);
	goro_chan_send(w->lines, &fd);
}

static void burn(struct life *life)
{
	int64_t end = goro_now() + (int64_t)below(life, 15) * GORO_MILLISECOND;
	struct timespec t;

	if (below(life, 20000))
		return;
	atomic_fetch_add(&life->w->acc.hogs, 1);
	do /* no call of the runtime: a worker is lost to the others */
		clock_gettime(CLOCK_MONOTONIC, &t);
	while (t.tv_sec * GORO_SECOND + t.tv_nsec < end);
}

static void sleep_in_libc(void *arg)
{
	usleep(*(useconds_t *)arg);
}

static void block(struct life *life)
{
	useconds_t us = (useconds_t)below(life, 2000);

	if (below(life, 5000))
		return;
	if (below(life, 2))
		goro_blocking(sleep_in_libc, &us);
	else
		sleep_in_libc(&us); /* sysmon has to notice */
}

/* ---- goroutines --------------------------------------------------------------------------------
 */

static void child(void *arg)
{
	struct life *life = arg;
	uint64_t how = below(life, 3);

	if (how)
		goro_yield();
	atomic_fetch_add(&life->w->acc.children_ran, 1);
	goro_waitgroup_done(&life->w->children);
	if (how == 2)
		goro_exit();
}

static void spawn(struct life *life)
{
	struct life its = { life->w, stress_random(&life->random) | 1 };

	goro_waitgroup_add(&life->w->children, 1);
	atomic_fetch_add(&life->w->acc.children_made, 1);
	go_copy(child, &its);
}

static void recover_it(void *arg)
{
	struct world *w = arg;

	must(goro_recover() != NULL);
	atomic_fetch_add(&w->acc.recovered, 1);
}

static void panics(void *arg)
{
	struct world *w = arg;
	struct goro_deferred end;

	goro_deferred_begin_(&end, recover_it, w);
	goro_yield();
	atomic_fetch_add(&w->acc.panics, 1);
	goro_panic("on purpose");
}

static void panic_and_recover(struct life *life)
{
	if (below(life, 16) == 0)
		must(!goro_try(panics, life->w));
}

/* Cancel a tree and plant a new one; who waits for the old one hears of it. */
static void cancel_tree(struct life *life)
{
	struct world *w = life->w;
	uint64_t at = 1 + below(life, TREES - 1); /* the first is everybody's parent */
	goro_context *old, *young;

	if (below(life, 200))
		return;
	young = below(life, 2) ? goro_context_with_cancel(w->tree[0])
			       : goro_context_with_timeout(
					 w->tree[0], (int64_t)below(life, 50 * GORO_MILLISECOND));
	goro_rwmutex_lock(&w->trees_lock);
	old = w->tree[at];
	w->tree[at] = young;
	goro_rwmutex_unlock(&w->trees_lock);
	goro_context_cancel(old);
	must(goro_context_err(old));
	goro_context_release(old);
	atomic_fetch_add(&w->acc.cancelled, 1);
}

static void let_others(struct life *life)
{
	(void)life;
	goro_yield();
}

void mixed_step(struct life *life)
{
	static void (*const steps[])(struct life *) = {
		plain_send, plain_receive, try_both,	      select_some, select_some,
		transfer,   audit,	   semaphore,	      queue_put,   queue_take,
		doze,	    call_later,	   reset_timer,	      call_echo,   burn,
		block,	    spawn,	   panic_and_recover, cancel_tree, let_others,
	};

	steps[below(life, sizeof(steps) / sizeof(steps[0]))](life);
	mixed_move();
}
