/* SPDX-License-Identifier: MIT */
/*
 * starter_sleeps - whoever started them took the first answer, and sleeps ever since. Where it
 * keeps the channel, in a register or on its stack, the channel still lies: nobody overwrote it,
 * and nobody will read it.
 *
 * Like what most programs' main() comes to; GOLF's and Go's tests have it sleep as well.
 *
 * expect: query, chan send: unreachable 4
 * expect: subscriber, sync.WaitGroup.Wait: unreachable 2
 * expect: kernel, sleep: alive
 */
#include "kernel.h"

struct start {
	goro_waitgroup given, ended;
};

static void query(void *arg)
{
	goro_chan_send(arg, &(int){ 1 });
	after();
}

static void subscriber(void *arg)
{
	struct start *s = arg;

	goro_waitgroup_wait(&s->given);
	goro_waitgroup_done(&s->ended);
}

void kernel(void *unused)
{
	goro_chan *answers = goro_chan_of(int, fixed ? 5 : 0);
	struct start start = { 0 };
	int answer;

	(void)unused;
	goro_waitgroup_add(&start.given, 1);
	goro_waitgroup_add(&start.ended, 2);
	for (int i = 0; i < 2; i++)
		go(subscriber, &start);
	for (int i = 0; i < 5; i++)
		go(query, answers);
	goro_chan_recv(answers, &answer);
	if (!fixed) {
		for (;;)
			goro_sleep(answer * GORO_SECOND);
	}
	goro_waitgroup_done(&start.given);
	goro_waitgroup_wait(&start.ended);
}
