/* SPDX-License-Identifier: MIT */
/*
 * unsubscribed - who is taken off the list of those who are told is not told that either: its
 * channel is forgotten, and not closed.
 *
 * The "method contract" of Uber's reports: who starts a service must also stop it.
 *
 * expect: listen, chan receive: unreachable 3
 */
#include "kernel.h"

enum { LISTENERS = 3 };

struct topic {
	goro_mutex mu;
	goro_chan *subscriber[LISTENERS];
};

static void listen(void *arg)
{
	int message;

	while (goro_chan_recv(arg, &message))
		after();
	after();
}

static void subscribe(struct topic *t, int i)
{
	goro_chan *c = goro_chan_of(int, 0);

	goro_mutex_lock(&t->mu);
	t->subscriber[i] = c;
	goro_mutex_unlock(&t->mu);
	go(listen, c);
}

static void publish(struct topic *t, int message)
{
	goro_mutex_lock(&t->mu);
	for (int i = 0; i < LISTENERS; i++)
		if (t->subscriber[i])
			goro_chan_send(t->subscriber[i], &message);
	goro_mutex_unlock(&t->mu);
}

static void unsubscribe(struct topic *t, int i)
{
	goro_mutex_lock(&t->mu);
	if (fixed)
		goro_chan_close(t->subscriber[i]);
	t->subscriber[i] = NULL;
	goro_mutex_unlock(&t->mu);
}

void kernel(void *unused)
{
	struct topic *t = NEW(struct topic);

	(void)unused;
	for (int i = 0; i < LISTENERS; i++)
		subscribe(t, i);
	publish(t, 1);
	for (int i = 0; i < LISTENERS; i++)
		unsubscribe(t, i);
}
