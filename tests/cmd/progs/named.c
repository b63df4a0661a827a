/* SPDX-License-Identifier: MIT */
/*
 * named - goroutines with names and labels, one of them hard to print.
 */
#include "goro.h"

static void wait_for_work(void *queue)
{
	goro_set_label("request", "12");
	goro_chan_recv(queue, NULL); /* WAIT */
}

static void hostile(void *queue)
{
	goro_set_name("]:\n\x1b[31m\"");
	goro_set_label("customer", "<[a]>\xff");
	goro_chan_recv(queue, NULL);
}

int main(void)
{
	goro_chan *queue = goro_chan_make(0, 0);

	goro_set_label("customer", "acme");
	goro_go_with(&(struct goro_options){ .name = "parser" }, wait_for_work, queue);
	goro_go(hostile, queue);
	goro_sleep(1000 * GORO_SECOND);
	return 0;
}
