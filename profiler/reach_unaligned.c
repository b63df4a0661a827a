/* SPDX-License-Identifier: MIT */
/*
 * reach_unaligned.c - pointers in packed structures, which may begin at any byte; see reach.c.
 *
 * Compilers align pointers, and who looks at every eighth byte only has an eighth of the work. But
 * a message with a packed header, or the array that epoll_wait() fills, has them anywhere. The two
 * bytes 4 and 5 are the same in all pointers to what there is, or nearly, and 6 and 7 are zero:
 * that is looked for in 16 bytes at a time, hardly ever found, and where it is, all is looked at
 * closely. So it is with memory as it is searched.
 *
 * The heap is searched in another order, so there it is done afterwards, in a view that shall be a
 * proof, and only if somebody would be called leaked. What a pointer is found in may be reachable
 * by such a pointer itself: it counts once that is marked.
 *
 * A tag in the upper bytes is not looked for here: two packed numbers would be a pointer too often.
 */
#include "reach_run.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "reach_skip.h"
#include "two.h"

enum { PIECE = 64 * HEAP_PAGE, MOST_HITS = 1 << 20 };

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint64_t words16 __attribute__((vector_size(16)));

/* ---- what to look for -------------------------------------------------------------------------
 */

static void add_top(struct run *r, uint64_t top)
{
	const uint8_t fifth = (uint8_t)(top >> 8), fourth = (uint8_t)top;
	struct reach_top *t = r->tops;

	while (t < r->tops + r->ntops && t->fifth != fifth)
		t++;
	if (t == r->tops + REACH_TOPS) {
		r->any_top = true;
		return;
	}
	if (t == r->tops + r->ntops) {
		*t = (struct reach_top){ fifth, fourth, fourth };
		r->ntops++;
	}
	t->lo = fourth < t->lo ? fourth : t->lo;
	t->hi = fourth > t->hi ? fourth : t->hi;
}

void reach_find_tops(struct run *r)
{
	for (size_t i = 0; i < r->zones.n && !reach_skips("unaligned"); i++) {
		const struct zone *z = &r->zones.v[i];

		for (uint64_t top = z->lo >> 32; z->lo < z->hi && top <= (z->hi - 1) >> 32; top++)
			add_top(r, top);
	}
}

/*
 * Where a word has byte 5 of such a pointer, not in its place and with two zeros behind it; what is
 * in the next word is taken to be zero. Nearly all memory is done with by this.
 */
static inline words16 has_fifth(words16 w, uint8_t one, uint8_t other)
{
	const words16 top = { UINT64_C(0xff) << 56, UINT64_C(0xff) << 56 };
	const words16 top2 = { UINT64_C(0xffff) << 48, UINT64_C(0xffff) << 48 };
	const words16 own = { UINT64_C(0xff) << 40, UINT64_C(0xff) << 40 };
	const bytes16 none = { 0 };
	const words16 zero = (words16)((bytes16)w == none);

	return ((words16)((bytes16)w == none + one) | (words16)((bytes16)w == none + other)) &
	       (zero >> 8 | top) & (zero >> 16 | top2) & ~own;
}

/* And the byte before it, if that is in the same word, is such a pointer's as well? */
static bool has_fourth(const struct run *r, uint64_t word)
{
	for (unsigned i = 0; i < 8; i++) {
		const uint8_t fifth = (uint8_t)(word >> 8 * i);
		const uint8_t fourth = (uint8_t)(word << 8 >> 8 * i);

		for (const struct reach_top *t = r->tops; i != 5 && t < r->tops + r->ntops; t++) {
			if (fifth == t->fifth && (!i || (fourth >= t->lo && fourth <= t->hi)))
				return true;
		}
	}
	return false;
}

static bool line_has(const struct run *r, const uint8_t *bytes, size_t nwords, uint8_t one,
		     uint8_t other)
{
	for (size_t i = 0; i < nwords; i++) {
		words16 w = { 0, 0 };

		memcpy(&w, bytes + i * 8, 8);
		if (has_fifth(w, one, other)[0] && has_fourth(r, w[0]))
			return true;
	}
	return false;
}

static bool have_two(const struct run *r, const uint8_t *bytes, size_t nwords, uint8_t one,
		     uint8_t other)
{
	enum { LINE = 64 };

	for (size_t i = 0, n; i < nwords; i += n) {
		words16 any = { 0, 0 }, w = { 0, 0 };
		size_t k;

		n = nwords - i > LINE ? LINE : nwords - i;
		for (k = 0; k + 2 <= n; k += 2) {
			memcpy(&w, bytes + (i + k) * 8, sizeof w);
			any |= has_fifth(w, one, other);
		}
		if ((any[0] || any[1] || k < n) && line_has(r, bytes + i * 8, n, one, other))
			return true;
	}
	return false;
}

/* May one of these words, with its neighbours, hold such a pointer that is not in its place? */
static bool may_have(const struct run *r, const uint8_t *bytes, size_t nwords)
{
	bool found = r->any_top;

	for (size_t k = 0; k < r->ntops && !found; k += 2)
		found = have_two(r, bytes, nwords, r->tops[k].fifth,
				 r->tops[k + 1 < r->ntops ? k + 1 : k].fifth);
	return found;
}

