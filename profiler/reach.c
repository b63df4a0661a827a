/* SPDX-License-Identifier: MIT */
/*
 * reach.c - which blocked goroutines nothing can reach that still runs: marking, as a collector's.
 *
 * The algorithm is that of Go's goroutineleak profile (and of GOLF before it), conservative and
 * from outside. Roots are all words of all memory that is the program's and not known to be
 * something else: data and bss, thread-local variables, stacks and registers of threads, mappings
 * of whatever kind; further the stacks of all goroutines but those that wait for something another
 * goroutine must do. What a word may point to, an object of the heap or a stack, is marked and
 * searched in turn. A goroutine whose wait object gets marked could be woken: its stack becomes a
 * root as well. Who is left when nothing is left to do waits for what nobody has.
 *
 * Why that is sound. Whoever wakes a goroutine must have a pointer to what it waits for, or to
 * something that leads there. All pointers of the view are looked at but those in five places, of
 * which each is shown to be harmless: (1) dead stack below a stack pointer; (2) free chunks; (3)
 * stacks and records of goroutines that wait, which become roots if the goroutine can be woken; (4)
 * the runtime's own memory, where wait queues, timers and values of goroutines are known and looked
 * at; (5) the frame of a function whose code will do nothing for ever but sleep, unless something
 * points into it (reach_asleep.c). So is what the kernel has of the program's at that moment
 * (target_process_kept.c). What is not understood is a root, or keeps the goroutine alive: memory
 * of an unknown allocator, a wait that time or the kernel can end, a goroutine that is in none of
 * its object's queues (it was just taken out to be woken), a stack that is not where stacks are.
 *
 * A pointer may lie outside of what it leads to. C has none of these, but compilers keep some in
 * registers and frames, for a loop over an array: they are followed to where the code uses them
 * (reach_used.c) or, in code that cannot be followed, to all that is near (reach_beside.c). What
 * is not covered is a program that stores such a pointer elsewhere, and a stack that nobody is on,
 * of another library's coroutine.
 *
 * Cost: each root and each marked object is read once, and each goroutine is made a root at most
 * once, when the object it waits for is marked: a chain of goroutines that keep each other alive
 * costs as much as as many independent ones. In a big heap the filter goes only through what leads
 * to anybody who waits (reach_back.c), most of what it found does not have to be found again
 * (reach_guess.c), and what is marked is searched by address (reach_sweep.c).
 *
 * Rejected: rounds over all goroutines until nothing changes (quadratic for a chain); to read
 * objects from the target as they are marked (a system call each).
 */
#include "reach.h"

#include <stdlib.h>
#include <string.h>

#include "heap.h"
#include "reach_ahead.h"
#include "reach_roots.h"
#include "reach_run.h"
#include "reach_skip.h"
#include "reach_zones.h"
#include "target_absent.h"

/* Heap that only leaked goroutines reach: what several of them share counts for the first. */
static struct goro_error *measure(struct run *r)
{
	const struct reach sum = *r->ret;
	const size_t wide = r->wide;
	struct goro_error *err = NULL;

	r->retaining = true;
	/* What they lead to is told one by one. */
	if (r->leads)
		r->wide = SIZE_MAX;
	for (size_t i = 0; i < r->view->snap->ng && !err; i++) {
		uint64_t before = r->ret->object_bytes;

		if (!r->candidate[i] || r->alive[i])
			continue;
		r->ret->leaked[i] = true;
		r->ret->nleaked++;
		reach_search_goroutine(r, (uint32_t)i);
		err = reach_drain(r);
		r->ret->retains[i] = r->ret->object_bytes - before;
	}
	r->ret->objects = sum.objects;
	r->ret->object_bytes = sum.object_bytes;
	r->wide = wide;
	return err;
}

/* ---- all of it ----------------------------------------------------------------------------------
 */

static bool allocate(struct run *r)
{
	size_t n = r->view->snap->ng + 1;

	r->candidate = calloc(n, sizeof *r->candidate);
	r->alive = calloc(n, sizeof *r->alive);
	r->searched = calloc(n, sizeof *r->searched);
	r->ret->leaked = calloc(n, sizeof *r->ret->leaked);
	r->ret->retains = calloc(n, sizeof *r->ret->retains);
	r->window = malloc(REACH_WINDOW + HEAP_PAGE);
	return reach_stacks_room(r) && r->candidate && r->alive && r->searched && r->ret->leaked &&
	       r->ret->retains && r->window;
}

/* What a pointer may lead to: objects, and stacks. */
static bool make_zones(struct run *r, const struct roots *roots)
{
	const struct goro_snapshot *snap = r->view->snap;
	bool ok = true;

	r->watched = calloc(r->heap.nareas + 1, sizeof *r->watched);
	r->block_marked = calloc(r->heap.nblocks + 1, sizeof *r->block_marked);
	if (!r->watched || !r->block_marked)
		return false;
	for (size_t i = 0; i < r->heap.nareas; i++) {
		const struct heap_area *a = &r->heap.areas[i];

		r->watched[i] = calloc((a->hi - a->lo) / HEAP_GRANULE / 64 + 2, 8);
		ok &= r->watched[i] &&
		      zones_add(&r->zones, (struct zone){ a->lo, a->hi, ZONE_AREA, (uint32_t)i });
	}
	/* Up to their end, included: an object of an area has at least its neighbour's header
	 * behind it, one of a block may have nothing, and a pointer to its end is one to it. */
	for (size_t i = 0; i < r->heap.nblocks; i++)
		ok &= zones_add(&r->zones,
				(struct zone){ heap_block_begin(&r->heap.blocks[i]),
					       r->heap.blocks[i].hi + 1, ZONE_BLOCK, (uint32_t)i });
	for (size_t i = 0; i < snap->ng; i++) {
		if (roots->from[i])
			ok &= zones_add(&r->zones,
					(struct zone){ roots->from[i], snap->g[i].stack_hi,
						       ZONE_STACK, (uint32_t)i });
	}
	for (size_t i = 0; i < r->nframes; i++)
		ok &= zones_add(&r->zones, (struct zone){ r->frames[i].lo, r->frames[i].hi,
							  ZONE_FRAMES, (uint32_t)i });
	return ok && zones_finish(&r->zones);
}

