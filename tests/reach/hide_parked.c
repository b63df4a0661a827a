/* SPDX-License-Identifier: MIT */
/*
 * hide_parked.c - with goroutines that are parked, and will go on by themselves.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hide.h"

/* What a goroutine is started with stays known: so this is where it finds its pointer. */
static void sleeps(void *arg)
{
	void *volatile chan = *(void **)arg;

	*(void **)arg = NULL;
	for (;;) {
		goro_sleep(GORO_SECOND);
		forget();
		if (!chan)
			break;
	}
}

static void in_sleeper(void)
{
	static void *slots[NCHANS];

	for (int i = 0; i < NCHANS; i++) {
		slots[i] = new_chan();
		go(sleeps, &slots[i]);
	}
}

/* A function that sleeps and returns uses nothing of its own; but registers of its caller. */
static __attribute__((noinline)) int naps(void)
{
	goro_sleep(100000 * GORO_SECOND);
	return 1;
}

static void closes_after_nap(void *arg)
{
	void *chan = *(void **)arg;

	*(void **)arg = NULL;
	if (naps())
		goro_chan_close(chan);
}

static void in_returner(void)
{
	static void *slots[NCHANS];

	for (int i = 0; i < NCHANS; i++) {
		slots[i] = new_chan();
		go(closes_after_nap, &slots[i]);
	}
}

/* It sleeps, and sleeps, and some day it does not. */
static void counts(void *arg)
{
	void *volatile chan = *(void **)arg;

	*(void **)arg = NULL;
	for (uint64_t n = 0;;) {
		goro_sleep(GORO_MILLISECOND);
		if (++n == UINT64_C(1) << 62)
			goro_chan_close(chan);
	}
}

static void in_counter(void)
{
	static void *slots[NCHANS];

	for (int i = 0; i < NCHANS; i++) {
		slots[i] = new_chan();
		go(counts, &slots[i]);
	}
}

/* One that will only sleep has no use for its variable any more; but another one has. */
struct loan {
	void *chan;
	void *volatile *variable; /* of the one who sleeps */
};

static void lends(void *arg)
{
	struct loan *loan = arg;
	void *volatile chan = loan->chan;

	loan->chan = NULL;
	loan->variable = &chan;
	for (;;)
		goro_sleep(GORO_SECOND);
}

static void borrows(void *arg)
{
	void *volatile *volatile variable = *(void *volatile **)arg;

	*(void **)arg = NULL;
	goro_sleep(100000 * GORO_SECOND);
	goro_chan_close(*variable);
}

static void in_lender(void)
{
	static struct loan loans[NCHANS];

	for (volatile int i = 0; i < NCHANS; i++) {
		loans[i].chan = new_chan();
		go(lends, &loans[i]);
	}
	for (int i = 0; i < NCHANS; i++) {
		while (!__atomic_load_n(&loans[i].variable, __ATOMIC_ACQUIRE))
			goro_sleep(GORO_MILLISECOND);
		go(borrows, &loans[i].variable);
	}
}

struct on_cold_stack {
	void *chan;
	volatile void *where; /* it lies, on a stack */
};

static void parks_for_long(void *arg)
{
	struct on_cold_stack *mine = arg;
	void *volatile chan = mine->chan;

	mine->chan = NULL;
	mine->where = &chan;
	goro_sleep(100000 * GORO_SECOND);
	forget();
	if (!chan)
		abort();
}

/* Until the stacks that hold the pointers are away; else there would be nothing to find out. */
static void in_cold(void)
{
	static struct on_cold_stack all[NCHANS];

	if (!goro_introspect.cold_arenas) {
		printf("skip: no stack gets cold here\n");
		exit(0);
	}
	for (volatile int i = 0; i < NCHANS; i++) { /* unrolled it would be eight sites */
		all[i].chan = new_chan();
		go(parks_for_long, &all[i]);
	}
	for (int i = 0; i < NCHANS; i++) {
		while (!all[i].where)
			goro_sleep(GORO_MILLISECOND);
		wait_until_cold((uintptr_t)all[i].where);
	}
}

/*
 * On the stack of the one who waits for nobody: it needs no pointer to what lies in its own frame.
 * What it gave to the others they forget as soon as they wait.
 */
struct in_frame {
	goro_waitgroup group;
	goro_mutex mutex;
	goro_rwmutex rwmutex;
	goro_sema sema;
	goro_waitgroup parked;
};

