/* SPDX-License-Identifier: MIT */
/*
 * quiet - a program that does everything right: copies its input to its output, says a word on
 * stderr, and ends with the status that it is told, by a signal if that is negative.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "goro.h"

static void nothing(void *arg)
{
	goro_waitgroup_done(arg);
}

int main(int argc, char **argv)
{
	int status = argc > 1 ? atoi(argv[1]) : 0;
	goro_waitgroup wg = { 0 };
	int c;

	goro_waitgroup_add(&wg, 1);
	go(nothing, &wg);
	goro_waitgroup_wait(&wg);
	while ((c = getchar()) != EOF)
		putchar(c);
	fputs("a word\n", stderr);
	fflush(stdout);
	if (status < 0)
		raise(-status);
	return status;
}
