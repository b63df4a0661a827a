/* SPDX-License-Identifier: MIT */
/*
 * server_freed - a server is freed while others wait on its channels, which were to be closed
 * before.
 *
 * What a collector would keep alive, in C is a pointer in memory that malloc() has back: it is
 * nobody's, though it is still there to be read.
 *
 * expect: watch, chan receive: unreachable 2
 * expect: submit, chan send: unreachable
 */
#include "kernel.h"

enum { WATCHERS = 2 };

struct server {
	char name[64]; /* malloc() writes into the first words of what it has back */
	goro_chan *stopped, *jobs;
	goro_waitgroup begun;
};

static void watch(void *arg)
{
	struct server *s = arg;
	goro_chan *stopped = s->stopped;

	goro_waitgroup_done(&s->begun);
	goro_chan_recv(stopped, NULL);
	after();
}

static void submit(void *arg)
{
	struct server *s = arg;
	goro_chan *jobs = s->jobs;

	goro_waitgroup_done(&s->begun);
	goro_chan_send(jobs, &(int){ 1 });
	after();
}

void kernel(void *unused)
{
	struct server *s = NEW(struct server);

	(void)unused;
	s->stopped = goro_chan_of(int, 0);
	s->jobs = goro_chan_of(int, 0);
	goro_waitgroup_add(&s->begun, WATCHERS + 1);
	for (int i = 0; i < WATCHERS; i++)
		go(watch, s);
	go(submit, s);
	goro_waitgroup_wait(&s->begun);
	if (fixed) {
		goro_chan_recv(s->jobs, NULL);
		goro_chan_close(s->stopped);
	}
	free(s);
}
