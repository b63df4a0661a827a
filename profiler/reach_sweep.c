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
 * Where there are two processors each has its half of the heap, of whose marks nobody else writes
 * any, so marking costs what it costs alone. What an object points to in the other half goes there
 * as mail, many at a time (reach_sweep_two.c).
 *
 * In whatever order, the marks that come of it are the same. Only a chain from a root to an object
 * (reach_chain.c) depends on it, so whoever wants one gets the list alone.
 *
 * Rejected: to mark at once with a prefetch and a queue (twice the time: each look at a bitmap has
 * to find its page first); threads that share the list (atomic marks, for less).
 */
#include "reach_sweep.h"

#include <stdlib.h>

#include "reach_skip.h"
#include "two.h"

/* ---- all areas side by side -------------------------------------------------------------------
 */

static int by_lo(const void *a, const void *b)
{
	const struct strip *x = a, *y = b;

	return (x->a->lo > y->a->lo) - (x->a->lo < y->a->lo);
}

/* False: no memory. Of more than 2^32 granules the list must do. */
static bool number_strips(struct run *r, struct field *f)
{
	uint64_t n = 0;

	qsort(f->strips, f->nstrips, sizeof *f->strips, by_lo);
	for (size_t k = 0; k < f->nstrips; k++) {
		struct strip *t = &f->strips[k];

		t->base = (uint32_t)n;
		n += heap_bitmap_words(t->a) * 64;
		if (n > UINT32_MAX) {
			r->wide = SIZE_MAX;
			return true;
		}
		t->end = (uint32_t)n;
		f->position[t->index] = (uint32_t)k;
	}
	f->total = (uint32_t)n;
	f->at = calloc((n >> SWEEP_UNIT) + 1, sizeof *f->at);
	if (!f->at)
		return false;
	for (size_t k = f->nstrips; k-- > 0;) {
		for (uint32_t u = f->strips[k].base >> SWEEP_UNIT;
		     u <= (f->strips[k].end - 1) >> SWEEP_UNIT; u++)
			f->at[u] = (uint32_t)k;
	}
	f->shift = r->wide == 1 ? 6 : 16;
	while (f->total >> f->shift >= SWEEP_PARTS)
		f->shift++;
	return true;
}

static struct field *make_field(struct run *r)
{
	struct field *f = calloc(1, sizeof *f);
	bool ok = f != NULL;

	r->field = f;
	if (ok) {
		f->strips = calloc(r->heap.nareas + 1, sizeof *f->strips);
		f->position = calloc(r->heap.nareas + 1, sizeof *f->position);
		f->parts[0] = calloc(1, sizeof *f->parts[0]);
		ok = f->strips && f->position && f->parts[0];
	}
	for (size_t i = 0; i < r->heap.nareas && ok; i++) {
		struct heap_area *a = &r->heap.areas[i];

		f->strips[f->nstrips++] = (struct strip){
			.a = a,
			.pending = heap_bitmap(a),
			.watched = r->watched[i],
			.leads = r->leads ? r->leads[i] : NULL,
			.index = (uint32_t)i,
			.lo = a->first + 16,
			.span = heap_last(a) + 1 - (a->first + 16),
		};
		ok = f->strips[i].pending != NULL;
	}
	return ok && number_strips(r, f) ? f : NULL;
}

void reach_sweep_free(struct run *r)
{
	struct field *f = r->field;

	if (!f)
		return;
	for (size_t k = 0; k < f->nstrips; k++)
		free(f->strips[k].pending);
	free(f->strips);
	free(f->position);
	free(f->at);
	free(f->parts[0]);
	free(f->parts[1]);
	free(f);
	r->field = NULL;
}

/* The one that this granule lies in. */
static inline const struct strip *strip_of(const struct field *f, uint32_t number)
{
	const struct strip *t = &f->strips[f->at[number >> SWEEP_UNIT]];

	while (number >= t->end)
		t++;
	return t;
}

/* ---- marking ----------------------------------------------------------------------------------
 */

enum { AHEAD = 12 }; /* to mark; the processor fetches what it takes meanwhile */

/* It is marked later, with others near it. */
static inline void put(struct sweep *s, uint32_t number)
{
	const size_t part = number >> s->f->shift;

	s->parts->numbers[part][s->parts->n[part]++] = number;
	if (s->parts->n[part] == SWEEP_IN_PART)
		sweep_mark_part(s, part);
}

