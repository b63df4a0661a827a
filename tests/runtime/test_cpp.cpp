/* SPDX-License-Identifier: MIT */
/*
 * goro.h from C++: exceptions in goroutines. The standard library keeps the exceptions that are
 * being handled in a list per thread; a goroutine that blocks in a catch block and goes on on
 * another thread must find its own there.
 */
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "goro.h"

/* libunwind sets itself up at the first throw, under a lock that readers do not take. */
extern "C" const char *__tsan_default_suppressions();
const char *__tsan_default_suppressions()
{
	return "called_from_lib:libunwind.so.8";
}

#define CHECK(condition)                                                                   \
	do {                                                                               \
		if (!(condition)) {                                                        \
			std::fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__,    \
				     #condition);                                          \
			std::_Exit(1);                                                     \
		}                                                                          \
	} while (0)

struct job {
	int number;
	goro_chan *turn;
	goro_waitgroup *wg;
};

static std::atomic<int> destroyed;

struct noisy {
	~noisy()
	{
		destroyed++;
	}
};

static void throw_number(int number, int depth)
{
	noisy n;

	if (depth == 0)
		throw std::runtime_error(std::to_string(number));
	throw_number(number, depth - 1);
}

static void handle(const job &j)
{
	try {
		throw_number(j.number, 3);
	} catch (const std::exception &outer) {
		goro_yield(); /* others are in their catch blocks meanwhile */
		CHECK(std::uncaught_exceptions() == 0);
		try {
			throw_number(-j.number, 0);
		} catch (const std::exception &inner) {
			goro_chan_send(j.turn, nullptr);
			CHECK(inner.what() == std::to_string(-j.number));
		}
		goro_sleep(GORO_MILLISECOND);
		CHECK(outer.what() == std::to_string(j.number));
		try {
			throw; /* the one being handled: ours, not the thread's */
		} catch (const std::runtime_error &again) {
			CHECK(again.what() == std::to_string(j.number));
		}
	}
}

static void work(void *arg)
{
	const job &j = *static_cast<job *>(arg);

	for (int i = 0; i < 5; i++)
		handle(j);
	goro_waitgroup_done(j.wg);
}

static void take_turns(void *arg)
{
	while (goro_chan_recv(static_cast<goro_chan *>(arg), nullptr))
		;
}

/* What C++ destroys at a thread's end comes before the end of its goroutine, and may call. */
struct farewell {
	goro_chan *to = nullptr;

	~farewell()
	{
		if (to)
			goro_chan_send(to, nullptr);
	}
};

static thread_local farewell bye;

static void threads_call()
{
	goro_chan *c = goro_chan_make(0, 0);
	std::vector<std::thread> threads;

	for (int i = 0; i < 8; i++)
		threads.emplace_back([c, i] {
			bye.to = c;
			for (int k = 0; k < 100; k++) {
				try {
					if (k % 7 == i % 7)
						throw std::runtime_error("now and then");
					goro_chan_send(c, nullptr);
				} catch (const std::runtime_error &) {
					goro_chan_send(c, nullptr);
				}
			}
		});
	for (int i = 0; i < 8 * 101; i++)
		CHECK(goro_chan_recv(c, nullptr));
	for (auto &thread : threads)
		thread.join();
	goro_chan_free(c);
}

int main()
{
	const int n = 200;
	goro_waitgroup wg = {};
	goro_chan *turn = goro_chan_make(0, 0);
	goro_chan *numbers = goro_chan_of(int, 1);
	int x = 1, y = 0;
	goro_case cases[] = { goro_recv_case(numbers, &y), goro_send_case(numbers, &x) };

	goro_waitgroup_add(&wg, n);
	for (int i = 0; i < n; i++) {
		job j = { i, turn, &wg };
		go_copy(work, &j);
	}
	go(take_turns, turn);
	goro_waitgroup_wait(&wg);
	goro_chan_close(turn);
	CHECK(destroyed == n * 5 * 5);

	CHECK(goro_select(cases, 2) == 1);
	CHECK(goro_select(cases, 2) == 0 && y == 1);
	threads_call();
	std::puts("caught them all");
	return 0;
}
