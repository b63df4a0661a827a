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
#include "sparse.h"
#include "target.h"

/*
 * Granules are 16 bytes; bit i of a bitmap stands for lo + 16 * i. `start` has the first granule of
 * what malloc() returned for each chunk, and one behind the last; `mark` begins with those that are
 * free. `covers[p]`: the granule in which the chunk begins that covers the start of page p.
 */
struct heap_area {
	uint64_t lo, hi;	 /* whole pages */
	struct facts_range its;	 /* the allocator's; the rest of the pages is somebody else's */
	uint64_t first, top;	 /* addresses of the first chunk and of the end of the last */
	struct sparse words;	 /* copy of [lo, hi) */
	struct sparse_store own; /* that holds it, unless it is the view's or the caller's */
	uint32_t *pages;
	uint64_t *start, *mark;
	uint32_t *covers;
	bool borrowed; /* `start` and `covers` are those of the same area a moment ago */
	size_t nchunks, nfree;
	uint64_t
		*walked; /* `mark` as the walk left it, for one in the same memory later; or NULL */
	uint64_t asked;	 /* where that walk was to end, */
	bool fence;	 /* and how */
};

struct heap_block {
	uint64_t lo, hi; /* of the mapping */
};

/* Where the object in it begins, if it is not aligned to more. */
static inline uint64_t heap_block_begin(const struct heap_block *b)
{
	return b->lo + 16;
}

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

struct heap_how {
	uint64_t most; /* bytes to copy at most; GORO_PARTIAL when it is not enough */
	/* Where they go, which must outlive the heap. NULL: the heap has its own. */
	struct sparse_store *store;
	/* The same heap a moment ago, in the same store, which keeps what is in it; or NULL. */
	const struct heap *past;
	/* Set by another thread: nobody wants it any more, and
	 * GORO_PARTIAL is the answer. Or NULL. */
	const bool *stop;
};

/* What the first step of a look at a heap leaves for the second. */
struct heap_search {
	struct heap *h;
	struct target *t;
	const struct target_maps *maps;
	const struct heap_how *how;
	const struct facts_range *skip; /* memory that is certainly not its */
	size_t nskip;
	uint64_t main_arena;
	uint64_t sbrk_base, mmapped_mem, found;
	uint32_t n_mmaps;
	bool have_par, lost; /* lost: some of its memory could not be made sense of */
};

/*
 * Find glibc's heap. Memory that is gone meanwhile (in a target that runs) is as if it were of no
 * known allocator. The first step copies and walks its areas, which is what takes time; it uses
 * nothing of the target but own_pages(), sparse() and read(), so where these may be used by several
 * threads it can be done beside other work. The second says what of the rest is its as well;
 * nothing of `skip` is. Whoever calls the first calls heap_free(), also after an error.
 */
struct goro_error *heap_read_areas(struct heap_search *s, struct heap *h, struct target *t,
				   const struct target_maps *maps, const struct heap_how *how);
struct goro_error *heap_read_rest(struct heap_search *s, const struct facts_range *skip,
				  size_t nskip);
void heap_free(struct heap *h);

/* The end of the last object: it lies in no object's words, but may be all that is left of a
 * pointer to that one. Between others there are headers, and no such doubt. */
static inline uint64_t heap_last(const struct heap_area *a)
{
	return a->top + 8;
}

/* The first granule of the chunk that address lies in, or at whose end; or UINT32_MAX. */
static inline uint32_t heap_find(const struct heap_area *a, uint64_t address)
{
	uint64_t g = (address - a->lo) / HEAP_GRANULE, w = g / 64, bits;
	uint64_t page = g / (HEAP_PAGE / HEAP_GRANULE);

	if (address < a->first + 16 || address > heap_last(a))
		return UINT32_MAX;
	bits = a->start[w] & ~0ull >> (63 - g % 64);
	while (!bits && w > page * (HEAP_PAGE / HEAP_GRANULE / 64))
		bits = a->start[--w];
	if (!bits)
		return a->covers[page];
	return (uint32_t)(w * 64 + 63 - (uint64_t)__builtin_clzll(bits));
}

/* The aligned word there; 0 outside. */
static inline uint64_t heap_word_at(const struct heap_area *a, uint64_t address)
{
	return address - a->lo < a->hi - a->lo ? sparse_word(&a->words, address) : 0;
}

/* How long the object is that begins there. */
static inline size_t heap_size(const struct heap_area *a, uint32_t granule)
{
	return (heap_word_at(a, a->lo + (uint64_t)granule * HEAP_GRANULE - 8) & ~7ull) - 8;
}

/* The area that began and ended at the same places, or NULL. */
const struct heap_area *heap_past(const struct heap *past, const struct heap_area *a);

/* How many words a bitmap has. */
static inline size_t heap_bitmap_words(const struct heap_area *a)
{
	return (a->hi - a->lo) / HEAP_GRANULE / 64 + 1;
}

static inline bool heap_bit(const uint64_t *map, uint64_t i)
{
	return map[i / 64] >> i % 64 & 1;
}

static inline void heap_set(uint64_t *map, uint64_t i)
{
	map[i / 64] |= 1ull << i % 64;
}

static inline void heap_clear(uint64_t *map, uint64_t i)
{
	map[i / 64] &= ~(1ull << i % 64);
}

/*
 * Room for a bitmap of an area, all zero and not yet to be had for nothing: it will be written all
 * over, and memory that is read before that is given out twice. Free with free(). NULL: no memory.
 */
uint64_t *heap_bitmap(const struct heap_area *a);

/* Copy the pages of [lo, hi) that are the target's own to `to`, which is zero. */
struct goro_error *heap_load(struct target *t, uint64_t lo, uint64_t hi, uint8_t *to);

/* The same for a range whose pages are all its own; what faults nevertheless is left out. */
struct goro_error *heap_load_run(struct target *t, uint64_t lo, uint64_t hi, uint8_t *to);

#endif /* GORO_HEAP_H */
