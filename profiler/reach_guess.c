/* SPDX-License-Identifier: MIT */
/*
 * reach_guess.c - to check what the filter found is faster than to find it again.
 *
 * The filter has marked the objects of a big heap already, by following pointers from one to the
 * next: most of its time goes into waiting for memory. What it left unmarked in a target that ran
 * is no proof, but a good guess. So in the view of the proof all other objects are taken to be
 * reachable: nobody needs to follow a pointer to them, and what they hold is gone through in the
 * order of addresses, which is several times as fast.
 *
 * (In the filter marking goes only through what leads to who waits, and all other objects are taken
 * to be reachable, too: reach_back.c. Marked, below, is what is not guessed to be dead.)
 *
 * That is sound whatever the guess is. An object that is marked too early is one root more. One
 * that was left unmarked is marked as ever if anything that is a root, or was marked, points to it.
 * A bad guess can hide a leak, for as long as the filter does; so small heaps, where it saves
 * nothing, are marked from the roots alone.
 *
 * Nor does all of that have to be gone through. The filter searched a copy, and marked whatever in
 * it the objects that it had marked point to. The proof's copy lies in the same store, so a page
 * with the same words is the same block (sparse.h). What lies there and was searched then leads to
 * what was marked then, and to nothing that the guess holds for dead: it can be left out, if
 *  - all of the object was searched: it was in use, marked, and ended where it does now;
 *  - what its words point to is the same object now: the guess counts for nothing where another
 *    one begins than did then (compare_starts());
 *  - each of its words is an address in this area or none at all. What lies elsewhere, such as
 *    stacks, may have changed without it; and setjmp()'s disguise is not known to the filter.
 *    (Disguised, an address is as good as random: it looks like one in the area once in 2^34.)
 * All other pages are searched again: `again` has a bit for each. So the second pass costs what was
 * written since the first.
 */
#include "reach_run.h"

#include <stdlib.h>
#include <string.h>

#include "reach_skip.h"

#define BIG_HEAP (UINT64_C(64) << 20) /* bytes */

static bool is_big(const struct run *r)
{
	return r->heap.bytes >= BIG_HEAP || reach_skips("small") || reach_skips("unsearched") ||
	       reach_skips("changed") || reach_skips("odd") || reach_skips("far") ||
	       reach_skips("held") || reach_skips("back");
}

/* ---- making one -------------------------------------------------------------------------------
 */

bool reach_guess_begin(struct run *r)
{
	struct reach_guess *g = &r->ret->guess;

	if (!r->view->store || r->view->guess || r->view->why || !is_big(r))
		return true;
	g->areas = calloc(r->heap.nareas + 1, sizeof *g->areas);
	g->blocks = calloc(r->heap.nblocks + 1, sizeof *g->blocks);
	if (!g->areas || !g->blocks)
		return false;
	for (size_t i = 0; i < r->heap.nareas; i++) {
		const struct heap_area *a = &r->heap.areas[i];
		struct reach_guessed *to = &g->areas[g->nareas++];

		to->used = heap_bitmap(a);
		to->odd = calloc((a->hi - a->lo) / HEAP_PAGE / 64 + 1, sizeof *to->odd);
		if (!to->used || !to->odd)
			return false;
		for (size_t w = 0; w < heap_bitmap_words(a); w++)
			to->used[w] = a->start[w] & ~a->mark[w];
	}
	return true;
}

bool reach_guess_make(struct run *r)
{
	struct reach_guess *g = &r->ret->guess;

	if (!g->areas)
		return true;
	for (size_t i = 0; i < g->nareas; i++) {
		const struct heap_area *a = &r->heap.areas[i];

		g->areas[i].dead = calloc(heap_bitmap_words(a), sizeof(uint64_t));
		if (!g->areas[i].dead)
			return false;
		/* Few are, and what is not written to takes no room. */
		for (size_t w = 0; w < heap_bitmap_words(a); w++) {
			uint64_t dead = g->areas[i].used[w] & ~a->mark[w];

			if (r->leads)
				dead &= r->leads[i][w];
			if (dead)
				g->areas[i].dead[w] = dead;
		}
	}
	for (size_t i = 0; i < r->heap.nblocks; i++) {
		if (!r->block_marked[i])
			g->blocks[g->nblocks++] = r->heap.blocks[i].lo;
	}
	return true;
}

