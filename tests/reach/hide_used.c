/* SPDX-License-Identifier: MIT */
/*
 * hide_used.c - by words that point beside an array, which only the code that uses them leads into.
 *
 * So it is with gcc's loops over arrays of structs that wait for two fields of each; here compilers
 * are made to do it. The word lies behind the array's end, in the next object, or before its begin.
 */
#include <alloca.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "hide_used.h"

enum { WORDS = 149 }; /* whole granules of the heap: what lies behind it is the next object */

static void *before_it, *behind_it;
static volatile bool never;

/* An array with the channel in its last word or its first, and objects of its size beside it. */
static void **new_array(bool last)
{
	void **array;

	do {
		before_it = calloc(WORDS, 8);
		array = calloc(WORDS, 8);
		behind_it = calloc(WORDS, 8);
	} while ((uintptr_t)behind_it - (uintptr_t)array != (WORDS + 1) * 8 ||
		 (uintptr_t)array - (uintptr_t)before_it != (WORDS + 1) * 8);
	array[last ? WORDS - 1 : 0] = new_chan();
	return array + (last ? WORDS - 1 : 0);
}

static void behind(void *arg)
{
	TAKE(24);
	goro_sleep(100000 * GORO_SECOND);
	CLOSE(24);
}

static void far_behind(void *arg)
{
	TAKE(200);
	goro_sleep(100000 * GORO_SECOND);
	CLOSE(200);
}

static void before(void *arg)
{
	TAKE(-32);
	goro_sleep(100000 * GORO_SECOND);
	CLOSE(-32);
}

/* In two steps, and through another register. */
static void in_steps(void *arg)
{
	char *q;
	TAKE(48);
	goro_sleep(100000 * GORO_SECOND);
	q = p - 16;
	HIDE(q);
	if (never)
		q += 8;
	goro_chan_close(*(goro_chan **)(q - 32));
}

static __attribute__((noinline)) void sleeps_with_all(void)
{
	take_registers();
	goro_sleep(100000 * GORO_SECOND);
	take_registers();
}

/* Its register was saved by who has others in it. */
static void saved(void *arg)
{
	TAKE(24);
	sleeps_with_all();
	CLOSE(24);
}

/* It has no register left for that. */
static void spilled(void *arg)
{
	TAKE(24);
	take_registers();
	goro_sleep(100000 * GORO_SECOND);
	take_registers();
	CLOSE(24);
}

/* On a stack that is not read with many others. */
static void deep(void *arg)
{
	volatile char used[24 << 10];
	TAKE(24);
	used[0] = 1;
	sleeps_with_all();
	used[1] = used[0];
	CLOSE(24);
}

/* Each has frames of other sizes than the one before. */
static void uneven(void *arg)
{
	static volatile size_t n;
	volatile char *used = alloca(64 + ++n % 8 * 256);
	TAKE(24);
	used[0] = 1;
	sleeps_with_all();
	used[1] = used[0];
	CLOSE(24);
}

static void uneven_spilled(void *arg)
{
	static volatile size_t n;
	volatile char *used = alloca(64 + ++n % 8 * 256);
	TAKE(24);
	used[0] = 1;
	__asm__ volatile("" ::: "memory", "rbx", "r12", "r13", "r14", "r15");
	goro_sleep(100000 * GORO_SECOND);
	__asm__ volatile("" ::: "memory", "rbx", "r12", "r13", "r14", "r15");
	used[1] = used[0];
	CLOSE(24);
}

static volatile int which, chosen;

static __attribute__((noinline)) void cases(int n)
{
	chosen = n;
}

/* What comes next is in a table. */
static void by_switch(void *arg)
{
	TAKE(24);
	goro_sleep(100000 * GORO_SECOND);
	switch (which) {
	case 0:
		cases(7);
		break;
	case 1:
		cases(which);
		cases(3);
		break;
	case 2:
		cases(which + 5);
		return;
	case 3:
		CLOSE(24);
		break;
	case 4:
		cases(which * 2);
		cases(6);
		break;
	case 5:
		cases(-which);
		break;
	case 6:
		goro_yield();
		break;
	default:
		cases(0);
	}
	cases(1);
}

enum { FIRST = 1000 };

