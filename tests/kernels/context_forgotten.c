/* SPDX-License-Identifier: MIT */
/*
 * context_forgotten - a goroutine runs until its context is cancelled, and nobody cancels it.
 *
 * Like grpc/862, cockroach/13755, cockroach/10790.
 *
 * expect: watch, chan receive: unreachable
 */
#include "kernel.h"

static void watch(void *arg)
{
	goro_chan_recv(goro_context_done(arg), NULL);
	goro_context_release(arg);
}

void kernel(void *unused)
{
	goro_context *ctx = goro_context_with_cancel(goro_background());

	(void)unused;
	go(watch, goro_context_retain(ctx));
	if (fixed) {
		goro_context_cancel(ctx);
		goro_context_release(ctx);
	}
}