/* All threads of a process have the same. */
static struct goro_error *read_guard(struct run *r)
{
	struct goro_error *err = NULL;
	bool ok = false;

	r->disguise = UINT64_MAX;
	for (size_t i = 0; i < r->view->nthreads && !err && !ok; i++)
		if (r->view->threads[i].guard && !reach_skips("guard"))
			err = target_read_at(r->view->t, r->view->threads[i].guard, &r->guard,
					     sizeof r->guard, &ok);
	if (ok)
		r->disguise = r->guard >> 47;
	return err;
}

static bool somebody_is_left(const struct run *r)
{
	for (size_t i = 0; i < r->view->snap->ng; i++) {
		if (r->candidate[i] && !r->alive[i])
			return true;
	}
	return false;
}

static struct goro_error *mark(struct run *r, const struct target_maps *maps,
			       const struct roots *roots)
{
	struct goro_error *err;

	r->from = roots->from;
	if (!reach_find_asleep(r, maps, roots) || !make_zones(r, roots) ||
	    !reach_used_room(r, maps))
		return &goro_enomem;
	/* Not of one that runs: to read what is cold there brings it back, for the proof too. */
	if (reach_skips("cold") && r->view->nthreads)
		target_absent_free(r->view->t);
	reach_find_tops(r);
	err = read_guard(r);
	if (err)
		return err;
	if (!reach_guess_begin(r) || !reach_guess_mark(r))
		return &goro_enomem;
	reach_choose_candidates(r, roots);
	/* Nobody waits for what could be out of reach: there is nothing to find. */
	if (!r->ret->ncandidates && !r->view->why) {
		reach_guess_free(&r->ret->guess);
		return r->no_memory ? &goro_enomem : NULL;
	}
	reach_look_back(r);
	err = reach_search_roots(r, roots);
	if (!err) {
		reach_guess_search(r);
		err = reach_drain(r);
	}
	if (!err && r->view->guess && somebody_is_left(r))
		err = reach_search_unaligned(r);
	if (!err)
		err = reach_used_error(r);
	reach_sweep_free(r);
	if (!err && !reach_guess_make(r))
		err = &goro_enomem;
	if (!err)
		err = measure(r);
	if (!err)
		err = reach_back_settle(r);
	if (!err && r->view->why && !reach_find_chain(r))
		err = &goro_enomem;
	return err;
}

static void run_free(struct run *r)
{
	reach_stacks_free(r);
	reach_used_free(r);
	reach_back_free(r);
	for (size_t i = 0; i < r->heap.nareas; i++) {
		free(r->watched ? r->watched[i] : NULL);
		free(r->live ? r->live[i] : NULL);
		free(r->suspects ? r->suspects[i] : NULL);
		free(r->again ? r->again[i] : NULL);
	}
	if (r->ret->guess.areas)
		reach_guess_keep(r);
	else
		heap_free(&r->heap);
	zones_free(&r->zones);
	free(r->watched);
	free(r->live);
	reach_sweep_free(r);
	free(r->suspects);
	free(r->again);
	free(r->block_marked);
	free(r->watch);
	free(r->candidate);
	free(r->alive);
	free(r->searched);
	free(r->stacks);
	free(r->frames);
	free(r->todo);
	free(r->window);
	free(r->origins);
}

struct goro_error *reach_run(const struct reach_view *view, struct reach *ret)
{
	struct run r = { .view = view,
			 .ret = ret,
			 .wide = reach_skips("small") || reach_skips("behind") ||
						 reach_skips("mail") || reach_skips("ahead")
					 ? 1
					 : REACH_WIDE };
	struct roots roots = { 0 };
	struct goro_error *err = NULL;

	*ret = (struct reach){ 0 };
	if (!allocate(&r))
		err = &goro_enomem;
	if (!err)
		err = reach_ahead_end(view->ahead, view->facts, &r.heap);
	if (!err) {
		memcpy(ret->note, r.heap.note, sizeof ret->note);
		ret->busy = r.heap.busy;
	}
	if (!err)
		err = roots_find(&roots, view, &view->ahead->maps, &r.heap);
	/*
	 * Where no object of the heap is known all of them are in use, and only what lies on stacks
	 * can be out of reach. Another allocator's address space can be terabytes
	 * (AddressSanitizer's is): then nothing is looked at, and what the heap's note says is all
	 * there is to say.
	 */
	if (err && roots.too_big && ret->note[0] && !r.heap.nareas && !r.heap.nblocks) {
		goro_error_free(err);
		err = NULL;
	} else if (!err) {
		err = mark(&r, &view->ahead->maps, &roots);
	}
	run_free(&r);
	roots_free(&roots);
	if (err)
		reach_free(ret);
	return err;
}

void reach_free(struct reach *r)
{
	free(r->leaked);
	free(r->retains);
	free(r->chain);
	reach_guess_free(&r->guess);
	*r = (struct reach){ 0 };
}