static inline void mark(struct sweep *s, const struct strip *t, uint64_t v)
{
	const uint32_t g = heap_find(t->a, v);

	/* The object may begin where the other thread has the marks. */
	if (!sweep_owns(s, t->base + g)) {
		put(s, t->base + g);
		return;
	}
	/* What reach_mark_object() does, of what is certain here left out. */
	if (heap_bit(t->a->mark, g) || (reach_skips("arenas") && t->index) ||
	    (reach_skips("interior") && v != t->a->lo + (uint64_t)g * HEAP_GRANULE))
		return;
	heap_set(t->a->mark, g);
	if (t->leads && !heap_bit(t->leads, g))
		return;
	heap_set(t->pending, g);
	s->npending++;
	if (heap_bit(t->watched, g)) {
		sweep_lock(s);
		reach_wake_watchers(s->r, t->a->lo + (uint64_t)g * HEAP_GRANULE);
		sweep_unlock(s);
	}
}

/* Where the bits are that will be looked at; */
static inline void fetch(const struct strip *t, uint32_t number)
{
	const size_t w = (number - t->base) / 64;

	__builtin_prefetch(&t->a->start[w]);
	__builtin_prefetch(&t->a->mark[w], 1);
	__builtin_prefetch(&t->pending[w], 1);
	__builtin_prefetch(&t->watched[w]);
}

void sweep_mark_all(struct sweep *s, const uint32_t *numbers, uint32_t n)
{
	const struct strip *t = n ? strip_of(s->f, numbers[0]) : NULL;

	for (uint32_t i = 0; i < n; i++) {
		const uint32_t number = numbers[i];

		if (i + AHEAD < n && numbers[i + AHEAD] - t->base < t->end - t->base)
			fetch(t, numbers[i + AHEAD]);
		if (number - t->base >= t->end - t->base)
			t = strip_of(s->f, number);
		mark(s, t, t->a->lo + (uint64_t)(number - t->base) * HEAP_GRANULE);
	}
}

void sweep_mark_part(struct sweep *s, size_t part)
{
	const uint32_t n = s->parts->n[part];

	s->parts->n[part] = 0;
	if (!n)
		return;
	/* What is put meanwhile is the other one's, and no part is of both. */
	if (sweep_owns(s, (uint32_t)(part << s->f->shift)))
		sweep_mark_all(s, s->parts->numbers[part], n);
	else
		sweep_send(s, s->parts->numbers[part], n);
}

/* ---- searching --------------------------------------------------------------------------------
 */

/* An address that may be anything's. */
static void visit(struct sweep *s, uint64_t v)
{
	const struct zone *z = zones_find(&s->r->zones, v);
	const struct strip *t;

	if (z && z->kind == ZONE_AREA) {
		t = &s->f->strips[s->f->position[z->index]];
		if (v - t->lo < t->span)
			put(s, t->base + (uint32_t)((v - t->a->lo) / HEAP_GRANULE));
	} else if (z) {
		sweep_lock(s);
		reach_visit(s->r, v, 0);
		sweep_unlock(s);
	}
}

