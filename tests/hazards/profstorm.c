/* SPDX-License-Identifier: MIT */
/*
 * A profiler's signal at 10 kHz during a storm of switches: each time the whole stack is unwound in
 * the handler, wherever it strikes, and must end where that stack begins: in goro_entry, or for
 * main and for threads in the C library's first function.
 */
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "goro_introspect.h"
#include "stress.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { SAMPLES = 4000, PAIRS = 20, ENDS = 16 };

extern struct goro_introspect goro_introspect;
/* Hidden in the shared library, but not from a program that is linked with the static one. */
extern char goro_context_switch[], goro_entry[];

static atomic_int samples, broken, in_switch, too_deep;
static _Atomic unw_word_t ends[ENDS]; /* where stacks ended that are not goroutines' */
static atomic_bool stop;

static void note_end(unw_word_t pc)
{
	for (int i = 0; i < ENDS; i++) {
		unw_word_t none = 0;

		if (atomic_compare_exchange_strong(&ends[i], &none, pc) || none == pc)
			return;
	}
	atomic_fetch_add(&broken, 1);
}

static void sample(int sig, siginfo_t *info, void *ucontext)
{
	unw_cursor_t cursor;
	unw_word_t pc = 0;
	int step, depth = 0;

	(void)sig, (void)info;
	if (unw_init_local2(&cursor, ucontext, UNW_INIT_SIGNAL_FRAME)) {
		atomic_fetch_add(&broken, 1);
		return;
	}
	do {
		unw_get_reg(&cursor, UNW_REG_IP, &pc);
		if (!depth && pc >= (uintptr_t)goro_context_switch && pc < (uintptr_t)goro_entry)
			atomic_fetch_add(&in_switch, 1);
		if (pc >= goro_introspect.entry_lo && pc <= goro_introspect.entry_hi)
			break;
		step = unw_step(&cursor);
	} while (step > 0 && ++depth < 100);
	if (depth >= 100)
		atomic_fetch_add(&too_deep, 1);
	else if (pc < goro_introspect.entry_lo || pc > goro_introspect.entry_hi)
		note_end(pc);
	atomic_fetch_add(&samples, 1);
}

/* Where the stack of who calls ends. (The C library's function for threads has no name: clone3.) */
static void *find_end(void *ret)
{
	unw_cursor_t cursor;
	unw_context_t context;

	unw_getcontext(&context);
	must(!unw_init_local(&cursor, &context));
	do
		unw_get_reg(&cursor, UNW_REG_IP, ret);
	while (unw_step(&cursor) > 0);
	return ret;
}

/* One timer for the thread that calls, by the processor time that it uses. */
static void start_timer(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF };
	struct itimerspec every = { { 0, 100000 }, { 0, 100000 } };
	timer_t timer;

	event.sigev_notify_thread_id = gettid();
	must(!timer_create(CLOCK_MONOTONIC, &event, &timer));
	must(!timer_settime(timer, 0, &every, NULL));
}

static void ping(void *arg)
{
	goro_chan *c = arg;
	char token = 0;

	while (!atomic_load(&stop)) {
		goro_yield();
		goro_chan_send(c, &token);
	}
	goro_chan_close(c);
}

static void pong(void *arg)
{
	char token;

	while (goro_chan_recv(arg, &token))
		goro_yield();
}

int main(void)
{
	struct sigaction sa = { .sa_sigaction = sample,
				.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };
	int64_t end = goro_now() + 60 * GORO_SECOND;
	unw_word_t end_of_main, end_of_thread;
	pthread_t thread;

	find_end(&end_of_main);
	must(!pthread_create(&thread, NULL, find_end, &end_of_thread));
	must(!pthread_join(thread, NULL));
	must(!sigaction(SIGPROF, &sa, NULL));
	start_timer();
	for (int i = 0; i < PAIRS; i++) {
		goro_chan *c = goro_chan_make(1, 0);

		go(ping, c);
		go(pong, c);
	}
	/* On a busy machine the storm may move to another thread: then
	 * that one gets a timer, too. */
	for (int wanted = SAMPLES; goro_now() < end; wanted += SAMPLES) {
		while (atomic_load(&samples) < wanted && goro_now() < end)
			goro_yield();
		if (atomic_load(&in_switch))
			break;
		start_timer();
	}
	atomic_store(&stop, true);

	for (int i = 0; i < ENDS && ends[i]; i++) {
		fprintf(stderr, "a stack ended at %#lx\n", (unsigned long)ends[i]);
		must(ends[i] == end_of_main || ends[i] == end_of_thread);
	}
	fprintf(stderr, "%d samples, %d of them in the switch\n", samples, in_switch);
	must(samples >= SAMPLES && !broken && !too_deep);
	must(in_switch > 0);
	return 0;
}
