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
 * something that leads there. All pointers of the view are looked at but those in four places, of
 * which each is shown to be harmless: (1) dead stack below a stack pointer; (2) free chunks; (3)
 * stacks and records of goroutines that wait, which become roots if the goroutine can be woken; (4)
 * the runtime's own memory, where wait queues, timers and values of goroutines are known and looked
 * at. What is not understood is a root, or keeps the goroutine alive: memory of an unknown
 * allocator, a wait that time or the kernel can end, a goroutine that is in none of its object's
 * queues (it was just taken out to be woken), a stack that is not where stacks are.
 *
 * Cost: each root and each marked object is read once, and each goroutine is made a root at most
 * once, when the object it waits for is marked: a chain of goroutines that keep each other alive
 * costs as much as as many independent ones.
 *
 * Rejected: rounds over all goroutines until nothing changes (quadratic for a chain); to read
 * objects from the target as they are marked (a system call each).
 */
#include "reach.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "goro_introspect.h"
#include "heap.h"
#include "reach_roots.h"
#include "reach_skip.h"
#include "reach_zones.h"
#include "target_absent.h"

#define PRELOAD	   16384u /* bytes of a stack that are read with many others at once */
#define WINDOW	   (1u << 20)
#define BATCH	   512u
#define NO_GRANULE UINT32_MAX

/* A goroutine that waits for an object, under the name by which marking finds it. */
struct watch {
	uint64_t key; /* address of the object's start, or of the stack's lowest byte in use */
	uint32_t g;
};

/* Something that was marked and is to be searched. */
struct todo {
	enum zone_kind kind;
	uint32_t index, granule;
};

/* For the chain: who was marked from where. */
struct origin {
	uint64_t key;
	struct reach_link from;
};

struct run {
	const struct reach_view *view;
	struct reach *ret;
	struct heap heap;
	struct zones zones;
	uint64_t **watched; /* of each area: bit of the first granule of what is waited for */
	bool *block_marked;
	struct watch *watch; /* sorted by key */
	size_t nwatch, watch_cap;

	/* Of each goroutine. */
	bool *candidate;
	bool *alive;	 /* it runs, or could be woken */
	bool *searched;	 /* its stack and record were */
	uint64_t *from;	 /* lowest address of its stack that is in use; 0: it has none */
	uint8_t **stack; /* copy of [from, stack_hi), or NULL: not read in advance */
	uint8_t *slab;
	size_t slab_size;
	uint8_t *records;

	struct todo *todo;
	size_t ntodo, todo_cap;
	bool retaining; /* the second phase: nobody becomes alive any more */
	bool no_memory;
	uint8_t *window;

	/* The chain. */
	struct origin *origins;
	size_t norigins, origins_cap;
	struct reach_link here; /* what is being searched; `at` is that of its first word */
	uint64_t why_key;
};

/* ---- marking ------------------------------------------------------------------------------------
 */

static void push(struct run *r, struct todo what)
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

static void note_origin(struct run *r, uint64_t key, uint64_t at)
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
	r->origins[r->norigins] = (struct origin){ key, r->here };
	r->origins[r->norigins++].from.at = at;
}

static void search_goroutine(struct run *r, uint32_t g)
{
	if (r->searched[g])
		return;
	r->searched[g] = true;
	push(r, (struct todo){ .kind = ZONE_STACK, .index = g });
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
	search_goroutine(r, g);
}

/* Who waits for what begins at key can be woken. */
static void wake_watchers(struct run *r, uint64_t key)
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

static void mark_object(struct run *r, const struct zone *z, uint64_t v, uint64_t at)
{
	struct heap_area *a = &r->heap.areas[z->index];
	uint32_t g = heap_find(a, v);
	uint64_t key;

	if (g == NO_GRANULE || heap_bit(a->mark, g) ||
	    (reach_skips("interior") && v != a->lo + (uint64_t)g * HEAP_GRANULE) ||
	    (reach_skips("arenas") && z->index))
		return;
	heap_set(a->mark, g);
	key = a->lo + (uint64_t)g * HEAP_GRANULE;
	if (r->view->why)
		note_origin(r, key, at);
	push(r, (struct todo){ ZONE_AREA, z->index, g });
	if (heap_bit(r->watched[z->index], g))
		wake_watchers(r, key);
}

static void mark_block(struct run *r, const struct zone *z, uint64_t at)
{
	if (r->block_marked[z->index])
		return;
	r->block_marked[z->index] = true;
	if (r->view->why)
		note_origin(r, z->lo, at);
	push(r, (struct todo){ .kind = ZONE_BLOCK, .index = z->index });
	wake_watchers(r, z->lo);
}

