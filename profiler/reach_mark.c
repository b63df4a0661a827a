/* SPDX-License-Identifier: MIT */
/*
 * reach_mark.c - what a word points to is marked, and is to be searched; see reach.c.
 */
#include "reach_run.h"

#include <stdlib.h>
#include <string.h>

#include "reach_skip.h"

void reach_push(struct run *r, struct todo what)
{
	if (r->ntodo == r->todo_cap) {
		size_t cap = r->todo_cap ? r->todo_cap * 2 : 4096;
		struct todo *bigger = realloc(r->todo, cap * sizeof *bigger);

		if (!bigger) {
			r->no_memory = true;
			return;
		}
		r->todo = bigger;
		r->todo_cap = cap;
	}
	r->todo[r->ntodo++] = what;
}

void reach_push_object(struct run *r, uint32_t area, uint32_t granule)
{
	reach_push(r, (struct todo){ ZONE_AREA, area, granule });
	r->nobjects++;
}

static void note_origin(struct run *r, uint64_t key, struct reach_link from)
{
	if (r->norigins == r->origins_cap) {
		size_t cap = r->origins_cap ? r->origins_cap * 2 : 4096;
		struct origin *bigger = realloc(r->origins, cap * sizeof *bigger);

		if (!bigger) {
			r->no_memory = true;
			return;
		}
		r->origins = bigger;
		r->origins_cap = cap;
	}
	r->origins[r->norigins++] = (struct origin){ key, from };
}

/* A word at `at` of what is being searched. */
static struct reach_link word_here(const struct run *r, uint64_t at)
{
	struct reach_link l = r->here;

	l.at = at;
	return l;
}

/* It is searched as a goroutine that can run, and has no need of a pointer to its own stack. */
void reach_search_goroutine(struct run *r, uint32_t g)
{
	const struct reach_link itself = { .kind = REACH_STACK, .id = r->view->snap->g[g].id };

	if (r->searched[g])
		return;
	r->searched[g] = true;
	if (r->view->why && r->from[g])
		note_origin(r, r->from[g], itself);
	r->stacks[r->nstacks++] = g;
}

static void wake(struct run *r, uint32_t g, uint64_t key)
{
	if (r->retaining || r->alive[g] || (r->view->never && r->view->never[g]))
		return;
	if (reach_skips("fixpoint"))
		return;
	r->alive[g] = true;
	if (r->view->why && r->view->snap->g[g].id == r->view->why)
		r->why_key = key;
	reach_search_goroutine(r, g);
}

void reach_wake_watchers(struct run *r, uint64_t key)
{
	size_t lo = 0, hi = r->nwatch;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (r->watch[mid].key < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < r->nwatch && r->watch[lo].key == key; lo++)
		wake(r, r->watch[lo].g, key);
}

void reach_mark_object(struct run *r, uint32_t area, uint64_t v, uint64_t at)
{
	struct heap_area *a = &r->heap.areas[area];
	uint32_t g = heap_find(a, v);
	bool leads;
	uint64_t key;

	if (g == UINT32_MAX || heap_bit(a->mark, g) ||
	    (reach_skips("interior") && v != a->lo + (uint64_t)g * HEAP_GRANULE) ||
	    (reach_skips("arenas") && area))
		return;
	leads = !r->leads || heap_bit(r->leads[area], g);
	if (!leads && r->retaining && !reach_hold(r, area, g))
		return;
	heap_set(a->mark, g);
	if (!leads && !r->retaining)
		return;
	key = a->lo + (uint64_t)g * HEAP_GRANULE;
	if (r->view->why)
		note_origin(r, key, word_here(r, at));
	reach_push_object(r, area, g);
	if (heap_bit(r->watched[area], g))
		reach_wake_watchers(r, key);
}

/* Not at once: what tells whether it is marked is not in the processor's cache, probably. */
static void see_object(struct run *r, uint32_t area, uint64_t v)
{
	const struct heap_area *a = &r->heap.areas[area];
	struct seen *s, before;

	if (r->suspects && !heap_bit(r->suspects[area], (v - a->lo) / HEAP_PAGE))
		return;
	s = &r->seen[r->next_seen++ % REACH_SEEN];
	before = *s;
	__builtin_prefetch(&a->start[(v - a->lo) / HEAP_GRANULE / 64]);
	__builtin_prefetch(&a->mark[(v - a->lo) / HEAP_GRANULE / 64]);
	*s = (struct seen){ v, area };
	if (before.address)
		reach_mark_object(r, before.area, before.address, 0);
}

bool reach_mark_seen(struct run *r)
{
	bool any = false;

	for (size_t i = 0; i < REACH_SEEN; i++) {
		const struct seen s = r->seen[i];

		r->seen[i] = (struct seen){ 0 };
		any |= s.address != 0;
		if (s.address)
			reach_mark_object(r, s.area, s.address, 0);
	}
	return any;
}

static void mark_block(struct run *r, const struct zone *z, uint64_t at)
{
	if (r->block_marked[z->index])
		return;
	r->block_marked[z->index] = true;
	if (r->view->why)
		note_origin(r, z->lo, word_here(r, at));
	reach_push(r, (struct todo){ .kind = ZONE_BLOCK, .index = z->index });
	reach_wake_watchers(r, z->lo);
}

/* A pointer into a stack: who has it can read all that lies there. */
static void mark_stack(struct run *r, const struct zone *z, uint64_t at)
{
	if (r->searched[z->index])
		return;
	r->searched[z->index] = true;
	if (r->view->why)
		note_origin(r, z->lo, word_here(r, at));
	r->stacks[r->nstacks++] = z->index;
}

static void mark_frames(struct run *r, const struct zone *z, uint64_t at)
{
	if (r->view->why && !r->frames[z->index].marked)
		note_origin(r, z->lo, word_here(r, at));
	reach_mark_frames(r, z->index);
}

void reach_visit(struct run *r, uint64_t v, uint64_t at)
{
	const struct zone *z = zones_find(&r->zones, v);

	if (!z)
		return;
	if (z->kind == ZONE_AREA && !r->view->why)
		see_object(r, z->index, v);
	else if (z->kind == ZONE_AREA)
		reach_mark_object(r, z->index, v, at);
	else if (z->kind == ZONE_BLOCK)
		mark_block(r, z, at);
	else if (z->kind == ZONE_FRAMES)
		mark_frames(r, z, at);
	else
		mark_stack(r, z, at);
}

void reach_search_words(struct run *r, const uint8_t *bytes, size_t size, uint64_t at)
{
	for (size_t i = 0; i + 8 <= size; i += 8) {
		uint64_t v;

		memcpy(&v, bytes + i, sizeof v);
		reach_word(r, v, at + i);
	}
}
