/* SPDX-License-Identifier: MIT */
/*
 * trapped.c - goroutines that wait in the handler of a signal. What the signal came upon is at an
 * instruction, and not behind a call; its caller is behind a call, which is the last thing in it.
 *
 * stack 2 chan receive
 *	handler @handler
 *	trapped @trapped
 *	caller @caller
 * stack 1 chan receive
 *	main @main
 */
#include <signal.h>

#include "target.h"

static goro_chan *never;

static void handler(int sig)
{
	used(sig);
	goro_chan_recv(never, NULL); /* @handler */
	used(1);
}

static NOINLINE void trapped(long v)
{
	used(v);
	__builtin_trap(); /* @trapped */
}

static void caller(void *v)
{
	used(2);
	trapped((long)(intptr_t)v); /* @caller */
}

int main(void)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_NODEFER };

	sigaction(SIGILL, &sa, NULL);
	sigaction(SIGTRAP, &sa, NULL);
	never = goro_chan_of(int, 0);
	go(caller, (void *)1);
	go(caller, (void *)2);
	go(keep_alive, NULL);
	goro_chan_recv(never, NULL); /* @main */
	used(3);
	return 0;
}
