/* SPDX-License-Identifier: MIT */
/*
 * reach_sweep.c - searching what was marked in the order of addresses, while that is much.
 *
 * A list of what is to be searched next leads from one object to another that lies somewhere else:
 * of a big heap's time nearly all goes into waiting for memory. But once a lot is marked and not
 * searched yet, nothing says what must come first. Then the list becomes bits beside the marks, and
 * the heap is gone through in the order of addresses, downwards and upwards in turn: what gets
 * marked in front of the sweep is searched by that very sweep, what is behind it by the next. And
 * what words point to is marked in the same way: sorted by where it lies first, then part by part
 * of the bitmaps. When a sweep leaves little, the list takes over again, so that a long chain that
 * goes to and fro costs what it cost before. (Breadth-first searches that look from below while the
 * front is wide do the same.)
 *
 * In whatever order, the marks that come of it are the same. Only a chain from a root to an object
 * (reach_chain.c) depends on it, so whoever wants one gets the list alone.
 *
 * Rejected: to mark at once with a prefetch and a queue (twice the time: each look at a bitmap has
 * to find its page first); big pages for the bitmaps (a fifth of what this gains); threads that
 * share the list (atomic marks, for less).
 */
#include "reach_run.h"

#include <stdlib.h>

#include "reach_skip.h"

enum { PARTS = 256, IN_PART = 8192 };

#define NEAR (UINT64_C(16) << 10) /* bytes of the heap, whose bits are in the cache anyway */

/* What waits to be marked, each part of an area for itself. */
struct parts {
	uint32_t n[PARTS];
	uint32_t granules[PARTS][IN_PART + 16]; /* not all in the same lines of the cache */
};

struct sweep {
	struct run *r;
	struct heap_area *a;
	uint64_t *pending;
	const uint64_t *watched;
	uint32_t index;
	uint64_t lo, span; /* where objects are */
	uint64_t near;	   /* that far below what is searched now */
	unsigned shift;	   /* of a granule, to its part */
	struct parts *parts;
};

static inline void mark(struct sweep *s, uint64_t v)
{
	const uint32_t g = heap_find(s->a, v);

	/* What reach_mark_object() does, of what is certain here left out. */
	if (heap_bit(s->a->mark, g) || (reach_skips("arenas") && s->index) ||
	    (reach_skips("interior") && v != s->a->lo + (uint64_t)g * HEAP_GRANULE))
		return;
	heap_set(s->a->mark, g);
	heap_set(s->pending, g);
	s->r->npending++;
	if (heap_bit(s->watched, g))
		reach_wake_watchers(s->r, s->a->lo + (uint64_t)g * HEAP_GRANULE);
}

static void mark_part(struct sweep *s, size_t part)
{
	const uint32_t *granules = s->parts->granules[part];

	for (uint32_t i = 0; i < s->parts->n[part]; i++)
		mark(s, s->a->lo + (uint64_t)granules[i] * HEAP_GRANULE);
	s->parts->n[part] = 0;
}

static inline void see(struct sweep *s, uint64_t word)
{
	if (word - s->near < 2 * NEAR) {
		mark(s, word);
	} else {
		const uint32_t g = (uint32_t)((word - s->a->lo) / HEAP_GRANULE);
		const size_t part = g >> s->shift;

		s->parts->granules[part][s->parts->n[part]++] = g;
		if (s->parts->n[part] == IN_PART)
			mark_part(s, part);
	}
}

/* The first granule behind the object: who comes next says so, without a look at the object. */
static uint64_t end_of(const struct heap_area *a, uint32_t g)
{
	size_t w = g / 64;
	uint64_t bits = a->start[w] & ~UINT64_C(1) << g % 64;

	while (!bits && w + 1 < heap_bitmap_words(a))
		bits = a->start[++w];
	if (!bits)
		return a->lo + (uint64_t)g * HEAP_GRANULE + heap_size(a, g);
	return a->lo + (w * 64 + (unsigned)__builtin_ctzll(bits)) * HEAP_GRANULE - 8;
}