/* What is no plain address in the same area; see reach_word(). */
static void see_other(struct sweep *s, const struct strip *t, uint64_t at, uint64_t word)
{
	const uint64_t plain = word & 0xffffffffffff;

	reach_guess_note(s->r, t->index, at, word);
	if (plain - s->r->zones.lo < s->r->zones.span)
		visit(s, plain);
	if ((word & 0x1ffff) == s->r->disguise)
		visit(s, reach_undisguise(s->r, word));
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

#define NEAR (UINT64_C(16) << 10) /* bytes of the heap, whose bits are in the cache anyway */

static void search(struct sweep *s, const struct strip *t, uint32_t g)
{
	const struct heap_area *a = t->a;
	const uint64_t at = a->lo + (uint64_t)g * HEAP_GRANULE, end = end_of(a, g);
	const uint64_t near = at - t->lo > NEAR ? at - NEAR : t->lo;

	s->objects++;
	s->bytes += end - at;
	s->npending--;
	for (uint64_t p = at, next; p < end; p = next) {
		struct sparse_piece piece = sparse_piece(&a->words, p, end);

		for (; piece.bits; piece.bits &= piece.bits - 1, piece.v++) {
			const uint64_t v = *piece.v;

			if (v - t->lo >= t->span || (v & 0x1ffff) == s->r->disguise)
				see_other(s, t, p, v);
			else if (v - near < 2 * NEAR)
				mark(s, t, v);
			else
				put(s, t->base + (uint32_t)((v - a->lo) / HEAP_GRANULE));
		}
		next = piece.next;
	}
}

/* Those that wait in one word of a bitmap, and what they add to it. */
static void search_pending(struct sweep *s, const struct strip *t, size_t w, bool down)
{
	while (t->pending[w]) {
		const unsigned bit = down ? 63 - (unsigned)__builtin_clzll(t->pending[w])
					  : (unsigned)__builtin_ctzll(t->pending[w]);

		t->pending[w] &= ~(UINT64_C(1) << bit);
		search(s, t, (uint32_t)(w * 64 + bit));
	}
}

static void sweep_part(struct sweep *s, size_t part, bool down)
{
	const uint32_t lo = (uint32_t)part << s->f->shift, size = UINT32_C(1) << s->f->shift;
	const uint32_t hi = s->f->total - lo > size ? lo + size : s->f->total;
	const struct strip *t = strip_of(s->f, lo);

	sweep_take(s);
	sweep_mark_part(s, part);
	for (uint32_t k = 0; k < hi - lo; k += 64) {
		const uint32_t number = down ? hi - 64 - k : lo + k;

		if (number - t->base >= t->end - t->base)
			t = strip_of(s->f, number);
		search_pending(s, t, (number - t->base) / 64, down);
	}
}

void sweep_once(struct sweep *s, bool down)
{
	const size_t n = sweep_parts(s->f);

	for (size_t k = 0; k < n; k++) {
		const size_t part = down ? n - 1 - k : k;

		if (sweep_owns(s, (uint32_t)part << s->f->shift))
			sweep_part(s, part, down);
	}
	for (size_t k = 0; k < n; k++) {
		if (reach_skips("behind"))
			s->parts->n[k] = 0;
		sweep_mark_part(s, k);
	}
}

/* ---- all of it --------------------------------------------------------------------------------
 */

/* The list's objects become bits, what else there is stays. Returns how many there are. */
static size_t begin(struct run *r)
{
	const struct field *f = r->field;
	size_t kept = 0, n = 0;

	/* Nothing is marked in any other way from here on. */
	reach_mark_seen(r);
	for (size_t i = 0; i < r->ntodo; i++) {
		const struct todo *t = &r->todo[i];

		if (t->kind != ZONE_AREA) {
			r->todo[kept++] = *t;
			continue;
		}
		heap_set(f->strips[f->position[t->index]].pending, t->granule);
		n++;
	}
	r->ntodo = kept;
	r->nobjects = 0;
	return n;
}

/* And back. */
static void end(struct run *r)
{
	const struct field *f = r->field;

	for (size_t k = 0; k < f->nstrips; k++) {
		const struct strip *t = &f->strips[k];

		for (size_t w = 0; w < heap_bitmap_words(t->a); w++) {
			uint64_t bits = t->pending[w];

			for (; bits; bits &= bits - 1)
				reach_push_object(
					r, t->index,
					(uint32_t)(w * 64 + (unsigned)__builtin_ctzll(bits)));
			t->pending[w] = 0;
		}
	}
}

static void sweep_alone(struct run *r, size_t npending)
{
	struct sweep s = {
		.r = r, .f = r->field, .parts = r->field->parts[0], .npending = npending
	};

	for (bool down = true; s.npending >= r->wide; down = !down)
		sweep_once(&s, down);
	sweep_count(&s);
}

/* The tests have small heaps, and maybe one processor. */
static bool is_worth_two(const struct run *r)
{
	return r->wide == 1 || (r->heap.bytes >= SWEEP_WORTH_TWO && two_are_there());
}

/* False: the list must do. */
static bool is_possible(struct run *r)
{
	if (!r->field && !make_field(r)) {
		r->no_memory = true;
		return false;
	}
	return r->wide != SIZE_MAX;
}

static void sweep(struct run *r, size_t npending)
{
	if (!is_worth_two(r) || !sweep_both(r))
		sweep_alone(r, npending);
	end(r);
}

void reach_sweep(struct run *r)
{
	if (is_possible(r))
		sweep(r, begin(r));
}

/* What is marked in one word of a bitmap and was not searched. */
static uint64_t rest(const struct run *r, size_t area, size_t w)
{
	return r->heap.areas[area].mark[w] & r->ret->guess.areas[area].used[w] & ~r->leads[area][w];
}

void reach_sweep_rest(struct run *r)
{
	const bool possible = is_possible(r);
	size_t n = 0;

	for (size_t i = 0; i < r->heap.nareas && !r->no_memory; i++) {
		struct strip *t = possible ? &r->field->strips[r->field->position[i]] : NULL;

		for (size_t w = 0; w < heap_bitmap_words(&r->heap.areas[i]); w++) {
			uint64_t bits = rest(r, i, w);

			n += sparse_count(bits);
			if (t)
				t->pending[w] = bits;
			for (; !t && bits; bits &= bits - 1)
				reach_push_object(
					r, (uint32_t)i,
					(uint32_t)(w * 64 + (unsigned)__builtin_ctzll(bits)));
		}
		if (t)
			t->leads = NULL;
	}
	reach_back_free(r);
	if (possible && !r->no_memory)
		sweep(r, n);
}
