/* SPDX-License-Identifier: MIT */
/*
 * snapshot.c - building and reading snapshots.
 *
 * Rejected: a tree of frames, each with its parent. It saves memory, but nothing else here wants
 * it, and a flat run of pcs per stack is simpler to hash, to compare and to walk.
 */
#include "snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <goro_introspect.h>

#define MAX_ENTRIES (UINT32_MAX / 2) /* indices in a snapshot are 32 bits wide */

/* Make room for one more element of an array; false once memory is out. */
static bool grow(struct snapshot_builder *b, void *array, size_t n, size_t more, size_t *cap,
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

#define GROW(b, array, n, more, cap) grow((b), &(array), (n), (more), &(cap), sizeof *(array))

bool snapshot_begin(struct snapshot_builder *b, struct unwinder *unwinder)
{
	*b = (struct snapshot_builder){ .unwinder = unwinder };
	b->snap = calloc(1, sizeof *b->snap);
	return b->snap != NULL;
}

/* ---- goroutines ------------------------------------------------------------------------------ */

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
		    old->by_frame_pointer == st->by_frame_pointer &&
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

struct order {
	uint64_t id;
	size_t index;
};

static int by_id(const void *a, const void *b)
{
	const struct order *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

static bool in_order(const struct goro_snapshot *s)
{
	for (size_t i = 0; i < s->ng; i++) {
		if (s->g[i].id <= (i ? s->g[i - 1].id : 0))
			return false;
	}
	return true;
}

/* g[i] becomes what g[from[i]] was, cycle by cycle: a second array would double our memory. */
static void permute(struct goro_info *g, uint32_t *from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct goro_info first = g[i];
		size_t at = i;

		if (from[i] == i)
			continue;
		while (from[at] != i) {
			size_t next = from[at];

			g[at] = g[next];
			from[at] = (uint32_t)at;
			at = next;
		}
		g[at] = first;
		from[at] = (uint32_t)at;
	}
}

/* The indices in the order of their ids, and behind these the ones to drop; how many are kept. */
static size_t find_order(struct goro_snapshot *s, struct order *order, uint32_t *from)
{
	size_t n = 0, kept = 0, end = s->ng;

	for (size_t i = 0; i < s->ng; i++) {
		if (s->g[i].id)
			order[n++] = (struct order){ s->g[i].id, i };
		else
			from[--end] = (uint32_t)i;
	}
	qsort(order, n, sizeof *order, by_id);
	for (size_t i = 0; i < n; i++) {
		if (i && order[i - 1].id == order[i].id) {
			s->bad_records++;
			from[--end] = (uint32_t)order[i].index;
		} else {
			from[kept++] = (uint32_t)order[i].index;
		}
	}
	return kept;
}

void snapshot_sort(struct snapshot_builder *b)
{
	struct goro_snapshot *s = b->snap;
	struct order *order;
	uint32_t *from;
	size_t kept;

	if (b->no_memory || in_order(s))
		return;
	order = calloc(s->ng, sizeof *order);
	from = calloc(s->ng, sizeof *from);
	if (order && from) {
		kept = find_order(s, order, from);
		free(order);
		order = NULL;
		permute(s->g, from, s->ng);
		s->ng = kept;
	} else {
		b->no_memory = true;
	}
	free(order);
	free(from);
}

/* A wait's object, without all that will be known of it. */
struct reference {
	uint64_t address;
	uint32_t wait_class;
};

static int by_address(const void *a, const void *b)
{
	const struct reference *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return (x->wait_class > y->wait_class) - (x->wait_class < y->wait_class);
}

static bool is_object(unsigned class)
{
	return class == GORO_CLASS_CHAN || class == GORO_CLASS_MUTEX ||
	       class == GORO_CLASS_RWMUTEX || class == GORO_CLASS_COND ||
	       class == GORO_CLASS_WAITGROUP || class == GORO_CLASS_SEMA;
}

static size_t list_references(const struct goro_snapshot *s, struct reference *v)
{
	size_t n = 0;

	for (size_t i = 0; i < s->ng; i++) {
		for (size_t j = 0; j < s->g[i].nwaits; j++) {
			const struct goro_wait *w = &s->waits[s->g[i].waits_first + j];

			if (w->object && is_object(w->wait_class))
				v[n++] = (struct reference){ w->object, w->wait_class };
		}
	}
	qsort(v, n, sizeof *v, by_address);
	return n;
}

void snapshot_collect_objects(struct snapshot_builder *b)
{
	struct goro_snapshot *s = b->snap;
	struct reference *v;
	size_t n, distinct = 0;

	if (b->no_memory || !s->nwaits)
		return;
	v = malloc(s->nwaits * sizeof *v);
	n = v ? list_references(s, v) : 0;
	for (size_t i = 0; i < n; i++)
		distinct += !i || v[i].address != v[i - 1].address;
	s->objects = v ? calloc(distinct + 1, sizeof *s->objects) : NULL;
	b->no_memory = !s->objects;
	for (size_t i = 0; s->objects && i < n; i++) {
		/* One address is one object, whatever damaged memory claims. */
		if (!i || v[i].address != v[i - 1].address)
			s->objects[s->nobjects++] = (struct goro_object){
				.address = v[i].address,
				.wait_class = (uint8_t)v[i].wait_class,
			};
		s->objects[s->nobjects - 1].nwaiters++;
	}
	free(v);
}

struct goro_snapshot *snapshot_freeze(struct snapshot_builder *b)
{
	struct goro_snapshot *s = b->snap;

	if (b->no_memory) {
		snapshot_abandon(b);
		return NULL;
	}
	for (size_t i = 0; i < s->ng; i++)
		s->torn += s->g[i].torn;
	free(b->stack_table);
	*b = (struct snapshot_builder){ 0 };
	return s;
}

void snapshot_abandon(struct snapshot_builder *b)
{
	goro_snapshot_free(b->snap);
	free(b->stack_table);
	*b = (struct snapshot_builder){ 0 };
}

/* ---- reading --------------------------------------------------------------------------------- */

void goro_snapshot_free(struct goro_snapshot *snap)
{
	if (!snap)
		return;
	free(snap->name);
	free(snap->runtime);
	free(snap->file);
	free(snap->g);
	free(snap->waits);
	free(snap->rlocks);
	free(snap->stacks);
	free(snap->pcs);
	free(snap->objects);
	free(snap->procs);
	free(snap->tombs);
	free(snap->text);
	free(snap);
}

const struct goro_info *goro_snapshot_find(const struct goro_snapshot *snap, uint64_t id)
{
	size_t lo = 0, hi = snap->ng;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (snap->g[mid].id == id)
			return &snap->g[mid];
		if (snap->g[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

const struct goro_object *goro_snapshot_object(const struct goro_snapshot *snap, uint64_t address)
{
	size_t lo = 0, hi = snap->nobjects;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (snap->objects[mid].address == address)
			return &snap->objects[mid];
		if (snap->objects[mid].address < address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

const char *goro_state_text(const struct goro_info *g)
{
#define STATE_NAME(id, letter, name)	     name,
#define REASON_NAME(id, letter, name, class) name,
	static const char *const states[] = { GORO_STATES(STATE_NAME) };
	static const char *const reasons[] = { GORO_REASONS(REASON_NAME) };
#undef STATE_NAME
#undef REASON_NAME

	if (g->state == GORO_STATE_WAITING && g->reason != GORO_REASON_NONE)
		return g->reason < GORO_NREASONS ? reasons[g->reason] : "waiting (unknown)";
	return g->state < GORO_NSTATES ? states[g->state] : "unknown";
}

const char *goro_basename(const char *path)
{
	const char *slash;

	if (!path)
		return "?";
	slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}
