/* SPDX-License-Identifier: MIT */
/*
 * fleeting.c - 5000 goroutines, until SIGUSR1: then the program becomes another one.
 */
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>
#include "goro.h"

static atomic_int become_another; /* any thread may get the signal */

static void on_signal(int signo)
{
	(void)signo;
	become_another = 1;
}

static volatile int after;

static void wait_for_ever(void *arg)
{
	goro_chan_recv(arg, NULL);
	after++; /* so that the call is no jump */
}

int main(void)
{
	goro_chan *never = goro_chan_of(int, 0);

	signal(SIGUSR1, on_signal);
	for (int i = 0; i < 5000; i++)
		go(wait_for_ever, never);
	while (!become_another)
		goro_sleep(GORO_MILLISECOND);
	execl("/bin/sleep", "sleep", "1000", (char *)0);
	return 1;
}
