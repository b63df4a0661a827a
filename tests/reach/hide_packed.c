/* SPDX-License-Identifier: MIT */
/*
 * hide_packed.c - at addresses that are no multiple of 8.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include "hide.h"

struct message {
	char kind;
	void *pointer;
} __attribute__((packed));

/* At each of the seven. */
static void in_packed(void)
{
	static struct message messages[NCHANS] __attribute__((used));

	for (int i = 0; i < NCHANS; i++) {
		messages[i].kind = 'p';
		messages[i].pointer = new_chan();
	}
}

/* Of which each is found by the one before; a page lies between, or half of the pointer. */
static void in_packed_heap(void)
{
	void *next = new_chan();

	for (int i = 0; i < 100; i++) {
		char *object = calloc(1, 5000);
		struct message *m = (struct message *)(object + 40 * (i % 100) + i % 7);

		m->kind = 'p';
		m->pointer = next;
		next = object + i;
	}
	global = next;
}

/* With each byte of it the last one of a page. */
static void across_pages(void)
{
	for (int i = 0; i < NCHANS; i++) {
		char *pages = map(MAP_PRIVATE | MAP_ANONYMOUS);
		void *heap = malloc(16 * PAGE);

		((struct message *)(pages + PAGE - 1 - i))->pointer = heap;
		((struct message *)(((uintptr_t)heap + 4 * PAGE) / PAGE * PAGE - 1 - (uintptr_t)i))
			->pointer = new_chan();
	}
}

/* Half of it where memory is read in another piece: of a megabyte, from the mapping's begin on. */
static void in_packed_block(void)
{
	static char *blocks[NCHANS] __attribute__((used));

	for (int i = 0; i < NCHANS; i++) {
		blocks[i] = malloc(4 << 20);
		((struct message *)(blocks[i] - 16 + (1 << 20) - 2 - i))->pointer = new_chan();
	}
}

static void sleeps(void *arg)
{
	struct message mine __attribute__((aligned(8))) = *(struct message *)arg;

	((struct message *)arg)->pointer = NULL;
	__asm__ volatile("" : : "r"(&mine) : "memory");
	goro_sleep(100000 * GORO_SECOND);
	__asm__ volatile("" : : "r"(&mine) : "memory");
}

static void on_packed_stack(void)
{
	static struct message messages[NCHANS];

	for (int i = 0; i < NCHANS; i++) {
		messages[i].pointer = new_chan();
		go(sleeps, &messages[i]);
	}
}

/* What it is started with is copied into its record, and all there is of it. */
static void reads_it_later(void *arg)
{
	goro_sleep(100000 * GORO_SECOND);
	goro_chan_close(((struct message *)arg)->pointer);
}

static void in_packed_argument(void)
{
	for (int i = 0; i < NCHANS; i++) {
		struct message m = { 'p', new_chan() };

		go_copy(reads_it_later, &m);
	}
}

const struct place places_packed[] = {
	{ "packed", in_packed },
	{ "packed_heap", in_packed_heap },
	{ "across_pages", across_pages },
	{ "packed_block", in_packed_block },
	{ "packed_stack", on_packed_stack },
	{ "packed_argument", in_packed_argument },
	{ NULL, NULL },
};
