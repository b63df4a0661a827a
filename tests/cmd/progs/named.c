/* SPDX-License-Identifier: MIT */
/*
 * named - goroutines with names and labels, one of them hard to print.
 */
#include "goro.h"

static goro_chan *queue; /* not of main: that only sleeps, and uses nothing any more */

static void wait_for_work(void *unused)
{
	(void)unused;
	goro_set_label("request", "12");
	goro_chan_recv(queue, NULL); /* WAIT */
}

static void hostile(void *unused)
{
	(void)unused;
	goro_set_name("]:\n\x1b[31m\"");
	goro_set_label("customer", "<[a]>\xff");
	goro_chan_recv(queue, NULL);
}

int main(void)
{
	queue = goro_chan_make(0, 0);
	goro_set_label("customer", "acme");
	goro_go_with(&(struct goro_options){ .name = "parser" }, wait_for_work, NULL);
	goro_go(hostile, NULL);
	goro_sleep(1000 * GORO_SECOND);
	return 0;
}
