/* SPDX-License-Identifier: MIT */
/*
 * heap_lists.c - free chunks that look used: in fast bins and in the threads' caches.
 *
 * A list is believed only as far as each link leads to a chunk of the right size. A chunk that is
 * taken for used hides a leak at worst; one taken for free could make one up, and that is why
 * nothing is guessed here.
 */
#include "heap_glibc.h"

enum { TCACHE_CHUNK = 0x290, TCACHE_BINS = 64, MAX_COUNT = 65535, ENOUGH = 16 };

static size_t count_chunks(const struct heap *h)
{
	size_t n = 0;

	for (size_t i = 0; i < h->nareas; i++)
		n += h->areas[i].nchunks;
	return n;
}

/* The area with a chunk whose memory begins exactly there. */
static struct heap_area *area_of(const struct heap *h, uint64_t mem, uint32_t *g)
{
	for (size_t i = 0; i < h->nareas; i++) {
		struct heap_area *a = &h->areas[i];

		if (mem < a->first + 16 || mem >= a->top)
			continue;
		*g = heap_granule(a, mem);
		return mem % 16 == 0 && heap_bit(a->start, *g) ? a : NULL;
	}
	return NULL;
}

static uint64_t size_at(const struct heap_area *a, uint32_t g)
{
	return heap_word_at(a, a->lo + (uint64_t)g * HEAP_GRANULE - 8) & ~7ull;
}

/* Links are XORed with their own address since 2.32. */
static uint64_t reveal(uint64_t at, uint64_t value, bool mangled)
{
	return mangled ? at >> 12 ^ value : value;
}

static void mark_free(struct heap_area *a, uint32_t g)
{
	if (heap_bit(a->mark, g))
		return;
	heap_set(a->mark, g);
	a->nfree++;
}

/*
 * Each chunk is in one list at most, and what only looks like a cache mostly fails at its first. A
 * heap made of what leads in circles would take for ever: then some that are free count as used.
 */
struct lists {
	const struct heap *h;
	uint64_t steps; /* that are left */
};

/* A list of `count` chunks of one size. apply: mark them. */
static bool free_list(struct lists *l, uint64_t link, uint64_t size, size_t count, bool mangled,
		      bool apply)
{
	size_t n = 0;

	while (link && n < count) {
		uint32_t g;
		struct heap_area *a = area_of(l->h, link, &g);

		if (!a || size_at(a, g) != size || !l->steps)
			return false;
		l->steps--;
		if (apply)
			mark_free(a, g);
		link = reveal(link, heap_word_at(a, a->lo + (uint64_t)g * HEAP_GRANULE), mangled);
		n++;
	}
	return !link && n == count;
}

/* Is this object a thread's cache? If so, what is in it is free. */
static bool free_tcache(struct lists *l, const uint8_t *object, bool mangled, bool apply)
{
	for (size_t i = 0; i < TCACHE_BINS; i++) {
		uint16_t count;

		memcpy(&count, object + 2 * i, sizeof count);
		if (!free_list(l, heap_word(object + 2 * TCACHE_BINS + 8 * i), MIN_CHUNK + 16 * i,
			       count, mangled, apply))
			return false;
	}
	return true;
}

/* Of 64 granules, those in which an object begins, and another one where a cache would end. */
static uint64_t begin_with_next(const struct heap_area *a, uint64_t w)
{
	enum { BEHIND = TCACHE_CHUNK / HEAP_GRANULE };

	return a->start[w] & (a->start[w] >> BEHIND | a->start[w + 1] << (64 - BEHIND));
}

void heap_mark_tcaches(const struct heap *h)
{
	struct lists l = { h, ENOUGH * (count_chunks(h) + MAX_COUNT) };

	for (size_t i = 0; i < h->nareas; i++) {
		struct heap_area *a = &h->areas[i];
		uint64_t words = (a->hi - a->lo) / HEAP_GRANULE / 64 + 1;

		for (uint64_t w = 0; w < words; w++) {
			uint64_t bits = w + 1 < words ? begin_with_next(a, w) & ~a->mark[w] : 0;

			for (; bits; bits &= bits - 1) {
				uint32_t g = (uint32_t)(w * 64 + (uint64_t)__builtin_ctzll(bits));
				uint8_t object[TCACHE_CHUNK - 8];

				if (size_at(a, g) != TCACHE_CHUNK)
					continue;
				sparse_get(&a->words, a->lo + (uint64_t)g * HEAP_GRANULE,
					   sizeof object, object);
				for (int mangled = 1; mangled >= 0; mangled--) {
					if (!free_tcache(&l, object, mangled, false))
						continue;
					free_tcache(&l, object, mangled, true);
					break;
				}
			}
		}
	}
}

/*
 * As far as it makes sense: how many, of `chunks` that there are at most: it may lead in a circle.
 * The links here are of chunks, not of memory.
 */
static size_t fastbin(const struct heap *h, uint64_t chunk, uint64_t size, size_t chunks,
		      bool mangled, bool apply)
{
	size_t n = 0;

	while (chunk && n < chunks) {
		uint32_t g;
		struct heap_area *a = area_of(h, chunk + 16, &g);

		if (!a || size_at(a, g) != size || heap_bit(a->mark, g))
			break;
		if (apply)
			mark_free(a, g);
		chunk = reveal(chunk + 16, heap_word_at(a, a->lo + (uint64_t)g * HEAP_GRANULE),
			       mangled);
		n++;
	}
	return n;
}

void heap_mark_fastbins(const struct heap *h, const uint8_t *fastbins)
{
	size_t chunks = count_chunks(h);

	for (uint64_t i = 0; i < NFASTBINS; i++) {
		uint64_t link = heap_word(fastbins + 8 * i), size = MIN_CHUNK + 16 * i;
		/* Read in the wrong way, the first link leads nowhere. */
		bool mangled = fastbin(h, link, size, chunks, true, false) >=
			       fastbin(h, link, size, chunks, false, false);

		fastbin(h, link, size, chunks, mangled, true);
	}
}
