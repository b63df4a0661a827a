/* SPDX-License-Identifier: MIT */
/*
 * swing - pairs of goroutines that throw a ball to and fro, each time out of another depth of
 * calls: to receive they wait below catch_ball() alone, to send below throw_ball() alone. Whoever
 * copies a stack while it changes has frames of both, or an end that is none.
 */
#include "goro.h"

#define NOINLINE __attribute__((noinline))

enum { PAIRS = 64 };

struct pair {
	goro_chan *there, *back;
};

static struct pair pairs[PAIRS];

static NOINLINE void catch_ball(goro_chan *c, unsigned depth)
{
	volatile char room[40];

	room[0] = 1;
	if (depth) {
		catch_ball(c, depth - 1);
	} else {
		int ball;

		goro_chan_recv(c, &ball);
	}
	(void)room[0];
}

static NOINLINE void throw_ball(goro_chan *c, unsigned depth)
{
	volatile char room[200];

	room[0] = 1;
	if (depth) {
		throw_ball(c, depth - 1);
	} else {
		int ball = 1;

		goro_chan_send(c, &ball);
	}
	(void)room[0];
}

static void first(void *arg)
{
	const struct pair *p = arg;

	for (unsigned n = 0;; n++) {
		throw_ball(p->there, n % 5);
		catch_ball(p->back, n % 7);
	}
}

static void second(void *arg)
{
	const struct pair *p = arg;

	for (unsigned n = 0;; n++) {
		catch_ball(p->there, n % 3);
		throw_ball(p->back, n % 4);
	}
}

int main(void)
{
	for (struct pair *p = pairs; p < pairs + PAIRS; p++) {
		p->there = goro_chan_make(sizeof(int), 0);
		p->back = goro_chan_make(sizeof(int), 0);
		go(first, p);
		go(second, p);
	}
	for (;;)
		goro_sleep(GORO_SECOND);
}
