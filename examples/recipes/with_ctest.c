/* SPDX-License-Identifier: MIT */
/*
 * with_ctest - a test that leaves goroutines behind fails, and is named: without any framework.
 *
 * Two ways. Run each case by itself under `goro check`, which needs nothing in the program and says
 * where each goroutine stands:
 *
 *	find_program(GORO goro REQUIRED)
 *	add_test(NAME jobs_are_done
 *		COMMAND ${GORO} check -- $<TARGET_FILE:with_ctest> jobs_are_done)
 *
 * Or, where goro is not installed, ask in the program: goro_assert_no_leaks() panics. With "ask" in
 * front of the case's name this one does. Here jobs_are_done forgets to stop its worker.
 */
#include <stdio.h>
#include <string.h>

#include "jobs.h"

static void worker_stops(void)
{
	static struct jobs jobs;

	jobs_start(&jobs);
	jobs_stop(&jobs);
}

static void jobs_are_done(void)
{
	static struct jobs jobs;

	jobs_start(&jobs);
	jobs_do(&jobs, 1);
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{ "worker_stops", worker_stops },
	{ "jobs_are_done", jobs_are_done },
};

int main(int argc, char **argv)
{
	bool ask = argc > 2 && !strcmp(argv[1], "ask");
	goro_leak_mark *mark = ask ? goro_mark_leaks() : NULL;

	for (size_t i = 0; argc > 1 && i < sizeof cases / sizeof *cases; i++) {
		if (strcmp(cases[i].name, argv[argc - 1]) != 0)
			continue;
		cases[i].run();
		if (ask)
			goro_assert_no_leaks(mark, GORO_SECOND);
		return 0;
	}
	fprintf(stderr, "usage: with_ctest [ask] CASE\n");
	return 2;
}
