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

#define CHECK(condition)                                                                \
	do {                                                                            \
		if (!(condition)) {                                                     \
			std::fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, \
				     #condition);                                       \
			std::_Exit(1);                                                  \
		}                                                                       \
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

/* ---- exceptions that leave a call of ours ---------------------------------------------------- */

static void throw_it(void *)
{
	throw 42;
}

static void note(void *ran)
{
	*static_cast<bool *>(ran) = true;
}

static int throw_result(void *, void *)
{
	throw 42;
}

static int give_result(void *, void *result)
{
	*static_cast<int *>(result) = 7;
	return 0;
}

template <typename call>
static void must_throw(call c)
{
	try {
		c();
	} catch (int e) {
		CHECK(e == 42);
		return;
	}
	CHECK(false);
}

static void defer_and_throw(void *ran)
{
	goro_defer(note, ran);
	goro_yield();
	throw_it(nullptr);
}

static void recover_it(void *message)
{
	*static_cast<std::string *>(message) = goro_recover();
}

static void panic_and_recover(void *message)
{
	goro_defer(recover_it, message);
	goro_panic("lands where it should");
}

/* What the call has noted goes with it: else the next panic would land where nobody is any more. */
static void leave_calls()
{
	goro_once once = {};
	goro_flight flight = {};
	bool ran = false, again = false;
	std::string message;
	int result = 0;

	must_throw([&] { goro_try(defer_and_throw, &ran); });
	CHECK(ran);
	CHECK(!goro_try(panic_and_recover, &message));
	CHECK(message == "lands where it should");

	must_throw([&] { goro_once_do(&once, throw_it, nullptr); });
	goro_once_do(&once, note, &again); /* as with a panic: that was the once */
	CHECK(!again);

	must_throw([&] {
		goro_flight_do(&flight, "key", throw_result, nullptr, &result, sizeof(result),
			       nullptr);
	});
	CHECK(!goro_flight_do(&flight, "key", give_result, nullptr, &result, sizeof(result),
			      nullptr));
	CHECK(result == 7);
}

static void leave_calls_aside(void *wg)
{
	leave_calls();
	goro_waitgroup_done(static_cast<goro_waitgroup *>(wg));
}

/* Nobody may catch it and go on as if there had been no panic. */
static void leave_a_deferred()
{
	try {
		goro_defer(throw_it, nullptr);
		goro_panic("not forgotten");
	} catch (int) {
		std::_Exit(0);
	}
}

int main(int argc, char **)
{
	const int n = 200;
	goro_waitgroup wg = {};
	goro_chan *turn = goro_chan_make(0, 0);
	goro_chan *numbers = goro_chan_of(int, 1);
	int x = 1, y = 0;
	goro_case cases[] = { goro_recv_case(numbers, &y), goro_send_case(numbers, &x) };

	if (argc > 1)
		leave_a_deferred();
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
	leave_calls();
	goro_waitgroup_add(&wg, 1);
	go(leave_calls_aside, &wg);
	goro_waitgroup_wait(&wg);
	std::puts("caught them all");
	return 0;
}
