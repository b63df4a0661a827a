/* SPDX-License-Identifier: MIT */
/*
 * snapshot.c - building a snapshot, goroutine by goroutine.
 *
 * Rejected: a tree of frames, each with its parent. It saves memory, but nothing else here wants
 * it, and a flat run of pcs per stack is simpler to hash, to compare and to walk.
 */
#include "snapshot.h"
#include "snapshot_grow.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ENTRIES (UINT32_MAX / 2) /* indices in a snapshot are 32 bits wide */

bool snapshot_grow(struct snapshot_builder *b, void *array, size_t n, size_t more, size_t *cap,
		   size_t size)
{
	void **p = array;
	size_t bigger = *cap ? *cap : 64;
	void *moved;

	if (b->no_memory)
		return false;
	if (n + more <= *cap)
		return true;
	while (bigger < n + more)
		bigger *= 2;
	moved = bigger <= MAX_ENTRIES ? realloc(*p, bigger * size) : NULL;
	if (!moved) {
		b->no_memory = true;
		return false;
	}
	*p = moved;
	*cap = bigger;
	return true;
}

bool snapshot_begin(struct snapshot_builder *b, struct unwinder *unwinder)
{
	*b = (struct snapshot_builder){ .unwinder = unwinder };
	b->snap = calloc(1, sizeof *b->snap);
	return b->snap != NULL;
}

/* What every look tells anew. */
static void free_passing(struct goro_snapshot *snap)
{
	free(snap->name);
	free(snap->runtime);
	free(snap->file);
	free(snap->crowds);
	free(snap->crowd_ids);
	free(snap->members);
	free(snap->procs);
	free(snap->tombs);
	free(snap->text);
	free(snap->same);
	free(snap->heap);
	free(snap->heap_ended);
}

void snapshot_continue(struct snapshot_builder *b, struct goro_snapshot *old)
{
	struct snapshot_past *past = old->past;

	free_passing(old);
	*old = (struct goro_snapshot){
		.g = old->g,
		.ng = old->ng,
		.waits = old->waits,
		.nwaits = old->nwaits,
		.rlocks = old->rlocks,
		.stacks = old->stacks,
		.nstacks = old->nstacks,
		.pcs = old->pcs,
		.npcs = old->npcs,
		.objects = old->objects,
		.nobjects = old->nobjects,
		.past = past,
	};
	goro_snapshot_free(b->snap);
	b->snap = old;
	b->g_cap = past->g_cap;
	b->waits_cap = past->waits_cap;
	b->rlocks_cap = past->rlocks_cap;
	b->stacks_cap = past->stacks_cap;
	b->pcs_cap = past->pcs_cap;
	b->stack_table = past->stack_table;
	b->stack_table_size = past->stack_table_size;
	past->stack_table = NULL;
}

/* ---- goroutines ------------------------------------------------------------------------------ */

void snapshot_expect(struct snapshot_builder *b, size_t ng)
{
	struct goro_snapshot *s = b->snap;

	if (ng)
		GROW(b, s->g, s->ng, ng, b->g_cap);
}

uint32_t snapshot_add_g(struct snapshot_builder *b, const struct goro_info *g)
{
	struct goro_snapshot *s = b->snap;

	if (!GROW(b, s->g, s->ng, 1, b->g_cap))
		return UINT32_MAX;
	s->g[s->ng] = *g;
	return (uint32_t)s->ng++;
}

void snapshot_add_wait(struct snapshot_builder *b, uint32_t g, const struct goro_wait *w)
{
	struct goro_snapshot *s = b->snap;

	if (!GROW(b, s->waits, s->nwaits, 1, b->waits_cap))
		return;
	if (s->g[g].nwaits++ == 0)
		s->g[g].waits_first = (uint32_t)s->nwaits;
	s->waits[s->nwaits++] = *w;
}

void snapshot_add_rlock(struct snapshot_builder *b, uint32_t g, uint64_t rwmutex)
{
	struct goro_snapshot *s = b->snap;

	if (!GROW(b, s->rlocks, s->nrlocks, 1, b->rlocks_cap))
		return;
	if (s->g[g].nrlocks++ == 0)
		s->g[g].rlocks_first = (uint32_t)s->nrlocks;
	s->rlocks[s->nrlocks++] = rwmutex;
}

uint32_t snapshot_add_crowd(struct snapshot_builder *b, const struct goro_crowd *crowd)
{
	struct goro_snapshot *s = b->snap;

	if (!GROW(b, s->crowds, s->ncrowds, 1, b->crowds_cap))
		return 0;
	s->crowds[s->ncrowds] = *crowd;
	return (uint32_t)++s->ncrowds;
}

void snapshot_add_crowd_id(struct snapshot_builder *b, uint64_t id)
{
	struct goro_snapshot *s = b->snap;

	if (GROW(b, s->crowd_ids, s->ncrowd_ids, 1, b->crowd_ids_cap))
		s->crowd_ids[s->ncrowd_ids++] = id;
}

void snapshot_add_member(struct snapshot_builder *b, const struct goro_member *m)
{
	struct goro_snapshot *s = b->snap;

	if (GROW(b, s->members, s->nmembers, 1, b->members_cap))
		s->members[s->nmembers++] = *m;
}

