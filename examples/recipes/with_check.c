/* SPDX-License-Identifier: MIT */
/*
 * with_check - a test that leaves goroutines behind fails, and is named.
 *
 * A checked fixture around each test marks and asks. Without CK_NOFORK each test would be a fork of
 * the process, in which goroutines cannot run. Here jobs_are_done forgets to stop its worker.
 */
#include <check.h>
#include <stdlib.h>

#include "jobs.h"

static goro_leak_mark *before;

static void mark(void)
{
	before = goro_mark_leaks();
}

static void no_leaks(void)
{
	char *left = goro_leaks_since(before, GORO_SECOND);

	if (left)
		ck_abort_msg("%s", left);
}

START_TEST(worker_stops)
{
	static struct jobs jobs;

	jobs_start(&jobs);
	jobs_stop(&jobs);
}
END_TEST

START_TEST(jobs_are_done)
{
	static struct jobs jobs;

	jobs_start(&jobs);
	jobs_do(&jobs, 1);
}
END_TEST

START_TEST(nothing_happens)
{
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("jobs");
	TCase *tests = tcase_create("jobs");
	SRunner *runner = srunner_create(suite);
	int failed;

	goro_lock_os_thread(); /* Check comes back by longjmp */
	suite_add_tcase(suite, tests);
	tcase_add_checked_fixture(tests, mark, no_leaks);
	tcase_add_test(tests, worker_stops);
	tcase_add_test(tests, jobs_are_done);
	tcase_add_test(tests, nothing_happens);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_VERBOSE);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
