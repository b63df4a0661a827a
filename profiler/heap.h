/* SPDX-License-Identifier: MIT */
/*
 * heap.h - the objects in the target's heap: where each begins and ends, and which are free.
 *
 * An area is a run of chunks, copied; a block is one object in a mapping of its own, not copied.
 * Memory of an allocator that is not known, or whose state makes no sense, is in neither: who looks
 * for pointers must believe all of it.
 */
#ifndef GORO_HEAP_H
#define GORO_HEAP_H

#include "facts.h"
#include "target.h"

/*
 * Granules are 16 bytes; bit i of a bitmap stands for lo + 16 * i. `start` has the first granule of
 * what malloc() returned for each chunk, and one behind the last; `mark` begins with those that are
 * free. `covers[p]`: the granule in which the chunk begins that covers the start of page p.
 */
struct heap_area {
	uint64_t lo, hi;      /* of the mapping: what lies outside of chunks is the allocator's */
	uint64_t first, top;  /* addresses of the first chunk and of the end of the last */
	const uint8_t *bytes; /* copy of [lo, hi) */
	bool borrowed;	      /* it is the view's */
	uint64_t *start, *mark;
	uint32_t *covers;
	size_t nchunks, nfree;
};

struct heap_block {
	uint64_t lo, hi; /* of the mapping */
};

struct heap {
	struct heap_area *areas;
	size_t nareas;
	struct heap_block *blocks;
	size_t nblocks;
	struct facts_range *reserves; /* address space behind areas that malloc has not given out */
	size_t nreserves;
	struct facts_range state; /* malloc's own, in libc's data: it has pointers to all chunks */
	uint64_t bytes;		  /* copied */
	char note[192]; /* what is not known, and is believed to hold pointers; "" for nothing */
	bool busy;	/* somebody was at work in it at that moment: another one may show more */
};

#define HEAP_GRANULE 16u
#define HEAP_PAGE    4096u

/*
 * Find glibc's heap. `skip`: memory that is certainly not its. `most`: bytes to copy at most;
 * GORO_PARTIAL when it is not enough. Memory that is gone meanwhile (in a target that runs) is as
 * if it were of no known allocator.
 */
struct goro_error *heap_read(struct heap *h, struct target *t, const struct target_maps *maps,
			     const struct facts_range *skip, size_t nskip, uint64_t most);
void heap_free(struct heap *h);

/* The first granule of the chunk that address lies in, or UINT32_MAX. */
uint32_t heap_find(const struct heap_area *a, uint64_t address);

/* The object that begins there, as bytes of the copy. */
static inline const uint8_t *heap_object(const struct heap_area *a, uint32_t granule, size_t *size)
{
	const uint8_t *at = a->bytes + (size_t)granule * HEAP_GRANULE;
	uint64_t head = *(const uint64_t *)(const void *)(at - 8);

	*size = (head & ~7ull) - 8;
	return at;
}

static inline bool heap_bit(const uint64_t *map, uint64_t i)
{
	return map[i / 64] >> i % 64 & 1;
}

static inline void heap_set(uint64_t *map, uint64_t i)
{
	map[i / 64] |= 1ull << i % 64;
}

/* Copy the pages of [lo, hi) that are the target's own to `to`, which is zero. */
struct goro_error *heap_load(struct target *t, uint64_t lo, uint64_t hi, uint8_t *to);

/* The same for a range whose pages are all its own; what faults nevertheless is left out. */
struct goro_error *heap_load_run(struct target *t, uint64_t lo, uint64_t hi, uint8_t *to);

#endif /* GORO_HEAP_H */
