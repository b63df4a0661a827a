/* SPDX-License-Identifier: MIT */
/*
 * reach_roots.c - which memory is searched for pointers from the start, and which is not.
 *
 * It is the other way round from what a collector does: every page that the program has written is
 * a root unless it is known to be something else. So a root cannot be forgotten: data, bss,
 * thread-local variables, stacks of foreign threads, an unknown allocator's arenas, shared memory,
 * pages that were made read-only, all of them need no mention here.
 */
#include "reach_roots.h"

#include <stdlib.h>
#include <string.h>

#include "goro_introspect.h"
#include "order.h"
#include "reach_gaps.h"
#include "reach_skip.h"

/* What stacks of the runtime's own, of which we know no more, may have at most. */
#define ODD_STACK  (UINT64_C(4) << 20)
#define MOST_SPACE (UINT64_C(256) << 30) /* of address space whose pages are asked for */

struct finder {
	struct roots *ret;
	const struct reach_view *view;
	const struct target_maps *maps;
	const struct heap *heap;
	struct facts_range *out; /* what is no root */
	size_t nout, out_cap;
	uint32_t *order; /* goroutines with a stack, by its address */
	size_t norder;
	uint64_t space;
};

static bool add(struct facts_range **v, size_t *n, size_t *cap, uint64_t lo, uint64_t hi)
{
	if (lo >= hi)
		return true;
	if (*n == *cap) {
		size_t more = *cap ? *cap * 2 : 256;
		struct facts_range *bigger = realloc(*v, more * sizeof *bigger);

		if (!bigger)
			return false;
		*v = bigger;
		*cap = more;
	}
	(*v)[(*n)++] = (struct facts_range){ lo, hi };
	return true;
}

static bool add_root(struct finder *f, uint64_t lo, uint64_t hi)
{
	return add(&f->ret->v, &f->ret->n, &f->ret->cap, lo, hi);
}

static bool leave_out(struct finder *f, uint64_t lo, uint64_t hi)
{
	return add(&f->out, &f->nout, &f->out_cap, lo, hi);
}

static uint64_t begin_of(const void *ranges, size_t i)
{
	const struct facts_range *v = ranges;

	return v[i].lo;
}

/* Sorted, and none overlaps another. False: no memory. */
static bool merge(struct facts_range *v, size_t *n)
{
	size_t kept = 0;

	if (!order_things(v, sizeof *v, *n, begin_of))
		return false;
	for (size_t i = 0; i < *n; i++) {
		if (kept && v[i].lo <= v[kept - 1].hi) {
			if (v[i].hi > v[kept - 1].hi)
				v[kept - 1].hi = v[i].hi;
		} else {
			v[kept++] = v[i];
		}
	}
	*n = kept;
	return true;
}

/* ---- the stacks of goroutines ------------------------------------------------------------------
 */

static uint64_t stack_of(const void *finder, size_t i)
{
	const struct finder *f = finder;

	return f->view->snap->g[f->order[i]].stack_lo;
}

static bool sort_by_stack(struct finder *f)
{
	uint32_t *order = order_by(f->norder, stack_of, f);

	for (size_t i = 0; order && i < f->norder; i++)
		order[i] = f->order[order[i]];
	free(f->order);
	f->order = order;
	return order;
}

/* The goroutine on whose stack address lies, or -1. */
static long goroutine_at(const struct finder *f, uint64_t address)
{
	const struct goro_snapshot *snap = f->view->snap;
	size_t lo = 0, hi = f->norder;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (snap->g[f->order[mid]].stack_hi <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == f->norder || address < snap->g[f->order[lo]].stack_lo)
		return -1;
	return f->order[lo];
}

/* Where it stands by its record, or the whole of its stack. */
static void clip_by_record(struct finder *f, size_t i)
{
	const struct goro_info *g = &f->view->snap->g[i];
	bool stands = g->state == GORO_STATE_WAITING || g->state == GORO_STATE_RUNNABLE ||
		      g->state == GORO_STATE_NEW;

	if (g->stack_lo >= g->stack_hi)
		return;
	if (!stands || g->sp < g->stack_lo || g->sp >= g->stack_hi) {
		f->ret->from[i] = g->stack_lo;
		return;
	}
	f->ret->from[i] = g->sp;
	f->ret->parked[i] = g->state == GORO_STATE_WAITING;
}

