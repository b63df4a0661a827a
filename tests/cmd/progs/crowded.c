/* SPDX-License-Identifier: MIT */
/*
 * crowded.c - three hundred goroutines that wait alike, ten to a channel, of which some run now and
 * then; thirty that wait for two channels at once; and some that come and go.
 */
#include <goro.h>

enum { WAITING = 300, PER_CHANNEL = 10, CHOOSING = 30 };

static goro_chan *channels[WAITING / PER_CHANNEL], *never;

static void receive(void *channel)
{
	while (goro_chan_recv(channel, NULL))
		;
}

static void choose(void *channel)
{
	struct goro_case cases[] = { goro_recv_case(channel, NULL), goro_recv_case(never, NULL) };

	goro_select(cases, 2);
}

static void come_and_go(void *unused)
{
	(void)unused;
	goro_sleep(3 * GORO_MILLISECOND);
}

int main(void)
{
	never = goro_chan_make(0, 0);
	for (int i = 0; i < WAITING; i++) {
		if (i % PER_CHANNEL == 0)
			channels[i / PER_CHANNEL] = goro_chan_make(0, 0);
		go(receive, channels[i / PER_CHANNEL]);
	}
	for (int i = 0; i < CHOOSING; i++)
		go(choose, never);
	for (int i = 0; i < 600000; i++) {
		go(come_and_go, NULL);
		goro_chan_send(channels[i % (WAITING / PER_CHANNEL)], NULL);
		goro_sleep(GORO_MILLISECOND);
	}
}