static void waits_for_group(void *arg)
{
	struct in_frame *f = arg;

	goro_waitgroup_done(&f->parked);
	goro_waitgroup_wait(&f->group);
}

static void waits_for_mutex(void *arg)
{
	struct in_frame *f = arg;

	goro_waitgroup_done(&f->parked);
	goro_mutex_lock(&f->mutex);
}

static void waits_for_rwmutex(void *arg)
{
	struct in_frame *f = arg;

	goro_waitgroup_done(&f->parked);
	goro_rwmutex_rlock(&f->rwmutex);
}

static void waits_for_sema(void *arg)
{
	struct in_frame *f = arg;

	goro_waitgroup_done(&f->parked);
	goro_sema_acquire(&f->sema, 1);
}

static void has_frame(void *arg)
{
	static void (*const waiters[])(void *) = { waits_for_group, waits_for_mutex,
						   waits_for_rwmutex, waits_for_sema };
	struct in_frame f = { .sema = GORO_SEMA(1) };

	goro_waitgroup_add(&f.group, 1);
	goro_mutex_lock(&f.mutex);
	goro_rwmutex_lock(&f.rwmutex);
	goro_sema_acquire(&f.sema, 1);
	goro_waitgroup_add(&f.parked, 4);
	for (int i = 0; i < 4; i++)
		go(waiters[i], &f);
	goro_waitgroup_wait(&f.parked);
	goro_waitgroup_done(arg);
	while (goro_now()) {
		goro_sleep(GORO_SECOND);
		forget();
	}
	goro_waitgroup_done(&f.group);
	goro_mutex_unlock(&f.mutex);
	goro_rwmutex_unlock(&f.rwmutex);
	goro_sema_release(&f.sema, 1);
}

static void in_frame(void)
{
	static goro_waitgroup there;

	goro_waitgroup_add(&there, 1);
	go(has_frame, &there);
	goro_waitgroup_wait(&there);
}

static void later(void *arg)
{
	goro_chan_close(arg);
}

/* Ours, and those of goroutines that were started last. */
static void dontdump_stacks(void)
{
	madvise((void *)((uintptr_t)__builtin_frame_address(0) & ~((1ul << 20) - 1)), 1 << 20,
		MADV_DONTDUMP);
}

static void in_nodump_stack(void)
{
	in_sleeper();
	dontdump_stacks();
}

static void in_timer(void)
{
	/* The program forgets them, but they will fire. */
	for (int i = 0; i < NCHANS; i++)
		(void)goro_after_func(3600 * GORO_SECOND, later, new_chan());
}

static goro_local local;

static void has_local(void *arg)
{
	void **box = calloc(4, sizeof(*box));

	box[2] = *(void **)arg;
	*(void **)arg = NULL;
	goro_local_set(&local, box);
	box = NULL;
	forget();
	for (;;)
		goro_sleep(GORO_SECOND);
}

static void in_local(void)
{
	global = new_chan();
	go(has_local, &global);
}

static void call_blocks(void *arg)
{
	void *volatile chan = *(void **)arg;

	*(void **)arg = NULL;
	for (;;) {
		pause();
		if (!chan)
			break;
	}
}

static void blocks(void *arg)
{
	goro_blocking(call_blocks, arg);
}

static void in_blocking_call(void)
{
	global = new_chan();
	go(blocks, &global);
}

/* A chain of goroutines each of which holds what the one before waits for. */
struct link {
	goro_chan *mine, *next;
};

static void link_waits(void *arg)
{
	struct link *l = arg;

	goro_chan_recv(l->mine, NULL);
	goro_chan_close(l->next);
}

static void in_chain(void)
{
	goro_chan *next = new_chan();

	for (int i = 0; i < 1000; i++) {
		struct link *l = malloc(sizeof(*l));

		l->mine = goro_chan_of(int, 0);
		l->next = next;
		next = l->mine;
		go(link_waits, l);
	}
	global = next;
}

const struct place places_of_parked[] = {
	{ "sleeper", in_sleeper },
	{ "returner", in_returner },
	{ "counter", in_counter },
	{ "lender", in_lender },
	{ "timer", in_timer },
	{ "local", in_local },
	{ "blocking_call", in_blocking_call },
	{ "chain", in_chain },
	{ "nodump_stack", in_nodump_stack },
	{ "cold", in_cold },
	{ "frame", in_frame },
	{ NULL, NULL },
};
