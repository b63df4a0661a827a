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
 * That is sound whatever the guess is. An object that is marked too early is one root more. One
 * that was left unmarked is marked as ever if anything that is a root, or was marked, points to it.
 * A bad guess can hide a leak, for as long as the filter does; so small heaps, where it saves
 * nothing, are marked from the roots alone.
 */
#include "reach_run.h"

#include <stdlib.h>

#include "reach_skip.h"

#define BIG_HEAP (UINT64_C(64) << 20) /* bytes */

static bool is_big(const struct run *r)
{
	return r->heap.bytes >= BIG_HEAP || reach_skips("small") || reach_skips("unsearched");
}

/* ---- making one -------------------------------------------------------------------------------
 */

bool reach_guess_make(const struct run *r, struct reach_guess *ret)
{
	*ret = (struct reach_guess){ 0 };
	if (!is_big(r))
		return true;
	ret->dead = calloc(r->heap.nareas + 1, sizeof *ret->dead);
	ret->blocks = calloc(r->heap.nblocks + 1, sizeof *ret->blocks);
	if (!ret->dead || !ret->blocks)
		return false;
	for (size_t i = 0; i < r->heap.nareas; i++) {
		const struct heap_area *a = &r->heap.areas[i];

		ret->dead[i] = malloc(heap_bitmap_words(a) * sizeof **ret->dead);
		if (!ret->dead[i])
			return false;
		ret->ndead++;
		for (size_t w = 0; w < heap_bitmap_words(a); w++)
			ret->dead[i][w] = a->start[w] & ~a->mark[w];
	}
	for (size_t i = 0; i < r->heap.nblocks; i++) {
		if (!r->block_marked[i])
			ret->blocks[ret->nblocks++] = r->heap.blocks[i].lo;
	}
	return true;
}

void reach_guess_free(struct reach_guess *g)
{
	for (size_t i = 0; i < g->ndead; i++)
		free(g->dead[i]);
	heap_free(&g->heap);
	free(g->dead);
	free(g->blocks);
	*g = (struct reach_guess){ 0 };
}

/* ---- using it ---------------------------------------------------------------------------------
 */

/* A bit for each page in which there is a byte of an object that is not marked. */
static void suspect(uint64_t *pages, const struct heap_area *a, uint32_t granule)
{
	uint64_t from = (uint64_t)granule * HEAP_GRANULE / HEAP_PAGE;
	uint64_t to = ((uint64_t)granule * HEAP_GRANULE + heap_size(a, granule)) / HEAP_PAGE;

	for (uint64_t p = from; p <= to && p <= (a->hi - a->lo) / HEAP_PAGE; p++)
		heap_set(pages, p);
}

static bool mark_area(struct run *r, size_t i)
{
	struct heap_area *a = &r->heap.areas[i];
	const struct reach_guess *guess = r->view->guess;
	const size_t n = heap_bitmap_words(a);
	const uint64_t *guessed = NULL;
	size_t nguessed = 0;

	r->live[i] = malloc(n * sizeof **r->live);
	r->suspects[i] = calloc((a->hi - a->lo) / HEAP_PAGE / 64 + 2, sizeof **r->suspects);
	if (!r->live[i] || !r->suspects[i])
		return false;
	for (size_t k = 0; k < guess->ndead && !guessed; k++) {
		if (guess->heap.areas[k].lo == a->lo) {
			guessed = guess->dead[k];
			nguessed = heap_bitmap_words(&guess->heap.areas[k]);
		}
	}
	for (size_t w = 0; w < n; w++) {
		const uint64_t used = a->start[w] & ~a->mark[w];
		uint64_t dead = w < nguessed ? used & guessed[w] : 0;

		r->live[i][w] = used & ~dead;
		a->mark[w] |= used & ~dead;
		for (; dead; dead &= dead - 1)
			suspect(r->suspects[i], a,
				(uint32_t)(w * 64 + (unsigned)__builtin_ctzll(dead)));
	}
	return true;
}

bool reach_guess_mark(struct run *r)
{
	if (!r->view->guess || !r->view->guess->dead || r->view->why || !is_big(r))
		return true;
	r->live = calloc(r->heap.nareas + 1, sizeof *r->live);
	r->suspects = calloc(r->heap.nareas + 1, sizeof *r->suspects);
	if (!r->live || !r->suspects)
		return false;
	for (size_t i = 0; i < r->heap.nareas; i++) {
		if (!mark_area(r, i))
			return false;
	}
	return true;
}

/* Objects that lie side by side are searched as one: their sizes in between are no pointers. */
static void search_area(struct run *r, size_t i)
{
	const struct heap_area *a = &r->heap.areas[i];
	uint64_t from = 0, n = 0, end;

	for (size_t w = 0; w < heap_bitmap_words(a); w++) {
		uint64_t live = r->live[i][w];

		for (uint64_t bits = a->start[w]; bits; bits &= bits - 1) {
			uint64_t at =
				a->lo + (w * 64 + (unsigned)__builtin_ctzll(bits)) * HEAP_GRANULE;

			if (bits & -bits & live) {
				from = from ? from : at;
				n++;
			} else if (from) {
				reach_search_object(r, a, from, at - 8 - from);
				r->ret->object_bytes += at - from - 8 * n;
				from = 0;
				r->ret->objects += n;
				n = 0;
			}
		}
	}
	end = a->top + 8;
	if (from) {
		reach_search_object(r, a, from, end - from);
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