/*
 * At its end a program says which part of main's stack belongs to exit(): see runtime/gate.c. It
 * lies in the midst of what is in use; what is below is a root like any memory.
 */
static bool leave_out_exit(struct finder *f, size_t i)
{
	const struct goro_info *g = &f->view->snap->g[i];
	bool ok = true;

	for (size_t k = 0; k < f->view->facts->nopaque; k++) {
		const struct facts_range *o = &f->view->facts->opaque[k];

		if (o->lo < f->ret->from[i] || o->hi > g->stack_hi)
			continue;
		ok &= add_root(f, f->ret->from[i], o->lo);
		f->ret->from[i] = o->hi;
	}
	return ok;
}

/*
 * In the look without a stop nobody knows where a goroutine that runs has its stack pointer, unless
 * its thread sleeps in the kernel, as main does at its end. It may be elsewhere in the next moment,
 * but that look only says whether a stop is worth while.
 */
static bool clip_by_sleep(struct finder *f)
{
	const struct target_ops *ops = f->view->t->ops;
	bool ok = true;

	for (size_t k = 0; ops->asleep_at && k < f->view->facts->nworkers; k++) {
		uint64_t sp = ops->asleep_at(f->view->t, f->view->facts->workers[k].tid);
		long i = sp ? goroutine_at(f, sp) : -1;

		if (i < 0 || f->view->snap->g[i].state != GORO_STATE_RUNNING)
			continue;
		f->ret->from[i] = sp;
		ok &= leave_out_exit(f, (size_t)i);
	}
	return ok;
}

/* A thread is on it, whatever its record says. */
static bool clip_by_threads(struct finder *f)
{
	bool ok = true;

	for (size_t t = 0; t < f->view->nthreads; t++) {
		const struct target_thread *th = &f->view->threads[t];
		long i = th->sp ? goroutine_at(f, th->sp) : -1;
		const struct goro_info *g;
		uint64_t low;

		if (i < 0)
			continue;
		g = &f->view->snap->g[i];
		low = th->sp - g->stack_lo > th->red_zone ? th->sp - th->red_zone : g->stack_lo;
		/* The registers are right; what the record says, if it stands, is not forgotten. */
		if (g->state == GORO_STATE_RUNNING || low < f->ret->from[i])
			f->ret->from[i] = low;
		f->ret->parked[i] = false;
		if (g->state == GORO_STATE_RUNNING)
			ok &= leave_out_exit(f, (size_t)i);
	}
	return ok;
}

/* A stack that lies in another, or in the heap, is no stack of ours: a root like any memory. */
static bool take_out_overlaps(struct finder *f)
{
	const struct goro_snapshot *snap = f->view->snap;
	uint64_t end = 0; /* of all before */
	bool ok = true;

	for (size_t k = 0; k < f->norder; k++) {
		uint32_t i = f->order[k];
		const struct goro_info *g = &snap->g[i];
		bool odd = end > g->stack_lo ||
			   (k + 1 < f->norder && snap->g[f->order[k + 1]].stack_lo < g->stack_hi);

		end = g->stack_hi > end ? g->stack_hi : end;
		for (size_t a = 0; a < f->heap->nareas; a++)
			odd |= f->heap->areas[a].lo < g->stack_hi &&
			       f->heap->areas[a].hi > g->stack_lo;
		for (size_t b = 0; b < f->heap->nblocks; b++)
			odd |= f->heap->blocks[b].lo < g->stack_hi &&
			       f->heap->blocks[b].hi > g->stack_lo;
		if (!odd) {
			ok &= leave_out(f, g->stack_lo, g->stack_hi);
			continue;
		}
		ok &= add_root(f, f->ret->from[i], g->stack_hi);
		f->ret->from[i] = 0;
		f->ret->parked[i] = false;
	}
	return ok;
}

static bool find_stacks(struct finder *f)
{
	const struct goro_snapshot *snap = f->view->snap;

	f->order = calloc(snap->ng + 1, sizeof *f->order);
	if (!f->order)
		return false;
	for (size_t i = 0; i < snap->ng; i++) {
		clip_by_record(f, i);
		if (f->ret->from[i])
			f->order[f->norder++] = (uint32_t)i;
	}
	if (!sort_by_stack(f))
		return false;
	return f->view->nthreads ? clip_by_threads(f) : clip_by_sleep(f);
}

