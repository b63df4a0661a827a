/* SPDX-License-Identifier: MIT */
/*
 * strange.c - goroutines whose functions, files, names and labels are called what no format likes.
 *
 * names_test.sh writes other bytes over the names here that begin with strange_, of the same
 * length.
 */
#include <goro.h>

#include <stdio.h>

#define KEEP __attribute__((noinline)) static

/* After a call, so that it is none that ends its caller. */
#define use(v) __asm__ volatile("" : : "r"(v))

#line 7 "strange_file_name_of_forty_bytes_in_all.c"
KEEP void strange_function_name_of_forty_bytes_in(goro_chan *c)
{
	goro_chan_recv(c, NULL);
	use(1);
}

KEEP void strange_waiter(void *c)
{
	goro_set_name("\"]<&>\x01\xff\xc2\x9b");
	goro_set_label("k;e\"y", "a=b;\"\\<\x01\xff");
	strange_function_name_of_forty_bytes_in(c);
	use(2);
}

/* Two places that are one where bytes that are no UTF-8 are all the same. */
#line 50
KEEP void strange_spawner_a(void)
{
	go(strange_waiter, goro_chan_of(int, 0));
	use(3);
}

#line 50
KEEP void strange_spawner_b(void)
{
	go(strange_waiter, goro_chan_of(int, 0));
	use(4);
}

int main(void)
{
	strange_spawner_a();
	strange_spawner_b();
	puts("ready");
	fflush(stdout);
	for (;;)
		goro_sleep(GORO_SECOND);
}
