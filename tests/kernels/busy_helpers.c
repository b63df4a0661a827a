/* SPDX-License-Identifier: MIT */
/*
 * busy_helpers - a goroutine whose helpers keep all threads busy, so that it is the one to start
 * more of them, then waits for an answer that nobody sends.
 *
 * What a new thread has in its registers from the one that started it, glibc keeps in the thread's
 * first frame for as long as it lives: no address of the goroutine's stack may be among that.
 *
 * expect: ask, chan receive: unreachable
 */
#include <stdatomic.h>

#include "kernel.h"

enum { ROUNDS = 2000 };

struct work {
	goro_chan *answer;
	goro_waitgroup done;
};

static void helper(void *arg)
{
	goro_waitgroup_done(arg);
}

static void use_helpers(struct work *w)
{
	for (int i = 0; i < ROUNDS; i++) {
		goro_waitgroup_add(&w->done, 1);
		go(helper, &w->done);
		for (volatile int turns = 0; turns < i % 512 * 32; turns++)
			;
		goro_waitgroup_wait(&w->done);
	}
}

/* Deep enough that its frame lies where use_helpers() called the runtime. */
static __attribute__((noinline)) void receive(struct work *w)
{
	volatile char deep[16 * 1024];

	deep[0] = deep[sizeof(deep) - 1] = 0;
	goro_chan_recv(w->answer, NULL);
	deep[1] = deep[0];
}

static void ask(void *arg)
{
	struct work *w = NEW(struct work);

	(void)arg;
	w->answer = goro_chan_of(int, 1);
	if (fixed)
		goro_chan_send(w->answer, &(int){ 1 });
	use_helpers(w);
	receive(w);
	after();
}

void kernel(void *unused)
{
	(void)unused;
	go(ask, NULL);
}
