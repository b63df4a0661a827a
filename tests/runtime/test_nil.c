/* SPDX-License-Identifier: MIT */
/*
 * NULL for each pointer of the API that must not be: one line that says to which function it was
 * given, the stack that leads there, and exit status 2. The runtime asks for few of them itself,
 * for that would cost all the calls that are right: the fault tells, in the midst of whatever it
 * is.
 */
#include "check.h"

static void *volatile nil;
static goro_mutex mu;
__attribute__((unused)) static goro_cond cond;
static goro_flight flight;
static goro_waitgroup wg;
static goro_once once;

__attribute__((unused)) static void nothing(void *arg)
{
	(void)arg;
}

__attribute__((unused)) static int task(void *arg)
{
	return arg != NULL;
}

static int answer(void *arg, void *result)
{
	return arg != result;
}

__attribute__((unused)) static void wait_with_lock(goro_cond *c)
{
	goro_mutex_lock(&mu);
	goro_cond_wait(c, &mu);
}

static void send_case(int64_t timeout)
{
	struct goro_case c = goro_send_case(goro_chan_of(int, 0), nil);

	goro_select_timeout(&c, 1, timeout);
}

__attribute__((unused)) static void select_sends(void)
{
	struct goro_case c = goro_send_case(goro_chan_of(int, 1), nil);

	goro_select(&c, 1);
}

/* clang-format off */
#define FAULTS(X)                                                             \
	X(goro_go_copy, goro_go_copy(nothing, nil, 8))                        \
	X(goro_timer_chan, goro_timer_chan(nil))                              \
	X(goro_ticker_chan, goro_ticker_chan(nil))                            \
	X(goro_mutex_lock, goro_mutex_lock(nil))                              \
	X(goro_mutex_try_lock, goro_mutex_try_lock(nil))                      \
	X(goro_mutex_unlock, goro_mutex_unlock(nil))                          \
	X(goro_rwmutex_rlock, goro_rwmutex_rlock(nil))                        \
	X(goro_rwmutex_try_rlock, goro_rwmutex_try_rlock(nil))                \
	X(goro_rwmutex_runlock, goro_rwmutex_runlock(nil))                    \
	X(goro_rwmutex_lock, goro_rwmutex_lock(nil))                          \
	X(goro_rwmutex_try_lock, goro_rwmutex_try_lock(nil))                  \
	X(goro_rwmutex_unlock, goro_rwmutex_unlock(nil))                      \
	X(goro_cond_wait, goro_cond_wait(&cond, nil))                         \
	X(goro_cond_signal, goro_cond_signal(nil))                            \
	X(goro_cond_broadcast, goro_cond_broadcast(nil))                      \
	X(goro_waitgroup_add, goro_waitgroup_add(nil, 1))                     \
	X(goro_waitgroup_done, goro_waitgroup_done(nil))                      \
	X(goro_waitgroup_wait, goro_waitgroup_wait(nil))                      \
	X(goro_waitgroup_go, goro_waitgroup_go(nil, nothing, NULL))           \
	X(goro_once_do, goro_once_do(nil, nothing, NULL))                     \
	X(goro_sema_acquire, goro_sema_acquire(nil, 1))                       \
	X(goro_sema_acquire_context, goro_sema_acquire_context(nil, goro_background(), 1)) \
	X(goro_sema_try_acquire, goro_sema_try_acquire(nil, 1))               \
	X(goro_sema_release, goro_sema_release(nil, 1))                       \
	X(goro_context_after_stop, goro_context_after_stop(nil))              \
	X(goro_group_context, goro_group_context(nil))                        \
	X(goro_group_set_limit, goro_group_set_limit(nil, 1))                 \
	X(goro_group_go, goro_group_go(nil, task, NULL))                      \
	X(goro_group_go_copy, goro_group_go_copy(nil, task, "", 1))           \
	X(goro_group_try_go, goro_group_try_go(nil, task, NULL))              \
	X(goro_group_wait, goro_group_wait(nil))                              \
	X(goro_flight_do, goro_flight_do(nil, "key", answer, NULL, NULL, 0, NULL)) \
	X(goro_flight_start, goro_flight_start(nil, "key", answer, NULL, 0))  \
	X(goro_flight_done, goro_flight_done(nil))                            \
	X(goro_flight_take, goro_flight_take(nil, NULL, NULL))                \
	X(goro_flight_forget, goro_flight_forget(nil, "key"))                 \
	X(goro_pool_get, goro_pool_get(nil))                                  \
	X(goro_pool_put, goro_pool_put(nil, &mu))                             \
	X(goro_pool_clear, goro_pool_clear(nil))                              \
	X(goro_select, goro_select(nil, 1))                                   \
	X(goro_select_default, goro_select_default(nil, 1))                   \
	X(goro_select_timeout, goro_select_timeout(nil, 1, 1))

