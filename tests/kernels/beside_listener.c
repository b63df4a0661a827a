/* SPDX-License-Identifier: MIT */
/*
 * beside_listener - a request that gave up leaves the helper that it started, in a server that
 * waits for the next one: all that runs is a worker in the kernel, until a connection comes.
 *
 * Like grpc/862, moby/33781.
 *
 * expect: helper, chan send: unreachable 2
 * expect: server, IO wait: alive
 */
#include "kernel.h"

struct request {
	goro_chan *answer;
	goro_waitgroup *helpers;
};

static void server(void *arg)
{
	const int listener = *(int *)arg;
	int fd;

	while ((fd = goro_accept(listener)) >= 0)
		goro_close(fd);
	after();
}

static void helper(void *arg)
{
	struct request *r = arg;
	goro_waitgroup *helpers = r->helpers;

	goro_chan_send(r->answer, &(int){ 1 });
	if (helpers)
		goro_waitgroup_done(helpers);
}

/* It does not wait for the answer. */
static void give_up(goro_waitgroup *helpers)
{
	struct request *r = NEW(struct request);

	r->answer = goro_chan_of(int, fixed);
	r->helpers = helpers;
	go(helper, r);
}

void kernel(void *unused)
{
	goro_waitgroup helpers = { 0 };
	int listener = goro_listen_tcp("127.0.0.1", 0, 1);

	(void)unused;
	if (listener < 0)
		abort();
	goro_waitgroup_add(&helpers, 2);
	for (int i = 0; i < 2; i++)
		give_up(fixed ? &helpers : NULL);
	go_copy(server, &listener);
	if (!fixed)
		return;
	goro_waitgroup_wait(&helpers);
	goro_close(listener);
}