/* A pointer into a stack: who has it can read all that lies there, and what waits there. */
static void mark_stack(struct run *r, const struct zone *z, uint64_t at)
{
	if (r->searched[z->index])
		return;
	if (r->view->why)
		note_origin(r, z->lo, at);
	search_goroutine(r, z->index);
	wake_watchers(r, z->lo);
}

static void visit(struct run *r, uint64_t v, uint64_t at)
{
	const struct zone *z = zones_find(&r->zones, v);

	if (!z)
		return;
	if (z->kind == ZONE_AREA)
		mark_object(r, z, v, at);
	else if (z->kind == ZONE_BLOCK)
		mark_block(r, z, at);
	else
		mark_stack(r, z, at);
}

static void search_words(struct run *r, const uint8_t *bytes, size_t size, uint64_t at)
{
	const uint64_t lo = r->zones.lo, span = r->zones.span;

	for (size_t i = 0; i + 8 <= size; i += 8) {
		uint64_t v;

		memcpy(&v, bytes + i, sizeof v);
		if (v - lo < span)
			visit(r, v, at + i);
	}
}

/* ---- searching what was marked ------------------------------------------------------------------
 */

/* Memory that was not copied: its own pages, a window at a time. */
static struct goro_error *search_memory(struct run *r, uint64_t lo, uint64_t hi)
{
	struct goro_error *err = NULL;

	lo = (lo + 7) & ~7ull;
	for (uint64_t at = lo, end; at < hi && !err; at = end) {
		uint8_t own[WINDOW / HEAP_PAGE + 1];
		uint64_t page = at & ~(uint64_t)(HEAP_PAGE - 1);

		end = hi - page > WINDOW ? page + WINDOW : hi;
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
			memset(r->window, 0, stop - from);
			err = heap_load_run(r->view->t, from, stop, r->window);
			search_words(r, r->window, stop - from, from);
		}
	}
	return err;
}

static void search_record(struct run *r, uint32_t g)
{
	const struct goro_info *info = &r->view->snap->g[g];
	const struct facts *facts = r->view->facts;
	const uint8_t *record = r->records + g * (size_t)facts->record_size;
	size_t stale = info->state == GORO_STATE_WAITING ? facts->record_size : facts->record_wait;

	r->here = (struct reach_link){ .kind = REACH_RECORD, .id = info->id };
	search_words(r, record, stale, info->record);
	if (stale + 8 < facts->record_size)
		search_words(r, record + stale + 8, facts->record_size - stale - 8,
			     info->record + stale + 8);
}

static struct goro_error *search_stack(struct run *r, uint32_t g)
{
	const struct goro_info *info = &r->view->snap->g[g];
	bool skip = reach_skips("stacks") && !r->candidate[g];
	struct goro_error *err = NULL;

	search_record(r, g);
	if (!reach_skips("locals"))
		visit(r, r->view->facts->locals[g], info->record);
	r->here.kind = REACH_STACK;
	if (r->stack[g] && !skip)
		search_words(r, r->stack[g], info->stack_hi - r->from[g], r->from[g]);
	else if (r->from[g] && !skip)
		err = search_memory(r, r->from[g], info->stack_hi);
	return err;
}

static struct goro_error *drain(struct run *r)
{
	struct goro_error *err = NULL;

	while (r->ntodo && !err && !r->no_memory) {
		struct todo t = r->todo[--r->ntodo];

		if (t.kind == ZONE_AREA) {
			const struct heap_area *a = &r->heap.areas[t.index];
			uint64_t at = a->lo + (uint64_t)t.granule * HEAP_GRANULE;
			size_t size;
			const uint8_t *bytes = heap_object(a, t.granule, &size);

			r->ret->objects++;
			r->ret->object_bytes += size;
			r->here = (struct reach_link){ .kind = REACH_OBJECT,
						       .object = at,
						       .size = size };
			search_words(r, bytes, size, at);
		} else if (t.kind == ZONE_BLOCK) {
			const struct heap_block *b = &r->heap.blocks[t.index];

			r->ret->objects++;
			r->ret->object_bytes += b->hi - b->lo - 16;
			r->here = (struct reach_link){ .kind = REACH_OBJECT,
						       .object = b->lo,
						       .size = b->hi - b->lo };
			err = reach_skips("blocks") ? NULL : search_memory(r, b->lo, b->hi);
		} else {
			err = search_stack(r, t.index);
		}
	}
	return r->no_memory && !err ? &goro_enomem : err;
}

