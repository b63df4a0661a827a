/* SPDX-License-Identifier: MIT */
/*
 * with_cmocka - a test that leaves goroutines behind fails, and is named.
 *
 * Take mark() and no_leaks() as setup and teardown of each test, or of those that start
 * goroutines. Here jobs_are_done() forgets to stop its worker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "jobs.h"

static int mark(void **state)
{
	*state = goro_mark_leaks();
	return 0;
}

static int no_leaks(void **state)
{
	char *left = goro_leaks_since(*state, GORO_SECOND);

	if (left)
		print_error("%s\n", left);
	free(left);
	return left ? -1 : 0;
}

static void worker_stops(void **state)
{
	static struct jobs jobs;

	(void)state;
	jobs_start(&jobs);
	jobs_stop(&jobs);
}

static void jobs_are_done(void **state)
{
	static struct jobs jobs;

	(void)state;
	jobs_start(&jobs);
	jobs_do(&jobs, 1);
}

static void nothing_happens(void **state)
{
	(void)state;
}

#define test(f) cmocka_unit_test_setup_teardown(f, mark, no_leaks)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(worker_stops),
		test(jobs_are_done),
		test(nothing_happens),
	};

	goro_lock_os_thread(); /* cmocka keeps things by thread */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
