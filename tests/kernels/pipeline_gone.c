/* SPDX-License-Identifier: MIT */
/*
 * pipeline_gone - the end of a pipeline of three returns when it has seen enough, and the stages
 * before it stand with a value in their hands.
 *
 * The pipeline of Go's own blog; like grpc/660.
 *
 * expect: generate, chan send: unreachable
 * expect: stage, chan send: unreachable 2
 */
#include "kernel.h"

struct stage {
	goro_chan *in, *out, *done; /* done: NULL, nobody says it */
};

static bool put(struct stage *s, int value)
{
	struct goro_case cases[] = {
		goro_send_case(s->out, &value),
		goro_recv_case(s->done, NULL),
	};

	if (fixed)
		return goro_select(cases, 2) == 0;
	goro_chan_send(s->out, &value);
	return true;
}

static void generate(void *arg)
{
	struct stage *s = arg;

	for (int i = 0; put(s, i); i++)
		;
}

static void stage(void *arg)
{
	struct stage *s = arg;
	int value;

	while (goro_chan_recv(s->in, &value) && put(s, value * value))
		;
}

static struct stage *make_stage(goro_chan *in, goro_chan *done)
{
	struct stage *s = NEW(struct stage);

	*s = (struct stage){ in, goro_chan_of(int, 0), done };
	return s;
}

/* Twins end when `done` is closed; a stage may stand in its receive then, so all see it. */
static void relay(void *arg)
{
	struct stage *s = arg;
	int value;
	struct goro_case cases[] = {
		goro_recv_case(s->in, &value),
		goro_recv_case(s->done, NULL),
	};

	while (goro_select(cases, 2) == 0 && put(s, value * value))
		;
}

void kernel(void *unused)
{
	goro_chan *done = goro_chan_of(int, 0);
	struct stage *one = make_stage(NULL, done), *two = make_stage(one->out, done);
	struct stage *three = make_stage(two->out, done);
	int value;

	(void)unused;
	go(generate, one);
	go(fixed ? relay : stage, two);
	go(fixed ? relay : stage, three);
	do
		goro_chan_recv(three->out, &value);
	while (value < 16);
	if (fixed)
		goro_chan_close(done);
}