/* With another stack behind it. */
#define FAULTS_SAID(X)                                                                       \
	X(select_sends, "fatal error: nil pointer dereference in goro_select:", select_sends()) \
	X(cond_of_nobody, "fatal error: nil pointer dereference in goro_cond_wait:",         \
	  wait_with_lock(nil))

/* A sanitizer has a handler for faults, and looks at strings that the kernel is given. */
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
	__has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#undef FAULTS
#define FAULTS(X)
#undef FAULTS_SAID
#define FAULTS_SAID(X)
#else
#define SANITIZED false
#endif

/* Whose words are their own. */
#define SAID(X)                                                                              \
	X(send, "panic: send of NULL on a channel of elements of 4 bytes",                   \
	  goro_chan_send(goro_chan_of(int, 1), nil))                                         \
	X(try_send, "panic: send of NULL on a channel of elements of 4 bytes",               \
	  goro_chan_try_send(goro_chan_of(int, 1), nil))                                     \
	X(select_waits, "fatal error: goro_select: case 0 is to send NULL on a channel of "  \
	  "elements of 4 bytes", send_case(GORO_SECOND))                                     \
	X(once_nothing, "fatal error: once of nil func value", goro_once_do(&once, NULL, NULL)) \
	X(group_nothing, "fatal error: go of nil func value",                                \
	  goro_group_go(goro_group_new(NULL), NULL, NULL))                                   \
	X(waitgroup_nothing, "fatal error: go of nil func value", goro_waitgroup_go(&wg, NULL, NULL)) \
	X(waitgroup_copy, "fatal error: goro_waitgroup_go_copy of NULL",                      \
	  goro_waitgroup_go_copy(&wg, nothing, nil, 8))                                      \
	X(flight_nothing, "panic: singleflight: no function",                                \
	  goro_flight_do(&flight, "key", NULL, NULL, NULL, 0, NULL))                         \
	X(flight_no_key, "panic: singleflight: no key",                                      \
	  goro_flight_start(&flight, nil, answer, NULL, 0))                                  \
	X(local_no_key, "fatal error: goro_local_set: NULL is no key", goro_local_set(nil, &mu)) \
	X(timer_stop, "panic: time: Stop called on uninitialized Timer", goro_timer_stop(nil)) \
	X(ticker_stop, "panic: time: Stop called on uninitialized Ticker", goro_ticker_stop(nil)) \
	X(dial, "panic: nil context", goro_dial_tcp_context(nil, "localhost", 1))            \
	X(cancel, "panic: context: cancel of a context that was not made to be canceled",    \
	  goro_context_cancel(nil))
/* clang-format on */

#define FAULT(name, call)             \
	static void with_##name(void) \
	{                             \
		call;                 \
	}
#define SAY(name, words, call)        \
	static void with_##name(void) \
	{                             \
		call;                 \
	}
FAULTS(FAULT)
FAULTS_SAID(SAY)
SAID(SAY)

/* Nothing is wrong with these. */
static void allowed(void)
{
	char c = 0;
	int fd = goro_open("/dev/zero", 0, 0);

	goro_chan_send(goro_chan_make(0, 1), nil);
	send_case(0); /* it was never sent */
	goro_chan_free(nil);
	goro_timer_free(nil);
	goro_ticker_free(nil);
	goro_group_free(nil);
	goro_flight_drop(nil);
	goro_context_release(goro_context_retain(nil));
	goro_pool_put(&(goro_pool){ .arg = &c }, nil);
	check_eq(goro_set_label(nil, "value"), -EINVAL);
	check_eq(goro_set_label("key", "value"), 0);
	check_eq(goro_label("key", nil, 3), 5);
	check_eq(goro_label(nil, &c, 1), -ENOENT);
	check(SANITIZED || goro_open(nil, 0, 0) == -EFAULT);
	check(SANITIZED || goro_read(fd, nil, 10) == -EFAULT);
	check_eq(goro_close(fd), 0);
}

#define DIES .status = 2, .workers = "1 2"
#define FAULT_ROW(name, call)                                                                   \
	{ #name, with_##name,                                                                   \
	  .says = { "^fatal error: nil pointer dereference in " #name ": it was called with "   \
		    "NULL, or with what is no such object any more$",                           \
		    "^\\[signal SIGSEGV: segmentation violation code=0x1 addr=0x[0-9a-f]+ pc=", \
		    "^goroutine 1 \\[running\\]:$", "^with_" #name "\\(" },                     \
	  DIES },
#define SAID_ROW(name, words, call) \
	{ #name, with_##name, .says = { "^" words, "^with_" #name "\\(" }, DIES },

int main(int argc, char **argv)
{
	static const struct check_case cases[] = { { .name = "allowed", .run = allowed },
						   SAID(SAID_ROW) FAULTS_SAID(SAID_ROW)
							   FAULTS(FAULT_ROW) };

	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