/* ---- the stacks of threads ---------------------------------------------------------------------
 */

static bool in_blocking_call(const struct finder *f, const struct facts_worker *w)
{
	for (size_t i = 0; i < f->view->snap->ng; i++) {
		const struct goro_info *g = &f->view->snap->g[i];

		if (g->state == GORO_STATE_WAITING && g->reason == GORO_REASON_BLOCKING &&
		    g->m_id == w->id)
			return true;
	}
	return false;
}

/*
 * A worker's own stack runs only the scheduler. The part below where it stands is left out; and if
 * it sits in a system call of the runtime, which calls libc for it, what vector registers hold is
 * from before, by the rules of calls.
 */
static bool find_worker(struct finder *f, const struct facts_worker *w)
{
	bool left = w->sp >= w->lo && w->sp < w->hi;

	if (!f->view->nthreads)
		return leave_out(f, w->lo, w->hi) && add_root(f, left ? w->sp : w->lo, w->hi);
	for (size_t t = 0; t < f->view->nthreads; t++) {
		const struct target_thread *th = &f->view->threads[t];
		uint64_t from = w->lo;

		if ((uint32_t)th->tid != w->tid || !th->sp)
			continue;
		if (th->sp >= w->lo && th->sp < w->hi) {
			from = th->sp - w->lo > th->red_zone ? th->sp - th->red_zone : w->lo;
			f->ret->idle[t] = th->syscall >= 0 && !in_blocking_call(f, w);
		} else if (left && goroutine_at(f, th->sp) >= 0) {
			from = w->sp;
		}
		return leave_out(f, w->lo, w->hi) &&
		       (reach_skips("workers") || add_root(f, from, w->hi));
	}
	/* Its thread has ended, and the memory may be something else by now. */
	return true;
}

/* On its worker's own stack: see above. */
static bool on_workers_stack(const struct finder *f, const struct target_thread *th)
{
	for (size_t i = 0; i < f->view->facts->nworkers; i++) {
		const struct facts_worker *w = &f->view->facts->workers[i];

		if (w->tid == (uint32_t)th->tid && th->sp >= w->lo && th->sp < w->hi)
			return true;
	}
	return false;
}

/* A thread that stands in the runtime's memory but on no stack we know: a signal's, a report's. */
static bool find_odd_stacks(struct finder *f)
{
	bool ok = true;

	for (size_t t = 0; t < f->view->nthreads; t++) {
		const struct target_thread *th = &f->view->threads[t];
		uint64_t from = th->sp - th->red_zone;

		for (size_t i = 0; i < f->view->facts->nopaque; i++) {
			const struct facts_range *o = &f->view->facts->opaque[i];

			if (th->sp < o->lo || th->sp >= o->hi || goroutine_at(f, th->sp) >= 0 ||
			    on_workers_stack(f, th))
				continue;
			from = from < o->lo ? o->lo : from;
			ok &= add_root(f, from,
				       o->hi - from < ODD_STACK ? o->hi : from + ODD_STACK);
		}
	}
	return ok;
}

/* ---- all the rest ------------------------------------------------------------------------------
 */

static bool leave_out_known(struct finder *f)
{
	const struct facts *facts = f->view->facts;
	bool ok = true;

	for (size_t i = 0; i < f->heap->nareas; i++)
		ok &= leave_out(f, f->heap->areas[i].its.lo, f->heap->areas[i].its.hi);
	for (size_t i = 0; i < f->heap->nblocks; i++)
		ok &= leave_out(f, f->heap->blocks[i].lo, f->heap->blocks[i].hi);
	for (size_t i = 0; i < f->heap->nreserves; i++)
		ok &= leave_out(f, f->heap->reserves[i].lo, f->heap->reserves[i].hi);
	ok &= leave_out(f, f->heap->state.lo, f->heap->state.hi);
	for (size_t i = 0; i < facts->nopaque; i++)
		ok &= leave_out(f, facts->opaque[i].lo, facts->opaque[i].hi);
	return ok;
}

/* Nobody can read it, and nobody but the program can know what it is good for. */
static struct goro_error *check_unreadable(struct finder *f, uint64_t lo, uint64_t hi)
{
	enum { PAGES = 4096 };
	uint8_t own[PAGES];