void snapshot_add_proc(struct snapshot_builder *b, const struct goro_proc *p)
{
	struct goro_snapshot *s = b->snap;

	if (GROW(b, s->procs, s->nprocs, 1, b->procs_cap))
		s->procs[s->nprocs++] = *p;
}

void snapshot_add_tomb(struct snapshot_builder *b, const struct goro_tomb *t)
{
	struct goro_snapshot *s = b->snap;

	if (GROW(b, s->tombs, s->ntombs, 1, b->tombs_cap))
		s->tombs[s->ntombs++] = *t;
}

/* ---- stacks ---------------------------------------------------------------------------------- */

static uint64_t hash_pcs(const uint64_t *pcs, size_t n)
{
	uint64_t h = n;

	for (size_t i = 0; i < n; i++) {
		h = (h ^ pcs[i]) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	return h;
}

static bool rehash(struct snapshot_builder *b)
{
	size_t size = b->stack_table_size ? b->stack_table_size * 2 : 256;
	uint32_t *table = calloc(size, sizeof *table);

	if (!table) {
		b->no_memory = true;
		return false;
	}
	for (size_t i = 0; i < b->snap->nstacks; i++) {
		const struct goro_stack *st = &b->snap->stacks[i];
		size_t at = hash_pcs(b->snap->pcs + st->first, st->n) & (size - 1);

		while (table[at])
			at = (at + 1) & (size - 1);
		table[at] = (uint32_t)i + 1;
	}
	free(b->stack_table);
	b->stack_table = table;
	b->stack_table_size = size;
	return true;
}

uint32_t snapshot_intern_stack(struct snapshot_builder *b, const struct goro_stack *st,
			       const uint64_t *pcs)
{
	struct goro_snapshot *s = b->snap;
	size_t at, mask;

	if (s->nstacks * 2 >= b->stack_table_size && !rehash(b))
		return GORO_NO_STACK;
	mask = b->stack_table_size - 1;
	for (at = hash_pcs(pcs, st->n) & mask; b->stack_table[at]; at = (at + 1) & mask) {
		const struct goro_stack *old = &s->stacks[b->stack_table[at] - 1];

		if (old->n == st->n && old->complete == st->complete &&
		    old->by_frame_pointer == st->by_frame_pointer && old->caught == st->caught &&
		    memcmp(s->pcs + old->first, pcs, st->n * sizeof *pcs) == 0)
			return b->stack_table[at] - 1;
	}
	if (!GROW(b, s->stacks, s->nstacks, 1, b->stacks_cap) ||
	    !GROW(b, s->pcs, s->npcs, st->n, b->pcs_cap))
		return GORO_NO_STACK;
	memcpy(s->pcs + s->npcs, pcs, st->n * sizeof *pcs);
	s->stacks[s->nstacks] = *st;
	s->stacks[s->nstacks].first = (uint32_t)s->npcs;
	s->npcs += st->n;
	b->stack_table[at] = (uint32_t)++s->nstacks;
	return (uint32_t)s->nstacks - 1;
}

enum unwind_status snapshot_add_stack(struct snapshot_builder *b, uint32_t g,
				      const struct unwind_stack *s)
{
	if (unwind(b->unwinder, s, &b->result) == UNWIND_MORE)
		return UNWIND_MORE;
	if (!b->result.complete)
		b->snap->truncated++;
	if (b->result.n) {
		struct goro_stack st = {
			.n = b->result.n,
			.complete = b->result.complete,
			.by_frame_pointer = b->result.by_frame_pointer,
		};

		b->snap->g[g].stack_id = snapshot_intern_stack(b, &st, b->result.pcs);
	}
	return UNWIND_DONE;
}

/* ---- the end --------------------------------------------------------------------------------- */

struct goro_snapshot *snapshot_freeze(struct snapshot_builder *b)
{
	struct goro_snapshot *s = b->snap;

	if (b->no_memory) {
		snapshot_abandon(b);
		return NULL;
	}
	for (size_t i = 0; !b->counted && i < s->ng; i++)
		s->torn += s->g[i].torn;
	if (s->past) {
		s->past->g_cap = b->g_cap;
		s->past->waits_cap = b->waits_cap;
		s->past->rlocks_cap = b->rlocks_cap;
		s->past->stacks_cap = b->stacks_cap;
		s->past->pcs_cap = b->pcs_cap;
		s->past->stack_table = b->stack_table;
		s->past->stack_table_size = b->stack_table_size;
		b->stack_table = NULL;
	}
	free(b->stack_table);
	free(b->crowd_table);
	*b = (struct snapshot_builder){ 0 };
	return s;
}

void snapshot_abandon(struct snapshot_builder *b)
{
	if (b->snap)
		snapshot_forget(b->snap);
	goro_snapshot_free(b->snap);
	free(b->stack_table);
	free(b->crowd_table);
	*b = (struct snapshot_builder){ 0 };
}

void goro_snapshot_free(struct goro_snapshot *snap)
{
	if (!snap || (snap->past && snapshot_home_keep(snap)))
		return;
	snapshot_forget(snap);
	free_passing(snap);
	free(snap->g);
	free(snap->waits);
	free(snap->rlocks);
	free(snap->stacks);
	free(snap->pcs);
	free(snap->objects);
	free(snap);
}
