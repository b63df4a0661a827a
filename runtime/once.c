/* SPDX-License-Identifier: MIT */
/*
 * once.c - do it the first time, and let all others wait until it is done.
 */
#include "sync.h"

static void once_ended(void *arg)
{
	goro_once *once = arg;

	__atomic_store_n(&once->done_, 1, __ATOMIC_RELEASE);
	goro_mutex_unlock(&once->mu_);
}

void goro_once_do(goro_once *once, goro_fn *fn, void *arg)
{
	struct goro_deferred end;

	/* Acquire: what fn wrote is seen by those who did not wait for it. */
	if (__atomic_load_n(&once->done_, __ATOMIC_ACQUIRE))
		return;
	if (!fn)
		goro_throw("once of nil func value");
	leave(goro_mutex_lock_for(enter(), &once->mu_, GORO_REASON_ONCE));
	if (once->done_) {
		goro_mutex_unlock(&once->mu_);
		return;
	}
	/* If it panics, exits or throws it has run, too. */
	goro_deferred_begin_(&end, once_ended, once);
	goro_call_once(fn, arg);
	goro_deferred_end_(&end);
}

int goro_left_once(int version, int action, uint64_t language, void *exception, void *context)
{
	(void)version, (void)language, (void)exception, (void)context;
	return goro_left(action, once_ended);
}
