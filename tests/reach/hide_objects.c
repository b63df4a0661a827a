/* SPDX-License-Identifier: MIT */
/*
 * hide_objects.c - in data, bss and objects of malloc.
 */
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "hide.h"

void *global;						  /* in bss */
static void *initialised __attribute__((used)) = &global; /* in data */

static void in_data(void)
{
	initialised = new_chan();
}

static void in_bss(void)
{
	static void *far_from_data[10000] __attribute__((used));

	far_from_data[5000] = new_chan();
}

/* Objects of many kinds of malloc, in a list, the channel in the last. */
struct node {
	void *next;
	char more[];
};

static void in_heap(void)
{
	static const size_t sizes[] = { 24, 100, 1000, 5000, 70000 };
	void *next = new_chan();

	for (int round = 0; round < 400; round++) {
		struct node *n = malloc(sizes[round % 5]);

		memset(n, 0, sizes[round % 5]);
		n->next = next;
		next = n;
	}
	global = next;
}

static void interior(void)
{
	struct node *n = calloc(1, 4000), *last = calloc(1, 24);

	last->next = new_chan();
	*(void **)(n->more + 2000) = (char *)last + 16;
	global = n->more + 3900;
}

/*
 * All that is left of each object is a pointer to its end, as in a loop over an array that has
 * stepped on before it uses what it stepped over.
 */
static void by_ends(void)
{
	static const size_t sizes[NCHANS] = { 24, 40, 104, 1000, 65512, 1 << 20, 2 << 20, 3 << 20 };
	static void *ends[NCHANS] __attribute__((used));

	for (int i = 0; i < NCHANS; i++) {
		char *object = malloc(sizes[i]);
		size_t size = malloc_usable_size(object);

		memset(object, 0, size);
		ends[i] = object + size;
		((void **)ends[i])[-1] = new_chan();
	}
}

/*
 * Behind others that lie before it and behind it in memory, in pages that hold nothing but that
 * pointer: a look at what has changed, or has anything else in it, does not find it by chance.
 */
static void far_away(void)
{
	enum { LINKS = 4, SIZE = 3 * PAGE };
	static const int order[LINKS] = { 1, 3, 0, 2 };

	for (int i = 0; i < NCHANS; i++) {
		void **objects[LINKS], ***next = (void ***)&global;
		void *first = global;

		for (int k = 0; k < LINKS; k++)
			objects[k] = calloc(1, SIZE);
		for (int k = 0; k < LINKS; k++) {
			uintptr_t middle = (uintptr_t)objects[order[k]] + SIZE / 2;

			*next = (void **)(middle & -sizeof(void *));
			next = (void ***)*next;
		}
		*next = (void **)new_chan();
		objects[order[0]][SIZE / 2 / sizeof(void *) - 1] = first;
	}
}

/* The same of the last object, behind which is only what malloc() has not given out yet. */
static void by_last_end(void)
{
	static void *end __attribute__((used));
	void *volatile spare = malloc(120000); /* for who allocates from now on */
	void *chan = new_chan();
	char *last = malloc(100000);
	size_t size = malloc_usable_size(last);

	memset(last, 0, size);
	end = last + size;
	((void **)end)[-1] = chan;
	free(spare);
}

static void in_block(void)
{
	for (int i = 0; i < NCHANS; i++) {
		void **block = malloc(1 << 20);

		memset(block, 0, 1 << 20);
		block[100000] = new_chan();
		block[0] = global;
		global = block;
	}
}

static void *arena_thread(void *arg)
{
	void **chan = arg, **object = malloc(100);

	/* This thread's malloc has an arena of its own. */
	memset(object, 0, 100);
	object[3] = *chan;
	*chan = NULL;
	__atomic_store_n(&global, object, __ATOMIC_SEQ_CST);
	return NULL;
}

static void in_arena(void)
{
	static void *chan;
	pthread_t t;

	chan = new_chan();
	pthread_create(&t, NULL, arena_thread, &chan);
	pthread_join(t, NULL);
}

static void in_nodump_block(void)
{
	in_block();
	madvise((void *)((uintptr_t)global & ~(PAGE - 1)), 1 << 20, MADV_DONTDUMP);
}

/* With r12 to r15 of the moment of setjmp(). */
static void in_jmp_buf(void)
{
	jmp_buf *buf = malloc(sizeof(*buf));
	void *chan = new_chan();

	memset(buf, 0, sizeof(*buf));
	__asm__ volatile("" : "+r"(chan));
	if (!setjmp(*buf))
		((void **)buf)[5] = chan; /* where r15 is */
	global = buf;
}

/* The same, of the frame pointer: that one is stored in disguise. */
static void in_jmp_buf_disguised(void)
{
	uintptr_t *buf = calloc(1, sizeof(jmp_buf)), word = (uintptr_t)new_chan();

	__asm__ volatile("xorq %%fs:0x30, %0\n\trolq $17, %0" : "+r"(word) : : "cc");
	buf[1] = word;
	global = buf;
}

/* With a count in the bits that no address needs. */
static void tagged(void)
{
	uintptr_t *box = calloc(4, sizeof(*box));

	box[1] = (uintptr_t)new_chan() | UINT64_C(0xc0de) << 48;
	global = (void *)((uintptr_t)box | UINT64_C(1) << 63);
}

static void *hidden[4];

static void kept_alive(void)
{
	goro_chan *c = new_chan();

	goro_keepalive(c);
	hidden[0] = (void *)~(uintptr_t)c;
}

const struct place places_in_objects[] = {
	{ "data", in_data },
	{ "bss", in_bss },
	{ "heap", in_heap },
	{ "interior", interior },
	{ "block", in_block },
	{ "ends", by_ends },
	{ "far", far_away },
	{ "last_end", by_last_end },
	{ "arena", in_arena },
	{ "jmp_buf", in_jmp_buf },
	{ "jmp_buf_disguised", in_jmp_buf_disguised },
	{ "tagged", tagged },
	{ "keepalive", kept_alive },
	{ "nodump_block", in_nodump_block },
	{ NULL, NULL },
};
