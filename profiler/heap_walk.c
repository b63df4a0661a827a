/* SPDX-License-Identifier: MIT */
/*
 * heap_walk.c - one run of chunks: each is found from the size of the one before.
 *
 * Each step is checked, and a walk that does not arrive exactly where it must is thrown away as a
 * whole. Free is a chunk whose successor says so.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include "heap_glibc.h"

enum { FENCE = 16 };

void heap_area_free(struct heap_area *a)
{
	if (a->bytes && !a->borrowed)
		munmap((void *)(uintptr_t)a->bytes, a->hi - a->lo);
	free(a->start);
	free(a->mark);
	free(a->covers);
	*a = (struct heap_area){ 0 };
}

/* Copy [lo, hi), in which the chunks will be. */
struct goro_error *heap_area_load(struct heap_search *s, struct heap_area *a, uint64_t lo,
				  uint64_t hi)
{
	uint64_t bits = (hi - lo) / HEAP_GRANULE + 64;
	uint8_t *bytes;

	*a = (struct heap_area){ .lo = lo, .hi = hi };
	s->h->bytes += hi - lo;
	if (s->h->bytes > s->most)
		return goro_error_new(GORO_PARTIAL,
				      "its heap of more than %llu MiB does not fit in our memory",
				      (unsigned long long)(s->most >> 20));
	a->start = calloc(bits / 64 + 1, sizeof *a->start);
	a->mark = calloc(bits / 64 + 1, sizeof *a->mark);
	a->covers = calloc((hi - lo) / HEAP_PAGE + 2, sizeof *a->covers);
	if (!a->start || !a->mark || !a->covers)
		return &goro_enomem;
	a->bytes = s->t->ops->direct ? s->t->ops->direct(s->t, lo, hi) : NULL;
	a->borrowed = a->bytes;
	if (a->borrowed)
		return NULL;
	a->bytes = bytes = heap_map(hi - lo);
	return bytes ? heap_load(s->t, lo, hi, bytes) : &goro_enomem;
}

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
 * From `first` to `top`. A heap that is full ends with a fence post (a chunk of 16 or no bytes)
 * within the last 64 bytes, and then top is where it stands.
 */
bool heap_area_walk(struct heap_area *a, uint64_t first, uint64_t top, bool fence)
{
	bool was_free = false;
	uint64_t p = first, last = 0;

	if (!a->bytes || first % 16 || first < a->lo || top > a->hi - 16 || first > top)
		return false;
	while (p < top) {
		uint64_t head = heap_word(a->bytes + (p + 8 - a->lo)), size = head & ~7ull;

		if (fence && size <= FENCE && top - p <= 64)
			break;
		if (size < MIN_CHUNK || size % 16 || size > top - p || head & IS_MMAPPED)
			return false;
		/* It is this header that says whether the one before is free. */
		if (last && !(head & PREV_INUSE)) {
			if (was_free || heap_word(a->bytes + (p - a->lo)) != p - last)
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
	if (!fence && last && !(heap_word(a->bytes + (p + 8 - a->lo)) & PREV_INUSE))
		return false; /* a free chunk beside top would have become part of it */
	if (fence && last && !(heap_word(a->bytes + (p + 8 - a->lo)) & PREV_INUSE)) {
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

uint32_t heap_find(const struct heap_area *a, uint64_t address)
{
	uint64_t g, page, w;

	if (address < a->first + 16 || address >= a->top + 8)
		return UINT32_MAX;
	g = (address - a->lo) / HEAP_GRANULE;
	page = g / (HEAP_PAGE / HEAP_GRANULE);
	for (w = g / 64; w >= page * (HEAP_PAGE / HEAP_GRANULE / 64); w--) {
		uint64_t bits = a->start[w];

		if (w == g / 64)
			bits &= ~0ull >> (63 - g % 64);
		if (bits)
			return (uint32_t)(w * 64 + 63 - (uint64_t)__builtin_clzll(bits));
		if (!w)
			break;
	}
	return a->covers[page];
}
