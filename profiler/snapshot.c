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
#include "order.h"

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

/* What every look tells anew. */
static void free_passing(struct goro_snapshot *snap)
{
	free(snap->name);
	free(snap->runtime);
	free(snap->file);
	free(snap->crowds);
	free(snap->crowd_ids);
	free(snap->procs);
	free(snap->tombs);
	free(snap->text);
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

static uint64_t id_of(const void *g, size_t i)
{
	return ((const struct goro_info *)g)[i].id;
}

/*
 * Move what is to be dropped, id 0 and the later ones of an id, behind the others. Sets how many
 * stay; false: out of memory.
 */
static bool drop_some(struct goro_snapshot *s, uint32_t *order)
{
	uint32_t *drop = malloc((s->ng + 1) * sizeof *drop);
	size_t dropped = 0, kept = 0;
	uint64_t last = 0;

	for (size_t i = 0; drop && i < s->ng; i++) {
		uint64_t id = s->g[order[i]].id;

		if (id != last)
			order[kept++] = order[i];
		else
			drop[dropped++] = order[i];
		s->bad_records += id && id == last;
		last = id;
	}
	if (drop && dropped)
		memcpy(order + kept, drop, dropped * sizeof *order);
	if (drop)
		permute(s->g, order, s->ng);
	s->ng = kept;
	free(drop);
	return drop;
}

void snapshot_sort(struct snapshot_builder *b)
{
	struct goro_snapshot *s = b->snap;
	uint32_t *order;

	if (b->no_memory || in_order(s))
		return;
	order = order_by(s->ng, id_of, s->g);
	if (!order || !drop_some(s, order))
		b->no_memory = true;
	free(order);
}

/* The goroutines from index `first` on in the order of their ids. to[] follows. */
static bool sort_from(struct goro_snapshot *s, size_t first, uint32_t *to)
{
	size_t n = s->ng - first;
	uint32_t *order = order_by(n, id_of, s->g + first);

	for (size_t i = 0; order && i < n; i++)
		to[first + order[i]] = (uint32_t)(first + i);
	if (order)
		permute(s->g + first, order, n);
	free(order);
	return order;
}

/* Close the gaps in g[0..n), move the rest down behind them, and tell where all went. */
static size_t close_gaps(struct goro_snapshot *s, size_t n, uint32_t *to, bool *in_order)
{
	size_t kept = 0, at = 0;

	for (size_t i = 0; i < s->ng; i++) {
		to[i] = UINT32_MAX;
		if (!s->g[i].id)
			continue;
		*in_order &= i >= n || !at || s->g[i].id > s->g[at - 1].id;
		if (at != i)
			s->g[at] = s->g[i];
		to[i] = (uint32_t)at++;
		kept += i < n;
	}
	s->ng = at;
	return kept;
}

/*
 * Merge g[n..ng), which is in order, into g[0..n) from the end. to[i]: the new index of i. False:
 * two have one id; all are there even so.
 */
static bool merge_from(struct goro_snapshot *s, size_t n, uint32_t *to)
{
	size_t i = n, j = s->ng - n, at = s->ng;
	struct goro_info *late = malloc((j + 1) * sizeof *late);
	bool unique = late;

	if (late)
		memcpy(late, s->g + n, j * sizeof *late);
	while (late && j) {
		bool one = i && s->g[i - 1].id > late[j - 1].id;

		unique &= !i || s->g[i - 1].id != late[j - 1].id;
		at--;
		s->g[at] = one ? s->g[i - 1] : late[j - 1];
		to[one ? --i : n + --j] = (uint32_t)at;
	}
	while (late && i--)
		to[i] = (uint32_t)i;
	free(late);
	return unique;
}

static bool rises(const struct goro_snapshot *s, size_t from)
{
	for (size_t i = from + 1; i < s->ng; i++) {
		if (s->g[i].id <= s->g[i - 1].id)
			return false;
	}
	return true;
}

/* to[] after a second move: by[] of those from the index that they had in between. */
static void follow(uint32_t *to, size_t n, const uint32_t *by)
{
	for (size_t i = 0; i < n; i++) {
		if (to[i] != UINT32_MAX)
			to[i] = by[to[i]];
	}
}

static bool sort_late(struct goro_snapshot *s, size_t n, uint32_t *to, size_t nto)
{
	uint32_t *by = calloc(s->ng + 1, sizeof *by);
	bool ok = by;

	for (size_t i = 0; ok && i < n; i++)
		by[i] = (uint32_t)i;
	if (ok && !rises(s, n)) {
		ok = sort_from(s, n, by);
		if (ok)
			follow(to, nto, by);
		ok = ok && rises(s, n);
	}
	if (ok && n && n < s->ng && s->g[n].id <= s->g[n - 1].id) {
		ok = merge_from(s, n, by);
		if (ok)
			follow(to, nto, by);
	}
	free(by);
	return ok;
}

bool snapshot_merge(struct snapshot_builder *b, size_t n, uint32_t *to)
{
	struct goro_snapshot *s = b->snap;
	size_t nto = s->ng, kept;
	bool in_order = true;

	kept = close_gaps(s, n, to, &in_order);
	if (in_order && sort_late(s, kept, to, nto))
		return true;
	snapshot_sort(b);
	return false;
}

/* ---- objects --------------------------------------------------------------------------------- */

bool snapshot_is_object(const struct goro_wait *w)
{
	unsigned class = w->wait_class;

	return w->object && (class == GORO_CLASS_CHAN || class == GORO_CLASS_MUTEX ||
			     class == GORO_CLASS_RWMUTEX || class == GORO_CLASS_COND ||
			     class == GORO_CLASS_WAITGROUP || class == GORO_CLASS_SEMA);
}

/* The objects so far, and where each is by its address. */
struct collection {
	struct goro_snapshot *snap;
	size_t cap, size;
	uint32_t *table; /* open-addressed: index + 1 */
};

static size_t slot_of(const struct collection *c, uint64_t address)
{
	size_t at = (address * 0x9e3779b97f4a7c15ull) >> 32 & (c->size - 1);

	while (c->table[at] && c->snap->objects[c->table[at] - 1].address != address)
		at = (at + 1) & (c->size - 1);
	return at;
}

static bool rehash_objects(struct collection *c)
{
	free(c->table);
	c->size = c->size ? c->size * 2 : 256;
	c->table = calloc(c->size, sizeof *c->table);
	for (size_t i = 0; c->table && i < c->snap->nobjects; i++)
		c->table[slot_of(c, c->snap->objects[i].address)] = (uint32_t)i + 1;
	return c->table;
}

/* One address is one object, whatever damaged memory claims. */
static bool count_waiter(struct snapshot_builder *b, struct collection *c,
			 const struct goro_wait *w)
{
	struct goro_snapshot *s = c->snap;
	struct goro_object *o;
	size_t at;

	if (s->nobjects * 2 >= c->size && !rehash_objects(c))
		return false;
	at = slot_of(c, w->object);
	if (!c->table[at]) {
		if (!GROW(b, s->objects, s->nobjects, 1, c->cap))
			return false;
		s->objects[s->nobjects] = (struct goro_object){
			.address = w->object,
			.wait_class = w->wait_class,
		};
		c->table[at] = (uint32_t)++s->nobjects;
	}
	o = &s->objects[c->table[at] - 1];
	o->nwaiters++;
	if (w->wait_class < o->wait_class)
		o->wait_class = w->wait_class;
	return true;
}

static uint64_t address_of(const void *objects, size_t i)
{
	return ((const struct goro_object *)objects)[i].address;
}

static bool sort_objects(struct goro_snapshot *s)
{
	uint32_t *order = order_by(s->nobjects, address_of, s->objects);
	struct goro_object *sorted = malloc((s->nobjects + 1) * sizeof *sorted);

	for (size_t i = 0; order && sorted && i < s->nobjects; i++)
		sorted[i] = s->objects[order[i]];
	free(order);
	if (!order || !sorted) {
		free(sorted);
		return false;
	}
	free(s->objects);
	s->objects = sorted;
	return true;
}

void snapshot_collect_objects(struct snapshot_builder *b)
{
	struct goro_snapshot *s = b->snap;
	struct collection c = { .snap = s };
	bool ok = !b->no_memory;

	for (size_t i = 0; ok && i < s->ng; i++) {
		for (size_t j = 0; ok && s->g[i].id && j < s->g[i].nwaits; j++) {
			const struct goro_wait *w = &s->waits[s->g[i].waits_first + j];

			if (snapshot_is_object(w))
				ok = count_waiter(b, &c, w);
		}
	}
	free(c.table);
	if (!ok || (s->nobjects && !sort_objects(s)))
		b->no_memory = true;
}

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

/* ---- reading --------------------------------------------------------------------------------- */

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

size_t goro_snapshot_count(const struct goro_snapshot *snap)
{
	return snap->ng + snap->ncrowd_ids;
}

size_t goro_snapshot_weight(const struct goro_snapshot *snap, const struct goro_info *g)
{
	return g->crowd ? snap->crowds[g->crowd - 1].n : 1;
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
