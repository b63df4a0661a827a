/* SPDX-License-Identifier: MIT */
/*
 * request_never_read - requests carry the channel for their answer; the server returns at the first
 * error, and what is still in its queue is answered by nobody.
 *
 * Like istio/17860, moby/27782, with a queue between: whoever sent is not blocked at the send. The
 * only pointers to the channels for the answers lie in the buffer of a channel that nobody has.
 *
 * expect: client, chan receive: unreachable 2
 */
#include "kernel.h"

enum { CLIENTS = 3 };

struct queue {
	goro_chan *requests;
	goro_waitgroup sent;
};

static void client(void *arg)
{
	struct queue *q = arg;
	goro_chan *answer = goro_chan_of(int, 0);

	goro_chan_send(q->requests, &answer);
	goro_waitgroup_done(&q->sent);
	goro_chan_recv(answer, NULL);
	after();
}

static void server(void *arg)
{
	struct queue *q = arg;
	goro_chan *answer;

	for (int i = 0; i < (fixed ? CLIENTS : 1); i++) {
		goro_chan_recv(q->requests, &answer);
		goro_chan_send(answer, &i);
	}
	answer = NULL;
	after();
}

void kernel(void *unused)
{
	struct queue *q = NEW(struct queue);

	(void)unused;
	q->requests = goro_chan_of(goro_chan *, CLIENTS);
	goro_waitgroup_add(&q->sent, CLIENTS);
	for (int i = 0; i < CLIENTS; i++)
		go(client, q);
	goro_waitgroup_wait(&q->sent);
	go(server, q);
}
