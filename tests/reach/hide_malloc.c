/* SPDX-License-Identifier: MIT */
/*
 * hide_malloc.c - in memory that looks like malloc's own, and is not.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hide.h"

/*
 * The program asks for a part of the heap's segment before malloc does. (Some malloc of the
 * libraries' constructors may come first: then it lies behind, or in between.)
 */
static void **early;

__attribute__((constructor(101))) static void take_early(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "sbrk_before"))
		early = sbrk(PAGE);
	if (argc == 2 && !strcmp(argv[1], "sbrk_between"))
		mallopt(M_ARENA_MAX, 1); /* the one that sbrk() gives memory to */
}

static void in_sbrk_before(void)
{
	early[200] = new_chan();
	early = NULL;
}

/* Behind malloc's last chunk. */
static void in_sbrk_after(void)
{
	void *chan = new_chan();
	void **p = sbrk(4 * PAGE);

	p[1000] = chan;
}

/* Malloc has to leave a gap: it cannot be walked over. */
static void in_sbrk_between(void)
{
	in_sbrk_after();
	for (int i = 0; i < 100; i++) {
		void *more = malloc(10000);

		__asm__ volatile("" : : "r"(more) : "memory");
	}
}

/*
 * A page that begins like an object with a map of its own, and would be taken for the true one if
 * nobody looked further. Whichever the kernel puts first, there is one below the other and one
 * above.
 */
static void in_forged_block(void)
{
	enum { SIZE = (1 << 20) + PAGE };
	char *room = mmap(NULL, 16 * SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *object;
	uint64_t *low, *high;

	munmap(room + 5 * SIZE, SIZE);
	object = malloc(1 << 20);
	memset(object, 0, 1 << 20);
	low = mmap(room, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		   0);
	high = mmap(room + 15 * SIZE, SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	low[1] = high[1] = SIZE | 2; /* as malloc writes it */
	low[1000] = (uint64_t)new_chan();
	high[1000] = (uint64_t)new_chan();
	((void **)object)[1000] = new_chan();
	global = object;
}

const struct place places_like_malloc[] = {
	{ "sbrk_before", in_sbrk_before },
	{ "sbrk_after", in_sbrk_after },
	{ "sbrk_between", in_sbrk_between },
	{ "forged_block", in_forged_block },
	{ NULL, NULL },
};
