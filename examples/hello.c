/* SPDX-License-Identifier: MIT */
/*
 * hello - a goroutine, and nobody who waits for it.
 *
 * go() puts say_hello in a queue and returns. Then main returns, and with main the process ends,
 * whatever else is queued. So this prints "main is done", and "hello" only if another worker was
 * quick enough. There is no join point: hello_join.c adds one.
 */
#include <stdio.h>

#include "goro.h"

static void say_hello(void *arg)
{
	(void)arg;
	puts("hello");
}

int main(void)
{
	go(say_hello, NULL);
	puts("main is done");
	return 0;
}
