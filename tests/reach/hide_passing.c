/* SPDX-License-Identifier: MIT */
/*
 * hide_passing.c - on the way from one goroutine to another, by the runtime's own means.
 */
#include <string.h>
#include "hide.h"

/* What a goroutine is started with, each only to start the next one. */
static void relay(void *chan)
{
	goro_yield();
	go(relay, chan);
}

static void by_start(void)
{
	for (int i = 0; i < NCHANS; i++)
		go(relay, new_chan());
}

/* To and fro between two goroutines. Who has sent it has nothing any more. */
struct court {
	goro_chan *to, *fro;
	void *ball;
};

static void play(goro_chan *in, goro_chan *out, void *ball)
{
	for (;;) {
		if (ball)
			goro_chan_send(out, &ball);
		ball = NULL;
		forget();
		goro_chan_recv(in, &ball);
	}
}

static void serve(void *arg)
{
	struct court *c = arg;
	void *ball = c->ball;

	c->ball = NULL;
	play(c->fro, c->to, ball);
}

static void answer(void *arg)
{
	struct court *c = arg;

	play(c->to, c->fro, NULL);
}

static void play_with(size_t capacity)
{
	static struct court courts[NCHANS];

	for (int i = 0; i < NCHANS; i++) {
		courts[i] = (struct court){ goro_chan_of(void *, capacity),
					    goro_chan_of(void *, capacity), new_chan() };
		go(serve, &courts[i]);
		go(answer, &courts[i]);
	}
}

static void by_handing_over(void)
{
	play_with(0);
}

static void by_buffer(void)
{
	play_with(1);
}

/* The same where each waits in a select, so that a value is put where it chooses. */
static void choose(goro_chan *in, goro_chan *out, void *ball)
{
	for (;;) {
		void *got = NULL;
		struct goro_case cases[] = { goro_recv_case(in, &got),
					     goro_send_case(ball ? out : NULL, &ball) };

		if (goro_select(cases, 2) == 0)
			ball = got;
		else
			ball = NULL;
		forget();
	}
}

static void choose_first(void *arg)
{
	struct court *c = arg;
	void *ball = c->ball;

	c->ball = NULL;
	choose(c->fro, c->to, ball);
}

static void choose_second(void *arg)
{
	struct court *c = arg;

	choose(c->to, c->fro, NULL);
}

static void by_select(void)
{
	static struct court courts[NCHANS];

	for (int i = 0; i < NCHANS; i++) {
		courts[i] = (struct court){ goro_chan_of(void *, 0), goro_chan_of(void *, 0),
					    new_chan() };
		go(choose_first, &courts[i]);
		go(choose_second, &courts[i]);
	}
}

/* Taken out of a pool and put back, by whoever comes. */
static goro_pool pool;

static void swim(void *arg)
{
	(void)arg;
	for (;;) {
		void *object = goro_pool_get(&pool);

		goro_yield();
		if (object)
			goro_pool_put(&pool, object);
		object = NULL;
		forget();
		goro_yield();
	}
}

static void in_pool(void)
{
	for (int i = 0; i < NCHANS; i++)
		goro_pool_put(&pool, new_chan());
	for (int i = 0; i < NCHANS; i++)
		go(swim, NULL);
}

/* What a deferred function will get. */
static void close_it(void *chan)
{
	goro_chan_close(chan);
}

static void waits_long(void *chan)
{
	goro_defer(close_it, chan);
	chan = NULL;
	for (;;) {
		forget();
		goro_sleep(GORO_SECOND);
	}
}

static void in_deferred(void)
{
	for (int i = 0; i < NCHANS; i++)
		go(waits_long, new_chan());
}

const struct place places_in_passing[] = {
	{ "start", by_start },	 { "handing_over", by_handing_over },
	{ "buffer", by_buffer }, { "select", by_select },
	{ "pool", in_pool },	 { "deferred", in_deferred },
	{ NULL, NULL },
};
