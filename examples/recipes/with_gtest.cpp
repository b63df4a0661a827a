/* SPDX-License-Identifier: MIT */
/*
 * with_gtest - a test that leaves goroutines behind fails, and is named.
 *
 * The listener stands around every test of the program, so that none can be forgotten. Here
 * Jobs.AreDone forgets to stop its worker.
 */
#include <cstdlib>
#include <gtest/gtest.h>

#include "jobs.h"

class NoLeaks : public testing::EmptyTestEventListener
{
	goro_leak_mark *mark = nullptr;

	void OnTestStart(const testing::TestInfo &) override
	{
		mark = goro_mark_leaks();
	}

	void OnTestEnd(const testing::TestInfo &test) override
	{
		char *left = goro_leaks_since(mark, GORO_SECOND);

		if (left)
			ADD_FAILURE_AT(test.file(), test.line()) << left;
		free(left);
	}
};

TEST(Jobs, WorkerStops)
{
	static struct jobs jobs;

	jobs_start(&jobs);
	jobs_stop(&jobs);
}

TEST(Jobs, AreDone)
{
	static struct jobs jobs;

	jobs_start(&jobs);
	jobs_do(&jobs, 1);
}

TEST(Jobs, NothingHappens)
{
}

int main(int argc, char **argv)
{
	goro_lock_os_thread(); // the framework keeps things by thread
	testing::InitGoogleTest(&argc, argv);
	testing::UnitTest::GetInstance()->listeners().Append(new NoLeaks);
	return RUN_ALL_TESTS();
}
