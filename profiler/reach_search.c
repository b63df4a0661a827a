/* SPDX-License-Identifier: MIT */
/*
 * reach_search.c - the words of roots, and of what was marked; see reach.c.
 */
#include "reach_run.h"

#include <string.h>
#include <sys/mman.h>

#include "reach_skip.h"
#include "target_absent.h"

#define PRELOAD 16384u /* bytes of a stack that are read with many others at once */
#define BATCH	512u

/* ---- what was marked --------------------------------------------------------------------------
 */

/* Memory that was not copied: its own pages, a window at a time. */
static struct goro_error *search_memory(struct run *r, uint64_t lo, uint64_t hi)
{
	struct goro_error *err = NULL;

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
			memset(r->window, 0, stop - from);
			err = heap_load_run(r->view->t, from, stop, r->window);
			reach_search_words(r, r->window, stop - from, from);
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
	reach_search_words(r, record, stale, info->record);
	if (stale + 8 < facts->record_size)
		reach_search_words(r, record + stale + 8, facts->record_size - stale - 8,
				   info->record + stale + 8);
}

static struct goro_error *search_stack(struct run *r, uint32_t g)
{
	const struct goro_info *info = &r->view->snap->g[g];
	bool skip = reach_skips("stacks") && !r->candidate[g];
	struct goro_error *err = NULL;

	search_record(r, g);
	if (!reach_skips("locals"))
		reach_visit(r, r->view->facts->locals[g], info->record);
	r->here.kind = REACH_STACK;
	/* Its own code finds what lies in its frames by its stack pointer: no word need lead there.
	 */
	if (r->from[g] && !reach_skips("frames"))
		reach_wake_watchers(r, r->from[g]);
	if (r->stack[g] && !skip)
		reach_search_words(r, r->stack[g], info->stack_hi - r->from[g], r->from[g]);
	else if (r->from[g] && !skip)
		err = search_memory(r, r->from[g], info->stack_hi);
	return err;
}

void reach_search_object(struct run *r, const struct heap_area *a, uint64_t at, size_t size)
{
	const uint64_t end = at + size;

	for (uint64_t p = at, next; p < end; p = next) {
		const struct sparse_block *b = sparse_block(&a->words, p);
		unsigned line = p / 512 % SPARSE_LINES, bit = p / 8 % 64;
		const uint64_t *v;
		uint64_t bits;

		next = b ? (p | 511) + 1 : (p | (HEAP_PAGE - 1)) + 1;
		if (!b)
			continue;
		bits = b->map[line] >> bit << bit;
		if (next > end && end % 512)
			bits &= (UINT64_C(1) << end / 8 % 64) - 1;
		v = sparse_words(b, line, bit);
		for (; bits; bits &= bits - 1, v++) {
			reach_word(r, *v, (p & ~511ull) + 8u * (unsigned)__builtin_ctzll(bits));
		}
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
	return reach_skips("blocks") ? NULL : search_memory(r, b->lo, b->hi);
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
			else if (t.kind == ZONE_BLOCK)
				err = search_block(r, t.index);
			else
				err = search_stack(r, t.index);
		} else if (!reach_mark_seen(r)) {
			break;
		}
	}
	return r->no_memory && !err ? &goro_enomem : err;
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

struct goro_error *reach_preload(struct run *r)
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
	/* Records lie side by side, and neighbours are read faster. */
	for (size_t i = 0; i < snap->ng && !err; i++) {
		reads[n++] = (struct target_read){ .address = snap->g[i].record,
						   .to = r->records + i * size,
						   .len = size };
		if (n < BATCH && i + 1 < snap->ng)
			continue;
		err = read_batch(r, reads, n);
		n = 0;
	}
	for (size_t i = 0; i <= snap->ng && !err; i++) {
		uint64_t len = i < snap->ng && r->from[i] ? snap->g[i].stack_hi - r->from[i] : 0;

		if (len && len <= PRELOAD) {
			r->stack[i] = r->slab + used;
			used += len;
			reads[n++] = (struct target_read){ .address = r->from[i],
							   .to = r->stack[i],
							   .len = len };
		}
		if (n < BATCH && i < snap->ng)
			continue;
		err = read_batch(r, reads, n);
		n = 0;
	}
	return err;
}
/* ---- the roots ----------------------------------------------------------------------------------
 */

struct goro_error *reach_search_roots(struct run *r, const struct roots *roots)
{
	struct goro_error *err = NULL;

	r->here = (struct reach_link){ .kind = REACH_MEMORY };
	for (size_t i = 0; i < roots->n && !err; i++) {
		r->ret->root_bytes += roots->v[i].hi - roots->v[i].lo;
		err = search_memory(r, roots->v[i].lo, roots->v[i].hi);
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
		/* In the middle of a copy a pointer may begin at any byte of a register. */
		for (size_t k = 0;
		     !roots->idle[i] && k < 8 && k < t->vector_size && !reach_skips("vector"); k++)
			reach_search_words(r, t->vector + k, t->vector_size - k, 0);
	}
	return err;
}