void reach_guess_keep(struct run *r)
{
	for (size_t i = 0; i < r->heap.nareas; i++) {
		free(r->heap.areas[i].mark);
		r->heap.areas[i].mark = NULL;
	}
	r->ret->guess.heap = r->heap;
	r->heap = (struct heap){ 0 };
}

void reach_guess_free(struct reach_guess *g)
{
	for (size_t i = 0; i < g->nareas; i++) {
		free(g->areas[i].used);
		free(g->areas[i].dead);
		free(g->areas[i].odd);
	}
	heap_free(&g->heap);
	free(g->areas);
	free(g->blocks);
	*g = (struct reach_guess){ 0 };
}

/* ---- using it ---------------------------------------------------------------------------------
 */

/* Set the bit of each page in which there is a byte of that object. */
static void touch(uint64_t *pages, const struct heap_area *a, uint32_t granule)
{
	uint64_t from = (uint64_t)granule * HEAP_GRANULE / HEAP_PAGE;
	uint64_t to = ((uint64_t)granule * HEAP_GRANULE + heap_size(a, granule)) / HEAP_PAGE;

	for (uint64_t p = from; p <= to && p <= (a->hi - a->lo) / HEAP_PAGE; p++)
		heap_set(pages, p);
}

/*
 * Objects that begin where none did, or the other way round: what lies there now is not what was
 * looked at then.
 */
static void compare_starts(struct run *r, size_t i, const struct heap_area *then)
{
	const struct heap_area *a = &r->heap.areas[i];

	for (size_t w = 0; w < heap_bitmap_words(a); w++) {
		for (uint64_t bits = a->start[w] ^ then->start[w]; bits; bits &= bits - 1) {
			const uint32_t k = (uint32_t)(w * 64 + (unsigned)__builtin_ctzll(bits));
			const uint32_t g = heap_find(a, a->lo + (uint64_t)k * HEAP_GRANULE);

			if (g == UINT32_MAX || !heap_bit(a->start, g) || heap_bit(a->mark, g))
				continue;
			heap_set(r->live[i], g);
			touch(r->again[i], a, g);
		}
	}
}

/* What the filter has not searched as it is now: only that can point to what it has not marked. */
static void compare(struct run *r, size_t i, const struct heap_area *then,
		    const struct reach_guessed *guessed)
{
	const struct heap_area *a = &r->heap.areas[i];

	for (size_t p = 0; p < (a->hi - a->lo) / HEAP_PAGE; p++) {
		const bool changed = a->words.pages[p] != then->words.pages[p];

		if ((changed && !reach_skips("changed")) ||
		    (heap_bit(guessed->odd, p) && !reach_skips("odd")))
			heap_set(r->again[i], p);
	}
	compare_starts(r, i, then);
	for (size_t w = 0; w < heap_bitmap_words(a); w++) {
		uint64_t bits = r->live[i][w] & ~(guessed->used[w] & ~guessed->dead[w]);

		for (; bits; bits &= bits - 1)
			touch(r->again[i], a, (uint32_t)(w * 64 + (unsigned)__builtin_ctzll(bits)));
	}
}

/* The guess at an area that began there, or NULL. */
static const struct reach_guessed *find_guessed(const struct reach_guess *guess, uint64_t lo,
						const struct heap_area **then)
{
	for (size_t k = 0; k < guess->nareas; k++) {
		*then = &guess->heap.areas[k];
		if ((*then)->lo == lo)
			return &guess->areas[k];
	}
	return NULL;
}

