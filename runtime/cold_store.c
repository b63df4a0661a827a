/* SPDX-License-Identifier: MIT */
/*
 * cold_store.c - memory for what is kept of cold stacks: some hundred bytes each, a million of
 * them.
 *
 * Blocks of 64 KiB hold pieces of one size, a multiple of 64 bytes. A block that is free as a whole
 * goes back to the kernel, but for its first page, and serves any size afterwards.
 *
 * Rejected: malloc (its lock may be held by a thread that waits in the kernel until we have brought
 * a page back); one run of pieces of any size, compacted (observers read there without a lock).
 */
#include "cold.h"

enum {
	BLOCK = 64 * 1024,
	CHUNK = 4 * 1024 * 1024, /* what is asked of the kernel at a time */
	UNIT = 64,
	CLASSES = BLOCK / 4 / UNIT,
};

/* At the start of a block, which is aligned to its size. */
struct block {
	struct block *next, *prev; /* with room, of one class; or empty, through next */
	struct piece {
		struct piece *next;
	} * free;
	uint32_t units; /* of a piece */
	uint32_t used, fresh, all;
} __attribute__((aligned(UNIT)));

static struct {
	uint32_t lock;
	struct block *room[CLASSES + 1]; /* by units of a piece */
	struct block *empty;
	uintptr_t chunk, chunk_end;
} store;

/* The lock is held for the three below. */
static void list_put(struct block *b)
{
	struct block **first = &store.room[b->units];

	b->prev = NULL;
	b->next = *first;
	if (*first)
		(*first)->prev = b;
	*first = b;
}

static void list_take(struct block *b)
{
	if (b->prev)
		b->prev->next = b->next;
	else
		store.room[b->units] = b->next;
	if (b->next)
		b->next->prev = b->prev;
}

static struct block *new_block(uint32_t units)
{
	struct block *b = store.empty;

	if (b) {
		store.empty = b->next;
	} else if (store.chunk != store.chunk_end) {
		b = (struct block *)store.chunk;
		store.chunk += BLOCK;
	} else {
		return NULL;
	}
	*b = (struct block){ .units = units, .all = (BLOCK - sizeof(*b)) / UNIT / units };
	list_put(b);
	return b;
}

/* Not under the lock: it asks the kernel. Only sysmon comes here. */
static bool more_memory(void)
{
	void *chunk = os_reserve_aligned(CHUNK, BLOCK);

	if (!chunk)
		return false;
	os_no_huge_pages(chunk, CHUNK);
	lock_always(&store.lock);
	store.chunk = (uintptr_t)chunk;
	store.chunk_end = store.chunk + CHUNK;
	unlock_always(&store.lock);
	return true;
}

static void *take(uint32_t units)
{
	struct block *b = store.room[units];
	void *piece;

	if (!b)
		b = new_block(units);
	if (!b)
		return NULL;
	piece = b->free;
	if (piece)
		b->free = b->free->next;
	else
		piece = (char *)(b + 1) + (size_t)b->fresh++ * units * UNIT;
	if (++b->used == b->all)
		list_take(b);
	return piece;
}

struct goro_cold_stack *goro_cold_alloc(size_t bytes)
{
	size_t units = (sizeof(struct goro_cold_stack) + bytes + UNIT - 1) / UNIT;
	void *piece = NULL;

	if (units > CLASSES)
		return NULL;
	for (bool again = true; !piece && again;) {
		lock_always(&store.lock);
		piece = take((uint32_t)units);
		unlock_always(&store.lock);
		again = !piece && more_memory();
	}
	return piece;
}

void goro_cold_free(struct goro_cold_stack *c)
{
	struct block *b = (struct block *)((uintptr_t)c & ~(uintptr_t)(BLOCK - 1));
	struct piece *piece = (struct piece *)c;
	bool empty;

	lock_always(&store.lock);
	if (b->used == b->all)
		list_put(b);
	piece->next = b->free;
	b->free = piece;
	empty = !--b->used;
	if (empty)
		list_take(b); /* nobody else knows it now */
	unlock_always(&store.lock);
	if (!empty)
		return;
	os_discard((char *)b + os_page_size(), BLOCK - os_page_size());
	lock_always(&store.lock);
	b->next = store.empty;
	store.empty = b;
	unlock_always(&store.lock);
}
