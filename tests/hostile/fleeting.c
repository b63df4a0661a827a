/* SPDX-License-Identifier: MIT */
/*
 * fleeting.c - 5000 goroutines, until SIGUSR1: then the program becomes another one.
 */
#include <signal.h>
#include <unistd.h>
#include "goro.h"

static void become_another(int signo)
{
	(void)signo;
	execl("/bin/sleep", "sleep", "1000", (char *)0);
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

	signal(SIGUSR1, become_another);
	for (int i = 0; i < 5000; i++)
		go(wait_for_ever, never);
	for (;;)
		goro_sleep(GORO_MILLISECOND);
}
