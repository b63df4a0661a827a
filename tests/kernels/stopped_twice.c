/* SPDX-License-Identifier: MIT */
/*
 * stopped_twice - Stop() hands the loop a word, and is called twice: the second time nobody is
 * there to take it. Who waits until it is all over waits, too.
 *
 * Like kubernetes/1321, etcd/7492.
 *
 * expect: stop, chan send: unreachable
 * expect: kernel, sync.WaitGroup.Wait: unreachable
 */
#include "kernel.h"

struct server {
	goro_chan *quit;
	goro_waitgroup stopped;
	goro_once once;
};

static void loop(void *arg)
{
	struct server *s = arg;

	goro_chan_recv(s->quit, NULL);
}

static void say_quit(void *arg)
{
	struct server *s = arg;
	int word = 1;

	goro_chan_send(s->quit, &word);
}

static void stop(void *arg)
{
	struct server *s = arg;

	if (fixed)
		goro_once_do(&s->once, say_quit, s);
	else
		say_quit(s);
	goro_waitgroup_done(&s->stopped);
}

void kernel(void *unused)
{
	struct server *s = NEW(struct server);

	(void)unused;
	s->quit = goro_chan_of(int, 0);
	goro_waitgroup_add(&s->stopped, 2);
	go(loop, s);
	go(stop, s);
	go(stop, s);
	goro_waitgroup_wait(&s->stopped);
	after();
}
