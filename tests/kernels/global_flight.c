/* SPDX-License-Identifier: MIT */
/*
 * global_flight - as flight_never_lands, but all of the program asks by one table, which is a
 * global, and one asks by a ticket. The table has a way to the stack of who went to get it, and
 * nobody can wake anybody by that way.
 *
 * expect: ask, chan receive: unreachable
 * expect: also, sync.WaitGroup.Wait: unreachable 2
 * expect: later, chan receive: unreachable
 * expect: go_for_it, sync.WaitGroup.Wait: unreachable
 */
#include <stdio.h>

#include "kernel.h"

static goro_flight flight;

struct page {
	char key[32];
	goro_chan *reply;
	goro_waitgroup under_way;
};

static int fetch(void *arg, void *result)
{
	struct page *page = arg;

	(void)result;
	goro_waitgroup_done(&page->under_way);
	goro_chan_recv(page->reply, NULL);
	return 0;
}

static void ask(void *arg)
{
	struct page *page = arg;

	goro_flight_do(&flight, page->key, fetch, page, NULL, 0, NULL);
	after();
}

static int unused_fetch(void *arg, void *result)
{
	(void)arg;
	(void)result;
	return 0;
}

static void also(void *arg)
{
	struct page *page = arg;

	goro_flight_do(&flight, page->key, unused_fetch, page, NULL, 0, NULL);
	after();
}

static void later(void *arg)
{
	struct page *page = arg;
	goro_flight_ticket *t = goro_flight_start(&flight, page->key, unused_fetch, page, 0);

	goro_flight_take(t, NULL, NULL);
	goro_flight_drop(t);
}

void kernel(void *unused)
{
	struct page *page = NEW(struct page);

	(void)unused;
	snprintf(page->key, sizeof(page->key), "/pages/%p", (void *)page);
	page->reply = goro_chan_of(int, 0);
	goro_waitgroup_add(&page->under_way, 1);
	go(ask, page);
	goro_waitgroup_wait(&page->under_way);
	go(also, page);
	go(also, page);
	go(later, page);
	if (fixed)
		goro_chan_close(page->reply);
}