	for (uint64_t at = lo, end; at < hi; at = end) {
		end = hi - at > PAGES * HEAP_PAGE ? at + PAGES * HEAP_PAGE : hi;
		if (!f->view->t->ops->own_pages ||
		    !f->view->t->ops->own_pages(f->view->t, at, end, own))
			return NULL;
		for (uint64_t a = at; a < end; a += HEAP_PAGE) {
			if (own[(a - at) / HEAP_PAGE])
				return goro_error_at(
					GORO_PARTIAL, a,
					"its memory at 0x%llx holds bytes that nobody may read now",
					(unsigned long long)a);
		}
	}
	return NULL;
}

static struct goro_error *use(struct finder *f, const struct target_map *m, uint64_t lo,
			      uint64_t hi)
{
	if (lo >= hi)
		return NULL;
	f->space += hi - lo;
	f->ret->too_big = f->space > MOST_SPACE;
	if (f->ret->too_big)
		return goro_error_new(GORO_PARTIAL,
				      "its address space is too big to search; was it built with a "
				      "sanitizer?");
	if ((reach_skips("data") && m->inode && !m->shared) ||
	    (reach_skips("shared") && m->shared) || (reach_skips("readonly") && !m->writable) ||
	    (reach_skips("nameless") && !m->inode && !m->path && m->writable))
		return NULL;
	if (!m->readable && !f->view->t->ops->missing)
		return m->shared ? NULL : check_unreadable(f, lo, hi);
	return add_root(f, lo, hi) ? NULL : &goro_enomem;
}

/* The kernel's own pages in every process. */
static bool is_kernels(const struct target_map *m)
{
	return m->lo >> 63 ||
	       (m->path && (!strncmp(m->path, "[vvar", 5) || !strcmp(m->path, "[vsyscall]") ||
			    !strcmp(m->path, TARGET_VDSO)));
}

/* The maps, less what was left out. */
static struct goro_error *find_memory(struct finder *f)
{
	struct goro_error *err = NULL;
	size_t k = 0;

	if (!merge(f->out, &f->nout))
		return &goro_enomem;
	for (size_t i = 0; i < f->maps->n && !err; i++) {
		const struct target_map *m = &f->maps->v[i];
		uint64_t at = m->lo;

		if (is_kernels(m) ||
		    (f->view->t->ops->missing && gaps_is_guard(f->view->t, f->maps, i)))
			continue;
		while (k < f->nout && f->out[k].hi <= at)
			k++;
		for (size_t j = k; j < f->nout && f->out[j].lo < m->hi && !err; j++) {
			err = use(f, m, at, f->out[j].lo);
			at = f->out[j].hi > at ? f->out[j].hi : at;
		}
		if (!err)
			err = use(f, m, at, m->hi);
	}
	return err;
}

struct goro_error *roots_find(struct roots *ret, const struct reach_view *view,
			      const struct target_maps *maps, const struct heap *heap)
{
	struct finder f = { .ret = ret, .view = view, .maps = maps, .heap = heap };
	const struct facts *facts = view->facts;
	struct goro_error *err = NULL;
	bool ok;

	if (view->snap->bad_records)
		return goro_error_new(GORO_PARTIAL, "%u of its records make no sense",
				      view->snap->bad_records);
	ret->from = calloc(view->snap->ng + 1, sizeof *ret->from);
	ret->parked = calloc(view->snap->ng + 1, sizeof *ret->parked);
	ret->idle = calloc(view->nthreads + 1, sizeof *ret->idle);
	ok = ret->from && ret->parked && ret->idle && find_stacks(&f) && take_out_overlaps(&f) &&
	     leave_out_known(&f) && find_odd_stacks(&f);
	for (size_t i = 0; ok && i < facts->nworkers; i++)
		ok = find_worker(&f, &facts->workers[i]);
	if (ok)
		err = find_memory(&f);
	for (size_t i = 0; ok && !err && i < facts->nroots && !reach_skips("timers"); i++)
		ok = add_root(&f, facts->roots[i].lo, facts->roots[i].hi);
	ok &= merge(ret->v, &ret->n);
	if (ok && !err && !reach_skips("gaps"))
		err = gaps_check(view, ret, heap);
	free(f.out);
	free(f.order);
	return ok ? err : &goro_enomem;
}

void roots_free(struct roots *r)
{
	free(r->v);
	free(r->from);
	free(r->parked);
	free(r->idle);
	*r = (struct roots){ 0 };
}
