/* SPDX-License-Identifier: MIT */
/*
 * timer.c - timers and tickers with a channel, and functions to be called later.
 *
 * The value is sent while the P's timer_lock is held, so a stop or a reset that has found the
 * timer in no heap knows that the value is in the channel, and takes it out again: after either, no
 * old value is received (Go 1.23). A timer never waits for its receiver: its channel holds one
 * value, and a tick that finds it full is dropped.
 */
#include <stdlib.h>

#include "chan.h"
#include "timer.h"

struct goro_timer {
	struct timer timer;
	uint32_t lock;	 /* one stop or reset at a time */
	int64_t period;	 /* of a ticker, else 0 */
	goro_chan *chan; /* NULL: start fn(arg) */
	goro_fn *fn;
	void *arg;
	uintptr_t pc; /* who made it */
	uint64_t parent;
};

struct goro_ticker {
	struct goro_timer timer;
};

static void send_now(struct m *mp, goro_chan *c)
{
	int64_t now = goro_now();

	lock(&c->lock);
	/* Closed: by its user, who wants no more. */
	if (goro_chan_send_locked(mp, c, &now) == GORO_WOULD_BLOCK)
		unlock(&c->lock);
}

static int64_t fire(struct m *mp, struct timer *timer, int64_t when, struct fired *fired)
{
	struct goro_timer *t = (struct goro_timer *)timer;
	int64_t late;

	(void)fired;
	if (!t->chan) {
		goro_spawn(mp, t->fn, t->arg, t->pc, t->parent);
		return NEVER;
	}
	send_now(mp, t->chan);
	if (!t->period)
		return NEVER;
	late = (goro_now() - when) / t->period;
	when += (late + 1) * t->period;
	return when < NEVER && when > 0 ? when : NEVER - 1;
}

static struct goro_timer *goro_timer_make(void *t, goro_chan *chan, uintptr_t pc)
{
	struct goro_timer *timer = t;

	if (!t)
		goro_throw("out of memory: a timer");
	timer->timer.fire = fire;
	timer->chan = chan;
	timer->pc = pc;
	if (chan)
		chan->make_pc = pc;
	return t;
}

static void start(struct goro_timer *t, int64_t ns)
{
	struct m *mp = enter();

	t->parent = mp->curg->id;
	goro_timer_arm(mp, &t->timer, goro_when(ns));
	leave(mp);
}

/* Lock held. True: its value will not be received, or its function not be started. */
static bool stop_locked(struct m *mp, struct goro_timer *t)
{
	bool stopped = goro_timer_disarm(&t->timer);
	goro_chan *c = t->chan;

	if (!c)
		return stopped;
	lock(&c->lock);
	if (c->count && goro_chan_recv_locked(mp, c, NULL) == GORO_GOT)
		return true;
	unlock(&c->lock);
	return stopped;
}

static bool stop(struct goro_timer *t)
{
	struct m *mp = enter();
	bool stopped;

	lock(&t->lock);
	stopped = stop_locked(mp, t);
	unlock(&t->lock);
	leave(mp);
	return stopped;
}

static bool reset(struct goro_timer *t, int64_t ns, int64_t period)
{
	struct m *mp = enter();
	bool stopped;

	lock(&t->lock);
	stopped = stop_locked(mp, t);
	t->period = period;
	goro_timer_arm(mp, &t->timer, goro_when(ns));
	unlock(&t->lock);
	leave(mp);
	return stopped;
}

static void destroy(struct goro_timer *t)
{
	stop(t);
	goro_chan_free(t->chan);
	free(t);
}

/* ---- timer ------------------------------------------------------------------------------------
 */

goro_timer *goro_timer_new(int64_t ns)
{
	goro_timer *t = goro_timer_make(calloc(1, sizeof(*t)), goro_chan_of(int64_t, 1),
					(uintptr_t)__builtin_return_address(0));

	start(t, ns);
	return t;
}

goro_chan *goro_after(int64_t ns)
{
	goro_chan *c = goro_chan_of(int64_t, 1);
	goro_timer *t =
		goro_timer_make(calloc(1, sizeof(*t)), c, (uintptr_t)__builtin_return_address(0));

	c->after = t;
	start(t, ns);
	return c;
}

void goro_after_end(goro_timer *t)
{
	stop(t);
	free(t);
}

goro_timer *goro_after_func(int64_t ns, goro_fn *fn, void *arg)
{
	goro_timer *t;

	if (!fn)
		goro_throw("go of nil func value");
	t = goro_timer_make(calloc(1, sizeof(*t)), NULL, (uintptr_t)__builtin_return_address(0));
	t->fn = fn;
	t->arg = arg;
	start(t, ns);
	return t;
}

goro_chan *goro_timer_chan(const goro_timer *t)
{
	return t->chan;
}

bool goro_timer_stop(goro_timer *t)
{
	if (!t)
		goro_panic("time: Stop called on uninitialized Timer");
	return stop(t);
}

bool goro_timer_reset(goro_timer *t, int64_t ns)
{
	if (!t)
		goro_panic("time: Reset called on uninitialized Timer");
	return reset(t, ns, 0);
}

void goro_timer_free(goro_timer *t)
{
	if (t)
		destroy(t);
}

/* ---- ticker -----------------------------------------------------------------------------------
 */

goro_ticker *goro_ticker_new(int64_t ns)
{
	goro_ticker *k;

	if (ns <= 0)
		goro_panic("non-positive interval for NewTicker");
	k = calloc(1, sizeof(*k));
	goro_timer_make(k, goro_chan_of(int64_t, 1), (uintptr_t)__builtin_return_address(0));
	k->timer.period = ns;
	start(&k->timer, ns);
	return k;
}

goro_chan *goro_ticker_chan(const goro_ticker *k)
{
	return k->timer.chan;
}

void goro_ticker_stop(goro_ticker *k)
{
	if (!k)
		goro_panic("time: Stop called on uninitialized Ticker");
	stop(&k->timer);
}

void goro_ticker_reset(goro_ticker *k, int64_t ns)
{
	if (ns <= 0)
		goro_panic("non-positive interval for Ticker.Reset");
	if (!k)
		goro_panic("time: Reset called on uninitialized Ticker");
	reset(&k->timer, ns, ns);
}

void goro_ticker_free(goro_ticker *k)
{
	if (k)
		destroy(&k->timer);
}
