/* SPDX-License-Identifier: MIT */
/*
 * reader_goro_caught.c - goroutines that were running when their process ended, with the stacks
 * that they really had.
 *
 * A core file has the registers of all threads, so what a live process cannot show without a stop
 * is there: where a goroutine that computes is, and in which blocking call one waits. Which thread
 * is whose is known by the worker's record: `curg` of the worker that a running one is on, `m_id`
 * of one in a blocking call. Where the thread was in a handler on a signal stack the walk goes on
 * below, on the stack that was interrupted.
 */
#include "reader_goro.h"

#include <stdlib.h>
#include <string.h>

#include "facts.h"
#include "target_sample.h"

#define FIRST_WINDOW (64u << 10)
#define MAX_WINDOW   (16u << 20) /* of one stack */

/* A worker, and its thread as it was caught. */
struct caught {
	uint64_t key; /* what it is found by */
	const struct facts_worker *worker;
	const struct thread_sample *thread;
};

struct search {
	struct reader_goro *r;
	struct target *t;
	struct snapshot_builder *b;
	struct facts_worker *workers;
	size_t nworkers;
	struct caught *by_curg, *by_id;
	size_t n;
};

static int by_key(const void *a, const void *b)
{
	const struct caught *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

static const struct caught *find(const struct caught *v, size_t n, uint64_t key)
{
	const struct caught wanted = { .key = key };

	return bsearch(&wanted, v, n, sizeof wanted, by_key);
}

static int by_tid(const void *a, const void *b)
{
	const struct thread_sample *const *x = a, *const *y = b;

	return ((*x)->tid > (*y)->tid) - ((*x)->tid < (*y)->tid);
}

/* Two tables over the workers whose threads are there. */
static bool match(struct search *s)
{
	const struct thread_sample *threads, **order;
	size_t n = s->t->ops->caught(s->t, &threads);

	order = calloc(n + 1, sizeof *order);
	s->by_curg = calloc(s->nworkers + 1, sizeof *s->by_curg);
	s->by_id = calloc(s->nworkers + 1, sizeof *s->by_id);
	if (!order || !s->by_curg || !s->by_id) {
		free(order);
		return false;
	}
	for (size_t i = 0; i < n; i++)
		order[i] = &threads[i];
	qsort(order, n, sizeof *order, by_tid);
	for (size_t i = 0; i < s->nworkers; i++) {
		const struct facts_worker *w = &s->workers[i];
		const struct thread_sample wanted = { .tid = w->tid }, *key = &wanted;
		const struct thread_sample **found =
			w->tid ? bsearch(&key, order, n, sizeof *order, by_tid) : NULL;

		if (!found)
			continue;
		s->by_curg[s->n] = (struct caught){ w->curg, w, *found };
		s->by_id[s->n++] = (struct caught){ w->id, w, *found };
	}
	qsort(s->by_curg, s->n, sizeof *s->by_curg, by_key);
	qsort(s->by_id, s->n, sizeof *s->by_id, by_key);
	free(order);
	return true;
}

/* ---- one stack ------------------------------------------------------------------------------- */

/* As much as there is of [sp, sp + want); a core file that is cut short may have less. */
static size_t copy(struct target *t, uint64_t sp, size_t want, uint8_t *to)
{
	for (; want >= 8; want /= 2) {
		bool ok = false;

		goro_error_free(target_read_at(t, sp, to, want, &ok));
		if (ok)
			return want;
	}
	return 0;
}

/* Unwind into s->b->result. False: there is nothing to begin with. */
static bool walk(struct search *s, struct unwind_stack *stack)
{
	for (size_t window = FIRST_WINDOW;; window *= 16) {
		uint64_t most = stack->hi - stack->sp;
		size_t want = most < window ? most : window < MAX_WINDOW ? window : MAX_WINDOW;
		uint8_t *bytes = malloc(want + 1);
		enum unwind_status status;

		if (!bytes)
			return false;
		stack->len = copy(s->t, stack->sp, want, bytes);
		stack->bytes = bytes;
		status = stack->len ? unwind(s->b->unwinder, stack, &s->b->result) : UNWIND_CANNOT;
		free(bytes);
		if (status == UNWIND_MORE && stack->len == want && want < most &&
		    window < MAX_WINDOW)
			continue;
		return status != UNWIND_CANNOT && s->b->result.n;
	}
}

static bool lies_in(uint64_t address, uint64_t lo, uint64_t hi)
{
	return address >= lo && address < hi;
}

/* The thread's stack; [lo, hi) is the one that it must be on, but for a handler of a signal. */
static bool walk_thread(struct search *s, const struct thread_sample *thread, uint64_t lo,
			uint64_t hi, bool main)
{
	const uint64_t sp = thread->registers.sp;
	const struct target_map *map = target_maps_find(&s->r->modules->maps, sp);
	struct unwind_stack stack = {
		.layout = &s->r->contract.layout,
		.registers = &thread->registers,
		.sp = sp,
		.hi = hi,
		.still = true,
		.main = main,
	};

	if (!lies_in(sp, lo, hi)) {
		if (!map || !map->writable)
			return false;
		stack.hi = map->hi;
		stack.under_lo = lo;
		stack.under_hi = hi;
	}
	return walk(s, &stack);
}

/*
 * Behind the `own` frames of the call, which runs on the worker's own stack, come those of the
 * goroutine that made it.
 */
static void append_parked(struct unwind_result *u, unsigned own, const struct goro_snapshot *snap,
			  const struct goro_info *g)
{
	const struct goro_stack *parked = &snap->stacks[g->stack_id];
	size_t n = parked->n;

	u->n = own;
	if (n > UNWIND_MAX_FRAMES - u->n)
		n = UNWIND_MAX_FRAMES - u->n;
	memcpy(u->pcs + u->n, snap->pcs + parked->first, n * sizeof *u->pcs);
	u->n += (unsigned)n;
	u->complete &= parked->complete && n == parked->n;
	u->by_frame_pointer |= parked->by_frame_pointer;
}

static void keep(struct search *s, size_t i)
{
	const struct unwind_result *u = &s->b->result;
	const struct goro_stack st = {
		.n = u->n,
		.complete = u->complete,
		.by_frame_pointer = u->by_frame_pointer,
		.caught = true,
	};

	if (!u->complete)
		s->b->snap->truncated++;
	s->b->snap->g[i].stack_id = snapshot_intern_stack(s->b, &st, u->pcs);
}

static void show_running(struct search *s, size_t i, const struct caught *c)
{
	struct goro_info *g = &s->b->snap->g[i];
	const uint64_t sp = c->thread->registers.sp;

	/* It has left its stack, or not entered it yet: it runs by its record only. */
	if (lies_in(sp, c->worker->lo, c->worker->hi))
		return;
	if (!walk_thread(s, c->thread, g->stack_lo, g->stack_hi,
			 g->flags & (GORO_FLAG_MAIN | GORO_FLAG_FOREIGN)))
		return;
	if (lies_in(sp, g->stack_lo, g->stack_hi))
		g->stack_used = g->stack_hi - sp;
	keep(s, i);
}

static void show_blocked(struct search *s, size_t i, const struct caught *c)
{
	struct goro_info *g = &s->b->snap->g[i];
	const struct facts_worker *w = c->worker;
	const uint64_t scheduler = w->sp + s->r->contract.raw.saved_size;
	unsigned own;

	/* Where the scheduler stood when it began the goroutine is where the call was made. */
	if (g->stack_id >= s->b->snap->nstacks || !lies_in(w->sp, w->lo, w->hi) ||
	    scheduler > w->hi || !walk_thread(s, c->thread, w->lo, scheduler, true))
		return;
	own = s->b->result.n;
	if (!walk_thread(s, c->thread, w->lo, w->hi, true) || own > s->b->result.n)
		return;
	append_parked(&s->b->result, own, s->b->snap, g);
	keep(s, i);
}

/* ---- all of them ----------------------------------------------------------------------------- */

struct goro_error *reader_goro_caught(struct reader_goro *r, struct target *t,
				      struct snapshot_builder *b)
{
	struct search s = { .r = r, .t = t, .b = b };
	struct goro_snapshot *snap = b->snap;
	struct goro_error *err;
	bool all;

	err = contract_read_workers(&r->contract, t, &s.workers, &s.nworkers, &all);
	if (!err && !match(&s))
		err = &goro_enomem;
	for (size_t i = 0; !err && i < snap->ng; i++) {
		const struct goro_info *g = &snap->g[i];
		const bool runs = g->state == GORO_STATE_RUNNING;
		const bool blocks = g->state == GORO_STATE_WAITING &&
				    g->reason == GORO_REASON_BLOCKING;
		const struct caught *c = runs	  ? find(s.by_curg, s.n, g->record)
					 : blocks ? find(s.by_id, s.n, g->m_id)
						  : NULL;

		if (!c || !g->id)
			continue;
		if (t->crash.signal && (uint32_t)t->crash.tid == c->thread->tid)
			snap->crash.goroutine = g->id;
		if (runs)
			show_running(&s, i, c);
		else
			show_blocked(&s, i, c);
	}
	free(s.workers);
	free(s.by_curg);
	free(s.by_id);
	return err;
}
