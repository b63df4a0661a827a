/* SPDX-License-Identifier: MIT */
/*
 * nil_channel - the channel is set after the goroutines that use it were given a copy of nothing.
 *
 * Like grpc/1424, kubernetes/70277; nil channels in Go's own tests.
 *
 * expect: reader, chan receive (nil chan): never
 * expect: writer, chan send (nil chan): never
 * expect: neither, select (no cases): never
 * expect: chooser, select (no cases): never
 */
#include "kernel.h"

struct ends {
	goro_chan *in;
};

static void reader(void *arg)
{
	goro_chan_recv(((struct ends *)arg)->in, NULL);
	after();
}

static void writer(void *arg)
{
	goro_chan_send(((struct ends *)arg)->in, &(int){ 1 });
	after();
}

static void neither(void *arg)
{
	(void)arg;
	if (!fixed)
		goro_select(NULL, 0);
	after();
}

static void chooser(void *arg)
{
	struct ends *e = arg;
	struct goro_case cases[] = { goro_recv_case(e->in, NULL), goro_recv_case(e->in, NULL) };

	goro_select(cases, 2);
	after();
}

void kernel(void *unused)
{
	struct ends e = { fixed ? goro_chan_of(int, 4) : NULL };

	(void)unused;
	for (int i = 0; fixed && i < 4; i++)
		goro_chan_send(e.in, &i);
	go_copy(reader, &e);
	go_copy(neither, &e);
	go_copy(chooser, &e);
	if (fixed)
		goro_chan_recv(e.in, NULL);
	go_copy(writer, &e);
}
