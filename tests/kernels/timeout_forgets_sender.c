/* SPDX-License-Identifier: MIT */
/*
 * timeout_forgets_sender - who asked has given up; the answer is sent where nobody listens.
 *
 * Like kubernetes/5316, moby/33781, etcd/6857.
 *
 * expect: work, chan send: unreachable
 */
#include "kernel.h"

struct request {
	goro_chan *reply;
	goro_chan *begin;
};

static void work(void *arg)
{
	struct request *r = arg;

	goro_chan_recv(r->begin, NULL);
	goro_chan_send(r->reply, &(int){ 42 });
	after();
}

void kernel(void *unused)
{
	struct request *r = NEW(struct request);
	int answer;
	struct goro_case cases[] = { { .chan = NULL, .elem = &answer } };

	(void)unused;
	r->reply = goro_chan_of(int, fixed ? 1 : 0);
	r->begin = goro_chan_of(int, 0);
	go(work, r);
	cases[0].chan = r->reply;
	goro_select_timeout(cases, 1, GORO_MILLISECOND);
	goro_chan_close(r->begin);
}