/* As compilers make it of a[i - FIRST]: what lies so far before the array, and i. */
static void by_index(void *arg)
{
	char *p = *(char **)arg - FIRST * sizeof(void *);
	long i = FIRST;

	*(void **)arg = NULL;
	__asm__ volatile("" : "+r"(p), "+r"(i));
	goro_sleep(100000 * GORO_SECOND);
	goro_chan_close(((goro_chan **)p)[i]);
}

/* In structs of a size that no address has as a factor. */
static void by_far_index(void *arg)
{
	struct {
		void *x[3];
	} *p = (void *)(*(char **)arg - FIRST * sizeof(*p));
	long i = FIRST;

	*(void **)arg = NULL;
	__asm__ volatile("" : "+r"(p), "+r"(i));
	goro_sleep(100000 * GORO_SECOND);
	goro_chan_close(p[i].x[0]);
}

/* Both are spilled. */
static void by_spilled_index(void *arg)
{
	char *p = *(char **)arg - FIRST * sizeof(void *);
	long i = FIRST - 1;

	*(void **)arg = NULL;
	__asm__ volatile("" : "+r"(p), "+r"(i));
	take_registers();
	goro_sleep(100000 * GORO_SECOND);
	take_registers();
	goro_chan_close(((goro_chan **)p)[i + 1]);
}

enum { PRESERVED = 6 };

#define CLOSE_AT(p) goro_chan_close(*(goro_chan **)((p)-24))

/* One in each register that a call preserves. */
static void in_all_registers(void *arg)
{
	char **slots = arg;
	char *a = slots[0] + 24, *b = slots[1] + 24, *c = slots[2] + 24;
	char *d = slots[3] + 24, *e = slots[4] + 24, *f = slots[5] + 24;

	for (int i = 0; i < PRESERVED; i++)
		*(char *volatile *)&slots[i] = NULL;
	__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
	goro_sleep(100000 * GORO_SECOND);
	CLOSE_AT(a);
	CLOSE_AT(b);
	CLOSE_AT(c);
	CLOSE_AT(d);
	CLOSE_AT(e);
	CLOSE_AT(f);
}

/* A jump, and no conditional move. */
#define STEP(p, n) __asm__ volatile("add %1, %0" : "+r"(p) : "i"(n))

/* Before it is used there are many ways, on each of which something else is somewhere else. */
#define MANY_WAYS(q)                 \
	do {                         \
		if (which == 5)      \
			STEP(q, 8);  \
		if (which == 6)      \
			STEP(q, 16); \
		if (which == 7)      \
			STEP(q, 32); \
		chosen = *(q);       \
	} while (0)

static void by_many_ways(void *arg)
{
	char *q = before_it;
	TAKE(24);
	goro_sleep(100000 * GORO_SECOND);
	if (which)
		STEP(p, -16);
	MANY_WAYS(q);
	CLOSE(24);
}

static void by_many_other_ways(void *arg)
{
	char *q = before_it;
	TAKE(40);
	goro_sleep(100000 * GORO_SECOND);
	if (!which)
		STEP(p, -16);
	MANY_WAYS(q);
	CLOSE(24);
}

/* The same of a word that is in memory all the time. */
static void by_ways_of_memory(void *arg)
{
	TAKE(24);
	char *volatile place = p;

	p = NULL;
	goro_sleep(100000 * GORO_SECOND);
	if (which)
		__asm__ volatile("addq $-16, %0" : "+m"(place));
	goro_chan_close(*(goro_chan **)(place - 24));
}

static void by_other_ways_of_memory(void *arg)
{
	TAKE(40);
	char *volatile place = p;

	p = NULL;
	goro_sleep(100000 * GORO_SECOND);
	if (!which)
		__asm__ volatile("addq $-16, %0" : "+m"(place));
	goro_chan_close(*(goro_chan **)(place - 24));
}

static __attribute__((noinline)) void sleeps_below(int n)
{
	if (n)
		sleeps_below(n - 1);
	else
		sleeps_with_all();
	__asm__ volatile("" ::: "memory");
}

/* More is called than anybody looks through. */
static void below_many(void *arg)
{
	TAKE(24);
	sleeps_below(400);
	CLOSE(24);
}

static void by(goro_fn *fn, bool last)
{
	static void *slots[NCHANS];

	for (int i = 0; i < NCHANS; i++) {
		slots[i] = new_array(last);
		go(fn, &slots[i]);
	}
}

