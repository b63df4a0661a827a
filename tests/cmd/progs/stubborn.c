/* SPDX-License-Identifier: MIT */
/*
 * stubborn - ignores SIGTERM and never ends. With "stuck", two of its goroutines are in a deadlock;
 * with "child", the one that does all this is a child process.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "goro.h"

static void lock_twice(void *arg)
{
	goro_mutex_lock(arg);
	goro_mutex_lock(arg); /* TWICE */
	goro_mutex_unlock(arg);
}

int main(int argc, char **argv)
{
	static goro_mutex mu;
	const char *mode = argc > 1 ? argv[1] : "";

	if (!strcmp(mode, "child") && fork() == 0)
		execl(argv[0], argv[0], "stuck", (char *)NULL);
	signal(SIGTERM, SIG_IGN);
	if (!strcmp(mode, "stuck"))
		go(lock_twice, &mu);
	printf("%d\n", (int)getpid());
	fflush(stdout);
	for (;;)
		goro_sleep(GORO_SECOND); /* SLEEP */
}
