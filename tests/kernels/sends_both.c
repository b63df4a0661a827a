/* SPDX-License-Identifier: MIT */
/*
 * sends_both - two peers, each of whom selects between sending to the one or the other side of the
 * pair, and neither receives.
 *
 * Like cockroach/2448, istio/16224.
 *
 * expect: peer, select: unreachable 2
 */
#include "kernel.h"

struct pair {
	goro_chan *left, *right;
};

static void peer(void *arg)
{
	struct pair *p = arg;
	int hello = 1;
	struct goro_case cases[] = {
		goro_send_case(p->left, &hello),
		goro_send_case(p->right, &hello),
	};

	goro_select(cases, 2);
	after();
}

static void polite_peer(void *arg)
{
	struct pair *p = arg;

	goro_chan_recv(p->left, NULL);
}

void kernel(void *unused)
{
	struct pair *p = NEW(struct pair);

	(void)unused;
	p->left = goro_chan_of(int, 0);
	p->right = goro_chan_of(int, 0);
	go(peer, p);
	go(fixed ? polite_peer : peer, p);
}
