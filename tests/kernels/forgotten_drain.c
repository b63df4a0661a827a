/* SPDX-License-Identifier: MIT */
/*
 * forgotten_drain - the last stage of a pipeline returns at the first result it likes; the stages
 * before it stand there with theirs.
 *
 * Like etcd/6857, grpc/660; "stay on the pipeline" of Go's blog.
 *
 * expect: generate, chan send: unreachable
 * expect: square, chan send: unreachable
 */
#include "kernel.h"

struct stage {
	goro_chan *in, *out;
};

static void generate(void *arg)
{
	struct stage *s = arg;

	for (int i = 0; i < 10; i++)
		goro_chan_send(s->out, &i);
	goro_chan_close(s->out);
}

static void square(void *arg)
{
	struct stage *s = arg;
	int n;

	while (goro_chan_recv(s->in, &n)) {
		n *= n;
		goro_chan_send(s->out, &n);
	}
	goro_chan_close(s->out);
}

void kernel(void *unused)
{
	goro_chan *numbers = goro_chan_of(int, 0), *squares = goro_chan_of(int, 0);

	(void)unused;
	go_copy(generate, &(struct stage){ NULL, numbers });
	go_copy(square, &(struct stage){ numbers, squares });
	goro_chan_recv(squares, NULL);
	while (fixed && goro_chan_recv(squares, NULL))
		;
}