static bool mark_area(struct run *r, size_t i)
{
	struct heap_area *a = &r->heap.areas[i];
	const size_t n = heap_bitmap_words(a), npages = (a->hi - a->lo) / HEAP_PAGE;
	const struct heap_area *then = NULL;
	const struct reach_guessed *guessed = find_guessed(r->view->guess, a->lo, &then);
	const size_t nguessed = guessed ? heap_bitmap_words(then) : 0;

	r->live[i] = heap_bitmap(a);
	r->suspects[i] = calloc(npages / 64 + 2, sizeof **r->suspects);
	r->again[i] = calloc(npages / 64 + 2, sizeof **r->again);
	if (!r->live[i] || !r->suspects[i] || !r->again[i])
		return false;
	for (size_t w = 0; w < n; w++)
		r->live[i][w] = a->start[w] & ~a->mark[w] & ~(w < nguessed ? guessed->dead[w] : 0);
	if (guessed && then->hi == a->hi && a->words.words == then->words.words)
		compare(r, i, then, guessed);
	else
		memset(r->again[i], 0xff, (npages / 64 + 2) * sizeof **r->again);
	for (size_t w = 0; w < n; w++) {
		uint64_t dead = a->start[w] & ~a->mark[w] & ~r->live[i][w];

		a->mark[w] |= r->live[i][w];
		for (; dead; dead &= dead - 1)
			touch(r->suspects[i], a,
			      (uint32_t)(w * 64 + (unsigned)__builtin_ctzll(dead)));
	}
	return true;
}

bool reach_guess_mark(struct run *r)
{
	if (!r->view->guess || !r->view->guess->areas || r->view->why || !is_big(r))
		return true;
	r->live = calloc(r->heap.nareas + 1, sizeof *r->live);
	r->suspects = calloc(r->heap.nareas + 1, sizeof *r->suspects);
	r->again = calloc(r->heap.nareas + 1, sizeof *r->again);
	if (!r->live || !r->suspects || !r->again)
		return false;
	for (size_t i = 0; i < r->heap.nareas; i++) {
		if (!mark_area(r, i))
			return false;
	}
	return true;
}

/* Of the words of objects from `from` to `end`, those in pages that must be searched again. */
static void search_run(struct run *r, size_t i, uint64_t from, uint64_t end)
{
	const struct heap_area *a = &r->heap.areas[i];

	for (uint64_t p = from, next; p < end; p = next) {
		next = (p | (HEAP_PAGE - 1)) + 1;
		if (heap_bit(r->again[i], (p - a->lo) / HEAP_PAGE))
			reach_search_object(r, a, p, (next < end ? next : end) - p);
	}
}

/* Objects that lie side by side are searched as one: their sizes in between are no pointers. */
static void search_area(struct run *r, size_t i)
{
	const struct heap_area *a = &r->heap.areas[i];
	uint64_t from = 0, n = 0, end;

	for (size_t w = 0; w < heap_bitmap_words(a); w++) {
		const uint64_t live = r->live[i][w];

		if (from && a->start[w] == live) {
			n += sparse_count(live);
			continue;
		}
		for (uint64_t bits = a->start[w]; bits; bits &= bits - 1) {
			uint64_t at =
				a->lo + (w * 64 + (unsigned)__builtin_ctzll(bits)) * HEAP_GRANULE;

			if (bits & -bits & live) {
				from = from ? from : at;
				n++;
			} else if (from) {
				search_run(r, i, from, at - 8);
				r->ret->object_bytes += at - from - 8 * n;
				from = 0;
				r->ret->objects += n;
				n = 0;
			}
		}
	}
	end = a->top + 8;
	if (from) {
		search_run(r, i, from, end);
		r->ret->object_bytes += end + 8 - from - 8 * n;
		r->ret->objects += n;
	}
}

void reach_guess_search(struct run *r)
{
	if (!r->live || reach_skips("unsearched"))
		return;
	for (size_t i = 0; i < r->heap.nareas; i++)
		search_area(r, i);
	for (size_t i = 0; i < r->heap.nblocks; i++) {
		bool dead = false;

		for (size_t k = 0; k < r->view->guess->nblocks && !dead; k++)
			dead = r->view->guess->blocks[k] == r->heap.blocks[i].lo;
		if (!dead)
			reach_visit(r, heap_block_begin(&r->heap.blocks[i]), 0);
	}
}
