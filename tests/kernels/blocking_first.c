/* SPDX-License-Identifier: MIT */
/*
 * blocking_first - goroutines that make blocking calls, with arguments on their stacks, and then
 * wait for an answer that nobody sends.
 *
 * A blocking call runs on the thread's stack, in a function that the worker's loop calls; of the
 * goroutine's stack it must leave no address there.
 *
 * expect: ask, chan receive: unreachable 4
 */
#include <poll.h>

#include "kernel.h"

enum { CALLS = 20, ASKERS = 4 };

static __attribute__((noinline)) void look_about(void *arg, int depth)
{
	void *volatile words[64];

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		words[i] = arg;
	if (depth)
		look_about(arg, depth - 1);
	__asm__ volatile("" ::"r"(words) : "memory");
}

static void call(void *arg)
{
	look_about(arg, 8);
	poll(NULL, 0, 0);
}

static void ask(void *unused)
{
	goro_chan *answer = goro_chan_of(int, 1);

	(void)unused;
	if (fixed)
		goro_chan_send(answer, &(int){ 1 });
	for (int i = 0; i < CALLS; i++)
		goro_blocking(call, answer);
	goro_chan_recv(answer, NULL);
	after();
}

void kernel(void *unused)
{
	(void)unused;
	for (int i = 0; i < ASKERS; i++)
		go(ask, NULL);
}
