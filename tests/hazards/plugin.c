/* SPDX-License-Identifier: MIT */
/* plugin.c - a library that uses goroutines, for a program that does not know of it. */
#include "goro.h"

int plugin_sum(int n);

struct part {
	int number;
	goro_chan *out;
};

static void square(void *arg)
{
	struct part *part = arg;
	int x = part->number * part->number;

	goro_yield();
	goro_chan_send(part->out, &x);
}

int plugin_sum(int n)
{
	goro_chan *out = goro_chan_of(int, 0);
	size_t before = goro_count();
	int x, sum = 0;

	for (int i = 1; i <= n; i++) {
		struct part part = { i, out };

		go_copy(square, &part);
	}
	for (int i = 1; i <= n; i++) {
		goro_chan_recv(out, &x);
		sum += x;
	}
	/* Each has left our code, which may go now, when it has ended. */
	while (goro_count() > before)
		goro_yield();
	goro_chan_free(out);
	return sum;
}
