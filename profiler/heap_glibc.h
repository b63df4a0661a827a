/* SPDX-License-Identifier: MIT */
/*
 * heap_glibc.h - what the files that read glibc's heap share; heap_glibc.c says how it is found.
 */
#ifndef GORO_HEAP_GLIBC_H
#define GORO_HEAP_GLIBC_H

#include <string.h>
#include "heap.h"

enum { PREV_INUSE = 1, IS_MMAPPED = 2, NON_MAIN = 4, FLAGS = 7 };
enum { MIN_CHUNK = 32, NFASTBINS = 10 };

static inline uint64_t heap_word(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof v);
	return v;
}

static inline uint32_t heap_granule(const struct heap_area *a, uint64_t address)
{
	return (uint32_t)((address - a->lo) / HEAP_GRANULE);
}

void *heap_map(size_t size);

/* heap_load.c: copy [lo, hi), in which the chunks will be. */
struct goro_error *heap_area_load(struct heap_search *s, struct heap_area *a, uint64_t lo,
				  uint64_t hi);
void heap_area_free(struct heap_area *a);
/* heap_walk.c: find them from `first` to `top`. */
bool heap_area_walk(const struct heap_search *s, struct heap_area *a, uint64_t first, uint64_t top,
		    bool fence);

/* heap_lists.c: mark what is free and looks used. `fastbins`: of an arena. */
void heap_mark_fastbins(const struct heap *h, const uint8_t *fastbins);
void heap_mark_tcaches(const struct heap *h);

/* heap_blocks.c: objects with a mapping of their own. */
struct goro_error *heap_find_blocks(struct heap_search *s);

#endif /* GORO_HEAP_GLIBC_H */