/* ---- what is searched anyway ------------------------------------------------------------------
 */

void reach_search_bytes(struct run *r, const uint8_t *bytes, size_t size, uint64_t at)
{
	reach_search_words(r, bytes, size, at);
	if (!may_have(r, bytes, size / 8))
		return;
	for (size_t i = 0; i + 8 <= size; i++) {
		uint64_t v;

		memcpy(&v, bytes + i, sizeof v);
		if ((at + i) % 8 && v - r->zones.lo < r->zones.span)
			reach_visit(r, v, at + i);
	}
}

/* ---- the heap, afterwards ---------------------------------------------------------------------
 */

/* A word that points to what is not marked, and the object that it lies in. */
struct hit {
	uint64_t at, v;
	uint32_t area, granule;
};

struct search {
	struct run *r;
	struct heap_area *a; /* that is searched, and how far it was taken */
	uint64_t next;
	pthread_mutex_t lock; /* of what follows */
	struct hit *hits;
	size_t nhits, cap;
	bool no_memory;
};

static void add_hit(struct search *s, struct hit hit)
{
	pthread_mutex_lock(&s->lock);
	if (s->nhits == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 64;
		struct hit *bigger = cap <= MOST_HITS ? realloc(s->hits, cap * sizeof hit) : NULL;

		s->no_memory |= !bigger;
		s->hits = bigger ? bigger : s->hits;
		s->cap = bigger ? cap : s->cap;
	}
	if (s->nhits < s->cap)
		s->hits[s->nhits++] = hit;
	pthread_mutex_unlock(&s->lock);
}

static bool is_left(const struct run *r, uint64_t v)
{
	const struct zone *z = v - r->zones.lo < r->zones.span ? zones_find(&r->zones, v) : NULL;
	const struct heap_area *a;
	uint32_t g;

	if (z && z->kind == ZONE_FRAMES)
		return !r->frames[z->index].marked;
	if (!z || z->kind != ZONE_AREA)
		return z && !(z->kind == ZONE_BLOCK ? r->block_marked : r->searched)[z->index];
	a = &r->heap.areas[z->index];
	g = heap_find(a, v);
	return g != UINT32_MAX && !heap_bit(a->mark, g);
}

/* With what lies before it and behind it: a pointer may be half in each. */
static void search_page(struct search *s, uint64_t page)
{
	const struct heap_area *a = s->a;
	const struct sparse_block *b = sparse_block(&a->words, page);
	const uint64_t lo = page > a->lo ? page - 8 : page, end = page + HEAP_PAGE;
	const uint64_t hi = end < a->hi ? end + 8 : end;
	uint8_t bytes[HEAP_PAGE + 16];

	if (!b || !may_have(s->r, (const uint8_t *)b->words, sparse_block_words(b)))
		return;
	sparse_get(&a->words, lo, hi - lo, bytes);
	for (uint64_t at = lo; at + 8 <= hi; at++) {
		uint32_t granule;
		uint64_t v;

		memcpy(&v, bytes + (at - lo), sizeof v);
		if (!(at % 8) || !is_left(s->r, v))
			continue;
		granule = heap_find(a, at);
		if (granule != UINT32_MAX)
			add_hit(s,
				(struct hit){ at, v, (uint32_t)(a - s->r->heap.areas), granule });
	}
}

static void search_pieces(void *search)
{
	struct search *s = search;
	uint64_t page;

	while ((page = __atomic_fetch_add(&s->next, PIECE, __ATOMIC_RELAXED)) < s->a->hi) {
		for (uint64_t end = page + PIECE; page < end && page < s->a->hi; page += HEAP_PAGE)
			search_page(s, page);
	}
}

/* What is found in an object that is marked. False: nothing new. */
static bool use_hits(struct search *s)
{
	struct run *r = s->r;
	bool any = false;

	for (size_t i = 0; i < s->nhits;) {
		const struct hit *h = &s->hits[i];
		const struct heap_area *a = &r->heap.areas[h->area];
		const uint64_t object = a->lo + (uint64_t)h->granule * HEAP_GRANULE;

		if (!heap_bit(a->mark, h->granule)) {
			i++;
			continue;
		}
		r->here = (struct reach_link){ .kind = REACH_OBJECT,
					       .object = object,
					       .size = heap_size(a, h->granule) };
		reach_visit(r, h->v, h->at);
		s->hits[i] = s->hits[--s->nhits];
		any = true;
	}
	return any;
}

struct goro_error *reach_search_unaligned(struct run *r)
{
	struct search s = { .r = r, .lock = PTHREAD_MUTEX_INITIALIZER };
	struct goro_error *err = NULL;

	for (size_t i = 0; i < r->heap.nareas && !reach_skips("unaligned"); i++) {
		s.a = &r->heap.areas[i];
		s.next = s.a->lo;
		if (s.a->hi - s.a->lo > REACH_WINDOW)
			two_work(search_pieces, &s);
		else
			search_pieces(&s);
	}
	while (!err && !s.no_memory && use_hits(&s))
		err = reach_drain(r);
	free(s.hits);
	return s.no_memory && !err ? &goro_enomem : err;
}
