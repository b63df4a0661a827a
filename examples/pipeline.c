/* SPDX-License-Identifier: MIT */
/*
 * pipeline - stages joined by channels, and a way to stop them all.
 *
 * Each stage is a goroutine that owns the channel it sends on: it makes it, and closes it when it
 * is done. A stage that sends must never wait for a reader that has gone, so each send is a select
 * with `done`: main takes three values of an endless row, closes `done`, and nobody is left behind.
 */
#include <stdio.h>

#include "goro.h"

struct stage {
	goro_chan *done, *in, *out;
	int operand;
	goro_waitgroup *wg;
};

/* False: the pipeline is being stopped. */
static bool pass_on(struct stage *stage, int value)
{
	struct goro_case cases[] = {
		goro_recv_case(stage->done, NULL),
		goro_send_case(stage->out, &value),
	};

	return goro_select(cases, 2) == 1;
}

static void generate(void *arg)
{
	struct stage *stage = arg;

	for (int i = 1; pass_on(stage, i); i++)
		;
	goro_chan_close(stage->out);
	goro_waitgroup_done(stage->wg);
}

static void multiply(void *arg)
{
	struct stage *stage = arg;
	int value;

	while (goro_chan_recv(stage->in, &value) && pass_on(stage, value * stage->operand))
		;
	goro_chan_close(stage->out);
	goro_waitgroup_done(stage->wg);
}

static void add(void *arg)
{
	struct stage *stage = arg;
	int value;

	while (goro_chan_recv(stage->in, &value) && pass_on(stage, value + stage->operand))
		;
	goro_chan_close(stage->out);
	goro_waitgroup_done(stage->wg);
}

/* Start a stage behind `in`; returns where its values come out. */
static goro_chan *start(goro_fn *fn, int operand, goro_chan *in, goro_chan *done,
			goro_waitgroup *wg)
{
	struct stage stage = { done, in, goro_chan_of(int, 0), operand, wg };

	goro_waitgroup_add(wg, 1);
	go_copy(fn, &stage);
	return stage.out;
}

int main(void)
{
	goro_chan *done = goro_chan_make(0, 0);
	goro_waitgroup wg = { 0 };
	goro_chan *numbers = start(generate, 0, NULL, done, &wg);
	goro_chan *doubled = start(multiply, 2, numbers, done, &wg);
	goro_chan *result = start(add, 1, doubled, done, &wg);
	int value;

	for (int i = 1; i <= 3 && goro_chan_recv(result, &value); i++)
		printf("%d * 2 + 1 = %d\n", i, value);

	goro_chan_close(done);
	goro_waitgroup_wait(&wg);
	puts("every stage has ended");
	goro_chan_free(numbers);
	goro_chan_free(doubled);
	goro_chan_free(result);
	goro_chan_free(done);
	return 0;
}