/* ---- who may be a candidate ---------------------------------------------------------------------
 */

static bool waits_for_others(const struct goro_info *g)
{
	switch (g->wait_class) {
	case GORO_CLASS_NEVER:
		return true;
	case GORO_CLASS_CHAN:
	case GORO_CLASS_SELECT:
	case GORO_CLASS_MUTEX:
	case GORO_CLASS_RWMUTEX:
	case GORO_CLASS_COND:
	case GORO_CLASS_WAITGROUP:
	case GORO_CLASS_SEMA:
		return g->nwaits != 0;
	default:
		return false;
	}
}

static bool may_be_candidate(const struct run *r, size_t i, const struct roots *roots)
{
	const struct goro_info *g = &r->view->snap->g[i];

	return g->state == GORO_STATE_WAITING && waits_for_others(g) && !g->torn &&
	       !(g->flags & (GORO_FLAG_SYSTEM | GORO_FLAG_IGNORE)) && roots->parked[i] &&
	       (g->wait_class == GORO_CLASS_NEVER || r->view->facts->queued[i]);
}

static bool add_watch(struct run *r, uint64_t key, uint32_t g)
{
	if (r->nwatch == r->watch_cap) {
		size_t cap = r->watch_cap ? r->watch_cap * 2 : 256;
		struct watch *bigger = realloc(r->watch, cap * sizeof *bigger);

		if (!bigger)
			return false;
		r->watch = bigger;
		r->watch_cap = cap;
	}
	r->watch[r->nwatch++] = (struct watch){ key, g };
	return true;
}

/* Watch an object. False: it lies where everything is reachable. */
static bool watch_object(struct run *r, uint64_t object, uint32_t g)
{
	const struct zone *z = zones_find(&r->zones, object);
	uint32_t granule;

	if (!z)
		return false;
	if (z->kind != ZONE_AREA) {
		r->no_memory |= !add_watch(r, z->lo, g);
		return true;
	}
	granule = heap_find(&r->heap.areas[z->index], object);
	/* In a free chunk: the program is wrong, and nothing is sure. */
	if (granule == NO_GRANULE || heap_bit(r->heap.areas[z->index].mark, granule))
		return false;
	heap_set(r->watched[z->index], granule);
	r->no_memory |=
		!add_watch(r, r->heap.areas[z->index].lo + (uint64_t)granule * HEAP_GRANULE, g);
	return true;
}

static bool watch_all(struct run *r, uint32_t g)
{
	const struct goro_info *info = &r->view->snap->g[g];

	for (uint32_t i = 0; i < info->nwaits; i++) {
		uint64_t object = r->view->snap->waits[info->waits_first + i].object;

		if (object && !watch_object(r, object, g))
			return false;
	}
	return true;
}

static int by_key(const void *a, const void *b)
{
	const struct watch *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (x->g > y->g) - (x->g < y->g);
}

/* Once the zones are known: everybody else is alive from the start. */
static void choose_candidates(struct run *r, const struct roots *roots)
{
	for (size_t i = 0; i < r->view->snap->ng; i++) {
		r->candidate[i] = may_be_candidate(r, i, roots) && watch_all(r, (uint32_t)i);
		r->ret->ncandidates += r->candidate[i];
		if (r->view->never && r->view->never[i])
			continue;
		r->alive[i] = !r->candidate[i];
		if (r->alive[i])
			search_goroutine(r, (uint32_t)i);
	}
	qsort(r->watch, r->nwatch, sizeof *r->watch, by_key);
}

/* ---- reading goroutines in advance --------------------------------------------------------------
 */

static struct goro_error *read_batch(struct run *r, struct target_read *reads, size_t n)
{
	struct goro_error *err = r->view->t->ops->read(r->view->t, reads, n);

	for (size_t i = 0; i < n && !err; i++) {
		if (!reads[i].ok)
			memset(reads[i].to, 0, reads[i].len);
	}
	return err;
}

static struct goro_error *preload(struct run *r)
{
	const struct goro_snapshot *snap = r->view->snap;
	size_t size = r->view->facts->record_size, used = 0, n = 0;
	struct target_read reads[BATCH];
	struct goro_error *err = NULL;

