/* SPDX-License-Identifier: MIT */
/*
 * reach_search.c - the words of roots, and of what was marked; see reach.c.
 */
#include "reach_run.h"

#include <string.h>

#include "reach_skip.h"

/* ---- what was marked --------------------------------------------------------------------------
 */

/* Its own pages, a window at a time. */
struct goro_error *reach_search_memory(struct run *r, uint64_t lo, uint64_t hi)
{
	struct goro_error *err = NULL;
	uint64_t loaded = 0; /* up to there */

	lo = (lo + 7) & ~7ull;
	for (uint64_t at = lo, end; at < hi && !err; at = end) {
		uint8_t own[REACH_WINDOW / HEAP_PAGE + 1];
		uint64_t page = at & ~(uint64_t)(HEAP_PAGE - 1);

		end = hi - page > REACH_WINDOW ? page + REACH_WINDOW : hi;
		if (!r->view->t->ops->own_pages ||
		    !r->view->t->ops->own_pages(r->view->t, page,
						(end + HEAP_PAGE - 1) & ~(uint64_t)(HEAP_PAGE - 1),
						own))
			memset(own, 1, sizeof own);
		for (uint64_t a = page, stop; a < end && !err; a = stop) {
			uint64_t from = a > at ? a : at;

			for (stop = a; stop < end && own[(stop - page) / HEAP_PAGE];)
				stop += HEAP_PAGE;
			if (stop == a) {
				stop += HEAP_PAGE;
				continue;
			}
			stop = stop < end ? stop : end;
			if (from >= stop)
				continue;
			/* A pointer may be half in the window before. */
			if (from == loaded)
				from -= 8;
			memset(r->window, 0, stop - from);
			err = heap_load_run(r->view->t, from, stop, r->window);
			reach_search_bytes(r, r->window, stop - from, from);
			loaded = stop;
		}
	}
	return err;
}

void reach_search_object(struct run *r, const struct heap_area *a, uint64_t at, size_t size)
{
	const uint64_t end = at + size;
	/* Of the proof's big heap nearly every word points to what is known to be reachable. */
	const uint64_t *suspects = r->suspects ? r->suspects[a - r->heap.areas] : NULL;

	for (uint64_t p = at, next; p < end; p = next) {
		struct sparse_piece piece = sparse_piece(&a->words, p, end);

		for (; piece.bits; piece.bits &= piece.bits - 1, piece.v++) {
			const uint64_t v = *piece.v, in = (v & 0xffffffffffff) - a->lo;

			if (suspects && in < a->hi - a->lo && !heap_bit(suspects, in / HEAP_PAGE) &&
			    (v & 0x1ffff) != r->disguise)
				continue;
			reach_guess_note(r, (size_t)(a - r->heap.areas), p, v);
			reach_word(r, v,
				   (p & ~511ull) + 8u * (unsigned)__builtin_ctzll(piece.bits));
		}
		next = piece.next;
	}
}

static void search_area(struct run *r, const struct todo *t)
{
	const struct heap_area *a = &r->heap.areas[t->index];
	uint64_t at = a->lo + (uint64_t)t->granule * HEAP_GRANULE;
	size_t size = heap_size(a, t->granule);

	r->ret->objects++;
	r->ret->object_bytes += size;
	r->here = (struct reach_link){ .kind = REACH_OBJECT, .object = at, .size = size };
	reach_search_object(r, a, at, size);
}

static struct goro_error *search_block(struct run *r, uint32_t index)
{
	const struct heap_block *b = &r->heap.blocks[index];

	r->ret->objects++;
	r->here = (struct reach_link){ .kind = REACH_OBJECT,
				       .object = heap_block_begin(b),
				       .size = b->hi - heap_block_begin(b) };
	r->ret->object_bytes += r->here.size;
	return reach_skips("blocks") ? NULL : reach_search_memory(r, b->lo, b->hi);
}

/* Where an object's page is, first; once that is there, its words. */
static void fetch(const struct run *r, const struct todo *t, bool words)
{
	const struct heap_area *a;
	const struct sparse_block *b;
	uint64_t at;

	if (t->kind != ZONE_AREA)
		return;
	a = &r->heap.areas[t->index];
	at = a->lo + (uint64_t)t->granule * HEAP_GRANULE - 8;
	b = sparse_block(&a->words, at);
	if (b && words) {
		__builtin_prefetch(sparse_words(b, at / 512 % SPARSE_LINES, at / 8 % 64));
	} else if (b) {
		__builtin_prefetch(&b->map[at / 512 % SPARSE_LINES]);
		__builtin_prefetch(b->before);
	}
}

static bool next_todo(struct run *r, struct todo *ret)
{
	for (; r->nahead < REACH_AHEAD && r->ntodo; r->nahead++) {
		struct todo *t = &r->ahead[(r->first_ahead + r->nahead) % REACH_AHEAD];

		*t = r->todo[--r->ntodo];
		r->nobjects -= t->kind == ZONE_AREA;
		fetch(r, t, false);
	}
	if (!r->nahead)
		return false;
	if (r->nahead > REACH_AHEAD / 2)
		fetch(r, &r->ahead[(r->first_ahead + REACH_AHEAD / 2) % REACH_AHEAD], true);
	*ret = r->ahead[r->first_ahead++ % REACH_AHEAD];
	r->nahead--;
	return true;
}

struct goro_error *reach_drain(struct run *r)
{
	struct goro_error *err = NULL;
	struct todo t;

	while (!err && !r->no_memory) {
		if (r->nobjects >= r->wide && !r->view->why) {
			reach_sweep(r);
		} else if (next_todo(r, &t)) {
			if (t.kind == ZONE_AREA)
				search_area(r, &t);
			else if (t.kind == ZONE_FRAMES)
				err = reach_search_frames(r, t.index);
			else
				err = search_block(r, t.index);
		} else if (r->nsearched < r->nstacks) {
			err = reach_search_stacks(r);
		} else if (!reach_mark_seen(r)) {
			break;
		}
	}
	return r->no_memory && !err ? &goro_enomem : err;
}

/* ---- the roots ----------------------------------------------------------------------------------
 */

struct goro_error *reach_search_roots(struct run *r, const struct roots *roots)
{
	struct goro_error *err = NULL;

	r->here = (struct reach_link){ .kind = REACH_MEMORY };
	for (size_t i = 0; i < roots->n && !err; i++) {
		r->ret->root_bytes += roots->v[i].hi - roots->v[i].lo;
		err = reach_search_memory(r, roots->v[i].lo, roots->v[i].hi);
	}
	r->here = (struct reach_link){ .kind = REACH_KERNEL };
	if (!err && !reach_skips("kept"))
		reach_search_words(r, (const uint8_t *)r->view->kept,
				   r->view->nkept * sizeof *r->view->kept, 0);
	for (size_t i = 0; i < r->view->nthreads && !err; i++) {
		const struct target_thread *t = &r->view->threads[i];

		r->here = (struct reach_link){ .kind = REACH_REGISTERS, .id = (uint64_t)t->tid };
		if (!reach_skips("registers"))
			reach_search_words(r, (const uint8_t *)t->regs, t->nregs * sizeof *t->regs,
					   0);
		if (!roots->idle[i])
			reach_search_used_by(r, t);
		/* In the middle of a copy a pointer may begin at any byte of a register. */
		for (size_t k = 0;
		     !roots->idle[i] && k < 8 && k < t->vector_size && !reach_skips("vector"); k++)
			reach_search_words(r, t->vector + k, t->vector_size - k, 0);
	}
	return err;
}
