/* SPDX-License-Identifier: MIT */
/*
 * heap_walk.c - one run of chunks: each is found from the size of the one before.
 *
 * Each step is checked, and a walk that does not arrive exactly where it must is thrown away as a
 * whole. Free is a chunk whose successor says so.
 */
#include "heap_glibc.h"

#include <stdlib.h>

enum { FENCE = 16, STEPS = 6 };

/* Note a chunk at p: `covers` is for the pages that begin in it. */
static void add_chunk(struct heap_area *a, uint64_t p, uint64_t size)
{
	uint32_t g = heap_granule(a, p + 16);
	uint64_t page = (p + 16 - a->lo + HEAP_PAGE - 1) / HEAP_PAGE;

	heap_set(a->start, g);
	for (; page * HEAP_PAGE < p + 16 + size - a->lo; page++)
		a->covers[page] = g;
	a->nchunks++;
}

/*
 * To read headers in rising order: the line of the copy (sparse.h) where the last one was found, so
 * that the next is found from there.
 */
struct headers {
	const struct heap_area *a;
	uint64_t line;	      /* address / 512 */
	uint64_t map;	      /* of that line, less the words before the last header */
	const uint64_t *word; /* the first of those in the map */
};

static inline uint64_t header_at(struct headers *h, uint64_t address)
{
	const unsigned bit = address / 8 % 64;
	uint64_t before;

	if (address / 512 != h->line) {
		const struct sparse_block *b = sparse_block(&h->a->words, address);
		const unsigned line = address / 512 % SPARSE_LINES;

		h->line = address / 512;
		h->map = b ? b->map[line] : 0;
		h->word = b ? b->words + b->before[line] : NULL;
	}
	if (!(h->map >> bit & 1))
		return 0;
	/* Objects are mostly small, or mostly zeros: a step for each
	 * word is faster than to count. */
	before = h->map & ((UINT64_C(1) << bit) - 1);
	for (unsigned i = 0; before && i < STEPS; i++, h->word++)
		before &= before - 1;
	if (before)
		h->word += sparse_count(before);
	h->map &= ~UINT64_C(0) << bit;
	return *h->word;
}

/*
 * From `first` to `top`. A heap that is full ends with a fence post (a chunk of 16 or no bytes)
 * within the last 64 bytes, and then top is where it stands.
 */
static bool walk(struct heap_area *a, uint64_t first, uint64_t top, bool fence)
{
	bool was_free = false;
	struct headers h = { .a = a, .line = UINT64_MAX };
	uint64_t p = first, last = 0;

	if (!a->words.pages || first % 16 || first < a->lo || top > a->hi - 16 || first > top)
		return false;
	while (p < top) {
		uint64_t head = header_at(&h, p + 8), size = head & ~7ull;

		if (fence && size <= FENCE && top - p <= 64)
			break;
		if (size < MIN_CHUNK || size % 16 || size > top - p || head & IS_MMAPPED)
			return false;
		/* It is this header that says whether the one before is free. */
		if (last && !(head & PREV_INUSE)) {
			if (was_free || heap_word_at(a, p) != p - last)
				return false;
			heap_set(a->mark, heap_granule(a, last + 16));
			a->nfree++;
			was_free = true;
		} else {
			was_free = false;
		}
		add_chunk(a, p, size);
		last = p;
		p += size;
	}
	if (p != top && !fence)
		return false;
	if (!fence && last && !(heap_word_at(a, p + 8) & PREV_INUSE))
		return false; /* a free chunk beside top would have become part of it */
	if (fence && last && !(heap_word_at(a, p + 8) & PREV_INUSE)) {
		heap_set(a->mark, heap_granule(a, last + 16));
		a->nfree++;
	}
	a->first = first;
	a->top = p;
	/* What comes behind the last is never an object, and found as marked. */
	if (p + 16 < a->hi) {
		heap_set(a->start, heap_granule(a, p + 16));
		heap_set(a->mark, heap_granule(a, p + 16));
		for (uint64_t page = (p + 16 - a->lo + HEAP_PAGE - 1) / HEAP_PAGE;
		     page <= (a->hi - a->lo) / HEAP_PAGE; page++)
			a->covers[page] = heap_granule(a, p + 16);
	}
	return true;
}

/* Where every word is the same as it was, the walk goes the same way. */
static bool walk_as_before(struct heap_area *a, const struct heap_area *past)
{
	const size_t npages = (a->hi - a->lo) / HEAP_PAGE;

	if (!past->walked || !a->words.pages || a->words.words != past->words.words ||
	    memcmp(a->words.pages, past->words.pages, npages * sizeof *a->words.pages))
		return false;
	free(a->start);
	free(a->covers);
	a->start = past->start;
	a->covers = past->covers;
	a->borrowed = true;
	memcpy(a->mark, past->walked, heap_bitmap_words(a) * sizeof *a->mark);
	a->first = past->first;
	a->top = past->top;
	a->nchunks = past->nchunks;
	return true;
}

bool heap_area_walk(const struct heap_search *s, struct heap_area *a, uint64_t first, uint64_t top,
		    bool fence)
{
	const struct heap_area *past = heap_past(s->how->past, a);

	if (past && past->first == first && past->asked == top && past->fence == fence &&
	    walk_as_before(a, past))
		return true;
	if (!walk(a, first, top, fence))
		return false;
	if (!s->how->store || s->how->past)
		return true;
	a->asked = top;
	a->fence = fence;
	a->walked = calloc(heap_bitmap_words(a), sizeof *a->walked);
	/* Where nothing is free it takes no room. */
	for (size_t w = 0; a->walked && w < heap_bitmap_words(a); w++) {
		if (a->mark[w])
			a->walked[w] = a->mark[w];
	}
	return true;
}