	if (reach_skips("cold"))
		target_absent_free(r->view->t);
	for (size_t i = 0; i < snap->ng; i++) {
		uint64_t len = r->from[i] ? snap->g[i].stack_hi - r->from[i] : 0;

		r->slab_size += len <= PRELOAD ? len : 0;
	}
	r->slab = mmap(NULL, r->slab_size + 1, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r->slab == MAP_FAILED)
		r->slab = NULL;
	if (!r->slab)
		return &goro_enomem;
	for (size_t i = 0; i < snap->ng && !err; i++) {
		uint64_t len = r->from[i] ? snap->g[i].stack_hi - r->from[i] : 0;

		reads[n++] = (struct target_read){ .address = snap->g[i].record,
						   .to = r->records + i * size,
						   .len = size };
		if (len && len <= PRELOAD) {
			r->stack[i] = r->slab + used;
			used += len;
			reads[n++] = (struct target_read){ .address = r->from[i],
							   .to = r->stack[i],
							   .len = len };
		}
		if (n < BATCH - 1 && i + 1 < snap->ng)
			continue;
		err = read_batch(r, reads, n);
		n = 0;
	}
	return err;
}

/* ---- the roots ----------------------------------------------------------------------------------
 */

static struct goro_error *search_roots(struct run *r, const struct roots *roots)
{
	struct goro_error *err = NULL;

	r->here = (struct reach_link){ .kind = REACH_MEMORY };
	for (size_t i = 0; i < roots->n && !err; i++) {
		r->ret->root_bytes += roots->v[i].hi - roots->v[i].lo;
		err = search_memory(r, roots->v[i].lo, roots->v[i].hi);
	}
	for (size_t i = 0; i < r->view->nthreads && !err; i++) {
		const struct target_thread *t = &r->view->threads[i];

		r->here = (struct reach_link){ .kind = REACH_REGISTERS, .id = (uint64_t)t->tid };
		if (!reach_skips("registers"))
			search_words(r, (const uint8_t *)t->regs, t->nregs * sizeof *t->regs, 0);
		/* In the middle of a copy a pointer may begin at any byte of a register. */
		for (size_t k = 0;
		     !roots->idle[i] && k < 8 && k < t->vector_size && !reach_skips("vector"); k++)
			search_words(r, t->vector + k, t->vector_size - k, 0);
	}
	return err;
}

/* ---- results ------------------------------------------------------------------------------------
 */

/* Heap that only leaked goroutines reach: what several of them share counts for the first. */
static struct goro_error *measure(struct run *r)
{
	const struct reach sum = *r->ret;
	struct goro_error *err = NULL;

	r->retaining = true;
	for (size_t i = 0; i < r->view->snap->ng && !err; i++) {
		uint64_t before = r->ret->object_bytes;

		if (!r->candidate[i] || r->alive[i])
			continue;
		r->ret->leaked[i] = true;
		r->ret->nleaked++;
		search_goroutine(r, (uint32_t)i);
		err = drain(r);
		r->ret->retains[i] = r->ret->object_bytes - before;
	}
	r->ret->objects = sum.objects;
	r->ret->object_bytes = sum.object_bytes;
	return err;
}

