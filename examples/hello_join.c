/* SPDX-License-Identifier: MIT */
/*
 * hello_join - the same with a join point: main waits until the goroutine says that it is done.
 *
 * The channel carries no data (its elements have size 0), only the event. Closing it is enough.
 */
#include <stdio.h>

#include "goro.h"

static void say_hello(void *arg)
{
	goro_chan *done = arg;

	puts("hello");
	goro_chan_close(done);
}

int main(void)
{
	goro_chan *done = goro_chan_make(0, 0);

	go(say_hello, done);
	goro_chan_recv(done, NULL); /* the join point: "hello" is always first */
	puts("main is done");
	return 0;
}
