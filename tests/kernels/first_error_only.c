/* SPDX-License-Identifier: MIT */
/*
 * first_error_only - every worker sends its error, and one of them is read.
 *
 * Like cockroach/24808, cockroach/35073, grpc/660.
 *
 * expect: worker, chan send: unreachable 3
 */
#include "kernel.h"

static void worker(void *arg)
{
	goro_chan_send(arg, &(int){ -1 });
	after();
}

void kernel(void *unused)
{
	goro_chan *errors = goro_chan_of(int, fixed ? 4 : 0);

	(void)unused;
	for (int i = 0; i < 4; i++)
		go(worker, errors);
	goro_chan_recv(errors, NULL);
}
