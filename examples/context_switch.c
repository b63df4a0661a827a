/* SPDX-License-Identifier: MIT */
/*
 * context_switch - BenchmarkContextSwitch: two goroutines hand a token over an unbuffered channel.
 *
 * Nobody can go on without the other, so every token is one switch between them. The token is
 * empty: what is measured is the meeting, not a copy. Compare with the kernel's switch between two
 * threads, which is in the microseconds.
 */
#include <stdio.h>

#include "goro.h"

#define TOKENS 2000000

struct meeting {
	goro_chan *begin, *token;
	goro_waitgroup wg;
};

static void sender(void *arg)
{
	struct meeting *m = arg;

	goro_chan_recv(m->begin, NULL);
	for (int i = 0; i < TOKENS; i++)
		goro_chan_send(m->token, NULL);
	goro_waitgroup_done(&m->wg);
}

static void receiver(void *arg)
{
	struct meeting *m = arg;

	goro_chan_recv(m->begin, NULL);
	for (int i = 0; i < TOKENS; i++)
		goro_chan_recv(m->token, NULL);
	goro_waitgroup_done(&m->wg);
}

int main(void)
{
	struct meeting m = { goro_chan_make(0, 0), goro_chan_make(0, 0), { 0 } };
	int64_t start;

	goro_waitgroup_add(&m.wg, 2);
	go(sender, &m);
	go(receiver, &m);

	start = goro_now();
	goro_chan_close(m.begin);
	goro_waitgroup_wait(&m.wg);
	printf("%.1f ns per switch\n", (double)(goro_now() - start) / TOKENS);

	goro_chan_free(m.begin);
	goro_chan_free(m.token);
	return 0;
}