static void used_behind(void)
{
	by(behind, true);
}

static void used_far_behind(void)
{
	by(far_behind, true);
}

static void used_before(void)
{
	by(before, false);
}

static void used_in_steps(void)
{
	by(in_steps, true);
}

static void used_saved(void)
{
	by(saved, true);
}

static void used_spilled(void)
{
	by(spilled, true);
}

static void used_by_switch(void)
{
	by(by_switch, true);
}

static void used_deep(void)
{
	by(deep, true);
}

static void used_uneven(void)
{
	by(uneven, true);
}

static void used_uneven_spilled(void)
{
	by(uneven_spilled, true);
}

/* ---- threads -----------------------------------------------------------------------------------
 */

/* It waits in the kernel, some frames below. */
static void *waits(void *arg)
{
	TAKE(24);
	while (!never)
		pause();
	CLOSE(24);
	return NULL;
}

/* It does not wait, and has it in a register where it is. */
static void *runs(void *arg)
{
	TAKE(-32);
	while (!never)
		;
	CLOSE(-32);
	return NULL;
}

static void runs_on_worker(void *arg)
{
	runs(arg);
}

static void used_by_threads(void)
{
	static void *slots[NCHANS];
	pthread_t t;

	for (int i = 0; i < NCHANS; i++) {
		slots[i] = new_array(i < NCHANS - 1);
		pthread_create(&t, NULL, i < NCHANS - 1 ? waits : runs, &slots[i]);
	}
}

static void used_by_index(void)
{
	by(by_index, true);
}

static void used_by_far_index(void)
{
	by(by_far_index, true);
}

static void used_by_spilled_index(void)
{
	by(by_spilled_index, true);
}

static void used_in_all_registers(void)
{
	static void *slots[NCHANS][PRESERVED];

	for (int i = 0; i < NCHANS; i++) {
		for (int k = 0; k < PRESERVED; k++)
			slots[i][k] = new_array(true);
		go(in_all_registers, slots[i]);
	}
}

static void used_by_many_ways(void)
{
	by(by_many_ways, true);
}

static void used_by_many_other_ways(void)
{
	by(by_many_other_ways, true);
}

static void used_by_ways_of_memory(void)
{
	by(by_ways_of_memory, true);
}

static void used_by_other_ways_of_memory(void)
{
	by(by_other_ways_of_memory, true);
}

static void used_below_many(void)
{
	by(below_many, true);
}

static void used_bare(void)
{
	by(hide_bare, true);
}

static void used_bare_thread(void)
{
	static void *slots[NCHANS];
	pthread_t t;

	for (int i = 0; i < NCHANS; i++) {
		slots[i] = new_array(true);
		pthread_create(&t, NULL, hide_bare_thread, &slots[i]);
	}
}

static void used_by_runner(void)
{
	static void *slot;

	slot = new_array(false);
	go(runs_on_worker, &slot);
	while (__atomic_load_n(&slot, __ATOMIC_ACQUIRE))
		goro_yield();
}

const struct place places_used[] = {
	{ "used_behind", used_behind },
	{ "used_far_behind", used_far_behind },
	{ "used_before", used_before },
	{ "used_in_steps", used_in_steps },
	{ "used_saved", used_saved },
	{ "used_spilled", used_spilled },
	{ "used_by_switch", used_by_switch },
	{ "used_deep", used_deep },
	{ "used_uneven", used_uneven },
	{ "used_uneven_spilled", used_uneven_spilled },
	{ "used_by_threads", used_by_threads },
	{ "used_by_runner", used_by_runner },
	{ "used_by_index", used_by_index },
	{ "used_by_far_index", used_by_far_index },
	{ "used_by_spilled_index", used_by_spilled_index },
	{ "used_in_all_registers", used_in_all_registers },
	{ "used_by_many_ways", used_by_many_ways },
	{ "used_by_many_other_ways", used_by_many_other_ways },
	{ "used_by_ways_of_memory", used_by_ways_of_memory },
	{ "used_by_other_ways_of_memory", used_by_other_ways_of_memory },
	{ "used_below_many", used_below_many },
	{ "used_bare", used_bare },
	{ "used_bare_thread", used_bare_thread },
	{ NULL, NULL },
};
