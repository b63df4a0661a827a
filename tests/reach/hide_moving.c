/* SPDX-License-Identifier: MIT */
/*
 * hide_moving.c - where it never stays.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hide.h"

enum { NCELLS = 200000, ROW = 100, NSLOTS = 24 };

static void **rows[NCELLS / ROW];

static void **cell(uint32_t i)
{
	return &rows[i / ROW][i % ROW];
}

/* One pointer at a time is taken from its cell and put into another; now it is in neither. */
static void moves(void *arg)
{
	uint64_t random = 88172645463325252;
	uint32_t at[NCHANS];

	(void)arg;
	for (uint32_t i = 0; i < NCHANS; i++)
		at[i] = i;
	for (;;) {
		uint32_t to, k;
		void *pointer;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		k = random % NCHANS;
		to = (uint32_t)(random >> 20) % NCELLS;
		if (*cell(to))
			continue;
		pointer = *cell(at[k]);
		*cell(at[k]) = NULL;
		__asm__ volatile("" : "+r"(pointer)::"memory");
		*cell(to) = pointer;
		at[k] = to;
	}
}

static void in_cells(void)
{
	void **cells = calloc(NCELLS, sizeof(*cells));

	for (int i = 0; i < NCELLS / ROW; i++)
		rows[i] = cells + (ptrdiff_t)i * ROW;
	for (int i = 0; i < NCHANS; i++)
		*cell(i) = new_chan();
	go(moves, NULL);
}

/* The same in many objects of the heap. */
static void in_rows(void)
{
	for (int i = 0; i < NCELLS / ROW; i++)
		rows[i] = calloc(ROW, sizeof(*rows[i]));
	for (int i = 0; i < NCHANS; i++)
		*cell(i) = new_chan();
	go(moves, NULL);
}

/* The page that has them is never long where it is; where it was stays mapped, and is empty. */
static void remaps(void *arg)
{
	char *room = map(MAP_PRIVATE), *page = arg;

	for (unsigned i = 0;; i++) {
		char *to = room + (size_t)(i % 8 * 2) * PAGE;

		page = mremap(page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
			      to);
		if (page == MAP_FAILED)
			_exit(1);
	}
}

static void in_remapped(void)
{
	void **page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		exit(1);
	for (int i = 0; i < NCHANS; i++)
		page[8 + i] = new_chan();
	go(remaps, page);
}

/* Memory that is new each time, and what it was before is given back. */
static void renews(void *arg)
{
	void **page = arg;

	for (unsigned i = 0;; i++) {
		void **next = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (next == MAP_FAILED)
			_exit(1);
		memcpy(next + 512, page, NCHANS * sizeof(*next));
		memcpy(next, next + 512, NCHANS * sizeof(*next));
		madvise(next + 512, PAGE, MADV_DONTNEED);
		munmap(page, 16 * PAGE);
		page = next;
	}
}

static void in_renewed(void)
{
	void **page = map(MAP_PRIVATE);

	for (int i = 0; i < NCHANS; i++)
		page[i] = new_chan();
	go(renews, page);
}

/*
 * A page goes out to a file and comes back into another one, which a device writes to: no page
 * table tells of that. Only then the first one is cleared.
 */
struct direct {
	int fd;
	void **page[2];
};

static void goes_out_and_in(void *arg)
{
	struct direct *d = arg;

	for (unsigned i = 0;; i++) {
		void **from = d->page[i % 2], **to = d->page[(i + 1) % 2];

		if (pwrite(d->fd, from, PAGE, 0) != PAGE || pread(d->fd, to, PAGE, 0) != PAGE)
			_exit(1);
		memset(from, 0, PAGE);
	}
}

static void in_direct(void)
{
	struct direct *d = malloc(sizeof(*d));
	char name[] = "hide_direct_XXXXXX";

	d->fd = mkostemp(name, O_DIRECT);
	if (d->fd < 0)
		exit(77);
	unlink(name);
	d->page[0] = map(MAP_PRIVATE);
	d->page[1] = map(MAP_PRIVATE);
	for (int i = 0; i < NCHANS; i++)
		d->page[0][i] = new_chan();
	go(goes_out_and_in, d);
}

/* Below the stack pointer, where a function that calls no other may have what it likes. */
static void in_leaf(void *arg)
{
	__asm__ volatile("movq (%0), %%rax\n\t"
			 "movq $0, (%0)\n\t"
			 "movq %%rax, -120(%%rsp)\n\t"
			 "xorl %%eax, %%eax\n"
			 "1: cmpq $0, -120(%%rsp)\n\t"
			 "jne 1b"
			 :
			 : "r"(arg)
			 : "rax", "memory");
}

static void in_red_zone(void)
{
	static void *chan;

	chan = new_chan();
	go(in_leaf, &chan);
}

/*
 * In a frame that has returned, of one that is parked, there is a pointer to what nobody shall
 * find. (Of one that runs it may be found by the look without a stop, which does not know where it
 * stands.)
 */
__attribute__((noinline)) static void remember(void)
{
	/* Far below all that is called later. */
	void *volatile frame[2048];

	for (int i = 0; i < 64; i++)
		frame[i] = (void *)~hidden_leak;
	__asm__ volatile("" ::"r"(frame) : "memory");
}

static void remembers_and_sleeps(void *arg)
{
	(void)arg;
	remember();
	forget();
	for (;;)
		goro_sleep(GORO_SECOND);
}

static void in_dead_frame(void)
{
	global = new_chan();
	go(remembers_and_sleeps, NULL);
}

/* Slots are moved up and down by memmove(), which has them in vector registers meanwhile. */
static void shifts(void *arg)
{
	char *slots = arg;

	for (;;) {
		for (int i = 0; i < 8; i++)
			memmove(slots + 8, slots, NSLOTS * 8);
		for (int i = 0; i < 8; i++)
			memmove(slots, slots + 8, NSLOTS * 8);
	}
}

static void in_memmove(void)
{
	void **slots = calloc(NSLOTS + 9, sizeof(*slots));

	for (int i = 0; i < NCHANS; i++)
		slots[8 + i] = new_chan();
	go(shifts, slots);
}

/* Objects come and go in all threads, so that the heap is always in the middle of something. */
static void *churn(void *arg)
{
	void *mine[64] = { 0 };
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (;;) {
		unsigned i = rand_r(&seed) % 64;

		free(mine[i]);
		mine[i] = malloc((size_t)rand_r(&seed) % 3000);
	}
	return NULL;
}

static void in_churn(void)
{
	pthread_t t;

	in_cells();
	for (uintptr_t i = 1; i <= 2; i++)
		pthread_create(&t, NULL, churn, (void *)i);
}

const struct place places_that_change[] = {
	{ "rows", in_rows },	     { "cells", in_cells },
	{ "red_zone", in_red_zone }, { "dead_frame", in_dead_frame },
	{ "memmove", in_memmove },   { "remapped", in_remapped },
	{ "renewed", in_renewed },   { "direct", in_direct },
	{ "churn", in_churn },	     { NULL, NULL },
};