static void search(struct sweep *s, uint32_t g)
{
	const struct heap_area *a = s->a;
	struct run *r = s->r;
	const uint64_t at = a->lo + (uint64_t)g * HEAP_GRANULE, end = end_of(a, g);

	r->ret->objects++;
	r->ret->object_bytes += end - at;
	r->npending--;
	s->near = at - s->lo > NEAR ? at - NEAR : s->lo;
	for (uint64_t p = at, next; p < end; p = next) {
		struct sparse_piece piece = sparse_piece(&a->words, p, end);

		for (; piece.bits; piece.bits &= piece.bits - 1, piece.v++) {
			const uint64_t v = *piece.v;

			if (v - s->lo < s->span && (v & 0x1ffff) != r->disguise) {
				see(s, v);
				continue;
			}
			reach_guess_note(r, s->index, p, v);
			reach_word(r, v, 0);
		}
		next = piece.next;
	}
}

static void sweep_area(struct run *r, size_t i, bool down)
{
	struct heap_area *a = &r->heap.areas[i];
	const size_t n = heap_bitmap_words(a);
	struct sweep s = { .r = r,
			   .a = a,
			   .pending = r->pending[i],
			   .watched = r->watched[i],
			   .index = (uint32_t)i,
			   .lo = a->first + 16,
			   .span = a->top + 8 - (a->first + 16),
			   .shift = 16,
			   .parts = r->parts };

	while ((n * 64) >> s.shift >= PARTS)
		s.shift++;
	for (size_t k = 0, part = PARTS; k < n; k++) {
		const size_t w = down ? n - 1 - k : k;

		if (w * 64 >> s.shift != part) {
			part = w * 64 >> s.shift;
			mark_part(&s, part);
		}
		while (s.pending[w]) {
			const unsigned bit = down ? 63 - (unsigned)__builtin_clzll(s.pending[w])
						  : (unsigned)__builtin_ctzll(s.pending[w]);

			s.pending[w] &= ~(UINT64_C(1) << bit);
			search(&s, (uint32_t)(w * 64 + bit));
		}
	}
	for (size_t k = 0; k < PARTS; k++) {
		if (reach_skips("behind"))
			s.parts->n[k] = 0;
		mark_part(&s, k);
	}
}

/* The list's objects become bits, what else there is stays. */
static bool begin(struct run *r)
{
	size_t kept = 0;

	r->sweeping = true;
	if (!r->parts)
		r->parts = calloc(1, sizeof *r->parts);
	if (!r->pending)
		r->pending = calloc(r->heap.nareas + 1, sizeof *r->pending);
	for (size_t i = 0; i < r->heap.nareas && r->pending; i++) {
		if (!r->pending[i])
			r->pending[i] =
				calloc(heap_bitmap_words(&r->heap.areas[i]), sizeof **r->pending);
		if (!r->pending[i])
			return false;
	}
	if (!r->pending || !r->parts)
		return false;
	for (size_t i = 0; i < r->ntodo; i++) {
		const struct todo *t = &r->todo[i];

		if (t->kind != ZONE_AREA) {
			r->todo[kept++] = *t;
			continue;
		}
		heap_set(r->pending[t->index], t->granule);
		r->npending++;
	}
	r->ntodo = kept;
	r->nobjects = 0;
	return true;
}

/* And back. */
static void end(struct run *r)
{
	r->sweeping = false;
	for (size_t i = 0; i < r->heap.nareas && r->npending; i++) {
		for (size_t w = 0; w < heap_bitmap_words(&r->heap.areas[i]); w++) {
			uint64_t bits = r->pending[i][w];

			for (; bits; bits &= bits - 1)
				reach_push_object(
					r, (uint32_t)i,
					(uint32_t)(w * 64 + (unsigned)__builtin_ctzll(bits)));
			r->pending[i][w] = 0;
		}
	}
	r->npending = 0;
}

void reach_sweep(struct run *r)
{
	bool down = true;

	if (!begin(r)) {
		r->no_memory = true;
		return;
	}
	for (; r->npending >= r->wide; down = !down) {
		for (size_t i = 0; i < r->heap.nareas; i++)
			sweep_area(r, down ? r->heap.nareas - 1 - i : i, down);
		reach_mark_seen(r);
	}
	end(r);
}