static int by_origin(const void *a, const void *b)
{
	const struct origin *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

static bool has_origin(const struct run *r, uint64_t key)
{
	const struct origin o = { .key = key };

	return bsearch(&o, r->origins, r->norigins, sizeof o, by_origin);
}

/* What was being searched when this link was made, under its key; 0: a root. */
static uint64_t key_of(const struct run *r, const struct reach_link *from)
{
	if (from->kind == REACH_OBJECT)
		return from->object;
	if (from->kind == REACH_STACK || from->kind == REACH_RECORD) {
		const struct goro_info *g = goro_snapshot_find(r->view->snap, from->id);
		size_t i = g ? (size_t)(g - r->view->snap->g) : 0;

		/* Of those that are not blocked the stack is a root. */
		if (!g || !r->candidate[i])
			return 0;
		/* A pointer into its stack came first. */
		if (has_origin(r, r->from[i]))
			return r->from[i];
		for (size_t k = 0; k < r->nwatch; k++) {
			/* It was woken by the first of its objects that was marked. */
			if (r->watch[k].g == i && has_origin(r, r->watch[k].key))
				return r->watch[k].key;
		}
	}
	return 0;
}

/* From what the goroutine waits for back to a root, then the other way round. */
static bool find_chain(struct run *r)
{
	enum { MOST = 64 };
	struct reach_link *v = calloc(MOST, sizeof *v);
	struct origin key = { .key = r->why_key };
	size_t n = 0;

	if (!v)
		return false;
	if (r->norigins)
		qsort(r->origins, r->norigins, sizeof *r->origins, by_origin);
	while (key.key && n < MOST) {
		const struct origin *o =
			bsearch(&key, r->origins, r->norigins, sizeof key, by_origin);

		if (!o)
			break;
		v[n++] = o->from;
		key.key = key_of(r, &o->from);
	}
	for (size_t i = 0; i < n / 2; i++) {
		struct reach_link swap = v[i];

		v[i] = v[n - 1 - i];
		v[n - 1 - i] = swap;
	}
	r->ret->chain = v;
	r->ret->nchain = n;
	return true;
}

/* ---- all of it ----------------------------------------------------------------------------------
 */

static bool allocate(struct run *r)
{
	size_t n = r->view->snap->ng + 1;

	r->candidate = calloc(n, sizeof *r->candidate);
	r->alive = calloc(n, sizeof *r->alive);
	r->searched = calloc(n, sizeof *r->searched);
	r->stack = calloc(n, sizeof *r->stack);
	r->ret->leaked = calloc(n, sizeof *r->ret->leaked);
	r->ret->retains = calloc(n, sizeof *r->ret->retains);
	r->window = malloc(WINDOW + HEAP_PAGE);
	r->records = calloc(n, r->view->facts->record_size);
	return r->records && r->candidate && r->alive && r->searched && r->stack &&
	       r->ret->leaked && r->ret->retains && r->window;
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
	for (size_t i = 0; i < r->heap.nblocks; i++)
		ok &= zones_add(&r->zones,
				(struct zone){ r->heap.blocks[i].lo, r->heap.blocks[i].hi,
					       ZONE_BLOCK, (uint32_t)i });
	for (size_t i = 0; i < snap->ng; i++) {
		if (roots->from[i])
			ok &= zones_add(&r->zones,
					(struct zone){ roots->from[i], snap->g[i].stack_hi,
						       ZONE_STACK, (uint32_t)i });
	}
	return ok && zones_finish(&r->zones);
}

static struct goro_error *mark(struct run *r, const struct roots *roots)
{
	struct goro_error *err;

	r->from = roots->from;
	if (!make_zones(r, roots))
		return &goro_enomem;
	err = preload(r);
	if (err)
		return err;
	choose_candidates(r, roots);
	/* Nobody waits for what could be out of reach: there is nothing to find. */
	if (!r->ret->ncandidates && !r->view->why)
		return r->no_memory ? &goro_enomem : NULL;
	err = search_roots(r, roots);
	if (!err)
		err = drain(r);
	if (!err)
		err = measure(r);
	if (!err && r->view->why && !find_chain(r))
		err = &goro_enomem;
	return err;
}

static void run_free(struct run *r)
{
	for (size_t i = 0; r->watched && i < r->heap.nareas; i++)
		free(r->watched[i]);
	heap_free(&r->heap);
	zones_free(&r->zones);
	if (r->slab)
		munmap(r->slab, r->slab_size + 1);
	free(r->watched);
	free(r->block_marked);
	free(r->watch);
	free(r->candidate);
	free(r->alive);
	free(r->searched);
	free(r->stack);
	free(r->records);
	free(r->todo);
	free(r->window);
	free(r->origins);
}

struct goro_error *reach_run(const struct reach_view *view, struct reach *ret)
{
	struct run r = { .view = view, .ret = ret };
	struct target_maps maps;
	struct roots roots = { 0 };
	struct goro_error *err;

	*ret = (struct reach){ 0 };
	err = view->t->ops->maps(view->t, &maps);
	if (err)
		return err;
	if (!allocate(&r))
		err = &goro_enomem;
	if (!err)
		err = heap_read(&r.heap, view->t, &maps, view->facts->opaque, view->facts->nopaque,
				view->most);
	if (!err) {
		memcpy(ret->note, r.heap.note, sizeof ret->note);
		ret->busy = r.heap.busy;
	}
	/*
	 * All is in use if no object is known. Another allocator's address space can be terabytes
	 * (AddressSanitizer's is), so it is not even looked at.
	 */
	if (!err && (r.heap.nareas || r.heap.nblocks || ret->busy)) {
		err = roots_find(&roots, view, &maps, &r.heap);
		if (!err)
			err = mark(&r, &roots);
	}
	run_free(&r);
	roots_free(&roots);
	target_maps_free(&maps);
	if (err)
		reach_free(ret);
	return err;
}

void reach_free(struct reach *r)
{
	free(r->leaked);
	free(r->retains);
	free(r->chain);
	*r = (struct reach){ 0 };
}
