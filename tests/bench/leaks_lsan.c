/* SPDX-License-Identifier: MIT */
/*
 * leaks_lsan - LeakSanitizer on the heap of leaks_goro: built with -fsanitize=leak.
 *
 *	leaks_lsan [DIVISOR]
 *
 * Prints "lsan_ms" and how long one check took. It must find the one object that is lost.
 */
#include <sanitizer/lsan_interface.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "leaks_heap.h"

static void *volatile lost;

static void lose(void)
{
	lost = malloc(24);
	lost = NULL;
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
	long divisor = argc > 1 ? strtol(argv[1], NULL, 10) : 1;
	double start, end;

	if (divisor < 1)
		return 2;
	lose();
	leaks_build(LEAKS_OBJECTS / divisor);
	start = now_ms();
	if (!__lsan_do_recoverable_leak_check())
		return 1;
	end = now_ms();
	printf("lsan_ms %.3f\n", end - start);
	fflush(stdout);
	_exit(0); /* not once more */
}
