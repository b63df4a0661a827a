/* SPDX-License-Identifier: MIT */
/*
 * lambdas.cc - what has no name for the linker and is inlined, so that no symbol names it either:
 * lambdas, one in the other, and a member of a class that is in a function. Each function does
 * something else, or gcc makes one of those that are alike.
 *
 * stack 1 chan receive
 *	plain::{lambda}::operator() @plain
 *	plain @call_plain
 * stack 1 chan receive
 *	net::server::run::{lambda}::operator()::{lambda}::operator() @inner
 *	net::server::run::{lambda}::operator() @outer
 *	net::server::run @run
 *	member @member
 * stack 1 chan receive
 *	of_class::local::receive @local
 *	of_class @call_local
 * stack 1 chan receive
 *	net::in_namespace @in_namespace
 *	from_namespace @from_namespace
 * stack 1 sleep
 *	main @main
 */
#include "target.h"

#define INLINED __attribute__((always_inline))

namespace net
{

struct server {
	goro_chan *c;
	int run();
};

NOINLINE int server::run()
{
	int v = 0;
	auto outer = [&]() INLINED {
		auto inner = [&]() INLINED {
			goro_chan_recv(c, nullptr); /* @inner */
			v++;
		};

		inner(); /* @outer */
		v++;
	};

	outer(); /* @run */
	return v;
}

static INLINE void in_namespace(goro_chan *c)
{
	goro_chan_recv(c, nullptr); /* @in_namespace */
	used(1);
}

} // namespace net

static void plain(void *arg)
{
	auto receive = [arg]() INLINED {
		goro_chan_recv(static_cast<goro_chan *>(arg), nullptr); /* @plain */
		used(2);
	};

	receive(); /* @call_plain */
	used(3);
}

static void member(void *arg)
{
	net::server s = { static_cast<goro_chan *>(arg) };

	used(s.run()); /* @member */
}

static void of_class(void *arg)
{
	struct local {
		goro_chan *c;

		INLINE void receive()
		{
			goro_chan_recv(c, nullptr); /* @local */
			used(4);
		}
	} l = { static_cast<goro_chan *>(arg) };

	l.receive(); /* @call_local */
	used(5);
}

static void from_namespace(void *arg)
{
	net::in_namespace(static_cast<goro_chan *>(arg)); /* @from_namespace */
	used(6);
}

int main()
{
	static goro_chan *never;

	never = goro_chan_make(0, 0);
	go(plain, never);
	go(member, never);
	go(of_class, never);
	go(from_namespace, never);
	goro_sleep(3600 * GORO_SECOND); /* @main */
	return 0;
}
