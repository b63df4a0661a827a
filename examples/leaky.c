/* SPDX-License-Identifier: MIT */
/*
 * leaky - goroutines that block for ever, in a program that runs on as if nothing had happened.
 *
 * Each one waits for an answer that nobody will ever send. The runtime cannot call this a deadlock,
 * since main goes on; and no goroutine is ever collected as garbage. From outside it can be seen:
 *
 *	goro leaks PID
 *	gotop PID
 *	goro check -- leaky
 *
 * main does what a service does that must not stutter: something short every 10 ms. The longest
 * that it was late by is printed at the end, so it shows whether looking costs it anything.
 *
 *	leaky [N [SECONDS]]	N goroutines (default 3), for SECONDS (default 1) or until SIGINT
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "goro.h"

#define TICK (10 * GORO_MILLISECOND)

static atomic_int stop; /* any thread may get the signal */

static void on_signal(int signo)
{
	(void)signo;
	stop = 1;
}

static void wait_for_answer(void *arg)
{
	goro_chan *answer = arg;
	int value;

	goro_chan_recv(answer, &value); /* blocks here, for ever */
	printf("the answer is %d\n", value);
}

static void ask(void)
{
	goro_chan *answer = goro_chan_of(int, 0);

	go(wait_for_answer, answer); /* who should send the answer was forgotten */
}

/* Tick until the end; returns by how much the latest tick was late, in nanoseconds. */
static int64_t tick_until(int64_t end)
{
	int64_t worst = 0;

	while (!stop && goro_now() < end) {
		int64_t before = goro_now(), gap;

		goro_sleep(TICK);
		gap = goro_now() - before - TICK;
		if (gap > worst)
			worst = gap;
	}
	return worst;
}

static long number(const char *text, long most)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < 0 || n > most) {
		fprintf(stderr, "leaky: '%s' is not a number from 0 to %ld\n", text, most);
		fprintf(stderr, "usage: leaky [N [SECONDS]]\n");
		exit(2);
	}
	return n;
}

int main(int argc, char **argv)
{
	long n = argc > 1 ? number(argv[1], 10000000) : 3;
	long seconds = argc > 2 ? number(argv[2], 1000000000) : 1;
	struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	int64_t worst;

	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	printf("%ld\n", (long)getpid());
	fflush(stdout);
	for (long i = 0; i < n; i++)
		ask();

	worst = tick_until(goro_now() + seconds * GORO_SECOND);
	printf("worst gap: %ld us\n", (long)(worst / GORO_MICROSECOND));
	return 0;
}
