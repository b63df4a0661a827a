// SPDX-License-Identifier: MIT
/*
 * Exceptions that are still on their way when their goroutine is switched away from: destructors
 * that run because of one, and block. The standard library counts such exceptions per thread.
 */
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <unistd.h>

#include "goro.h"

#define CHECK(condition)                                                                \
	do {                                                                            \
		if (!(condition)) {                                                     \
			std::fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, \
				     #condition);                                       \
			std::_Exit(1);                                                  \
		}                                                                       \
	} while (0)

static std::atomic<int> moved, unwound;
static goro_waitgroup wg;

/* Blocks while it is destroyed, and throws and catches another one meanwhile. */
struct blocker {
	int number;

	~blocker()
	{
		pid_t before = gettid();

		CHECK(std::uncaught_exceptions() == 1);
		for (int i = 0; i < 3; i++) {
			goro_yield();
			CHECK(std::uncaught_exceptions() == 1);
			try {
				throw number;
			} catch (int caught) {
				goro_yield();
				CHECK(caught == number);
				CHECK(std::uncaught_exceptions() == 1);
			}
		}
		goro_sleep(GORO_MILLISECOND);
		CHECK(std::uncaught_exceptions() == 1);
		moved += gettid() != before;
		unwound++;
	}
};

static void work(void *arg)
{
	int number = *static_cast<int *>(arg);

	CHECK(std::uncaught_exceptions() == 0);
	for (int i = 0; i < 3; i++) {
		try {
			try {
				blocker b{ number };
				throw std::runtime_error(std::to_string(number));
			} catch (const std::exception &e) {
				goro_yield();
				CHECK(e.what() == std::to_string(number));
				throw; /* from one frame to the next, after a switch */
			}
		} catch (const std::runtime_error &e) {
			goro_yield();
			CHECK(e.what() == std::to_string(number));
			CHECK(std::uncaught_exceptions() == 0);
			CHECK(std::current_exception() != nullptr);
		}
		CHECK(std::current_exception() == nullptr);
	}
	goro_waitgroup_done(&wg);
}

int main()
{
	const int n = 500;
	int64_t end = goro_now() + 60 * GORO_SECOND;
	int waves = 0;

	/* On a busy machine one worker may be done before the next one gets a core. */
	do {
		goro_waitgroup_add(&wg, n);
		for (int i = 0; i < n; i++)
			go_copy(work, &i);
		goro_waitgroup_wait(&wg);
		waves++;
	} while (goro_maxprocs() > 1 && !moved && goro_now() < end);
	CHECK(unwound == 3 * n * waves);
	CHECK(goro_maxprocs() == 1 || moved > 0);
	std::printf("%d unwound, %d on another thread\n", unwound.load(), moved.load());
	return 0;
}
