/* SPDX-License-Identifier: MIT */
/*
 * reader_goro_batch.c - the copied stacks of one batch, and what came of each.
 */
#include "reader_goro_scan.h"

#include <stdlib.h>

#define MAX_WINDOW  (8u << 20)	 /* of one stack */
#define DEEP_BUDGET (4ull << 30) /* bytes of deep stacks in one snapshot */
#define MAX_TRIES   5

static void again(struct scan *s, const struct item *it, uint32_t window, uint32_t tries)
{
	struct list *l = &s->again;

	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 256;
		struct item *bigger = realloc(l->v, cap * sizeof *bigger);

		if (!bigger) {
			s->b->no_memory = true;
			return;
		}
		l->v = bigger;
		l->cap = cap;
	}
	l->v[l->n] = *it;
	l->v[l->n].window = window;
	l->v[l->n++].tries = tries;
}

static void give_up(struct scan *s, const struct item *it)
{
	s->b->snap->g[it->g].torn = true;
	s->b->snap->torn++;
	scan_add_rlocks(s, it->g, s->before + it->slot);
}

/*
 * Nothing changes in a core file: what cannot be read of it is not there. But for a select, what it
 * waits for is in its record.
 */
static void lose(struct scan *s, const struct item *it)
{
	struct goro_info *g = &s->b->snap->g[it->g];
	bool elsewhere;

	g->lost = true;
	s->b->snap->lost++;
	s->b->snap->truncated++;
	if (g->wait_class != GORO_CLASS_SELECT &&
	    scan_collect_waits(s, it, g, &elsewhere) == UNWIND_DONE && s->nwaits)
		snapshot_add_wait(s->b, it->g, &s->waits[0]);
	scan_add_rlocks(s, it->g, s->before + it->slot);
}

static void retry(struct scan *s, const struct item *it)
{
	if (s->t->file) {
		lose(s, it);
		return;
	}
	if (it->tries == 0)
		s->b->snap->reread++;
	if (it->tries + 1 < MAX_TRIES)
		again(s, it, it->window, it->tries + 1);
	else
		give_up(s, it);
}

/* Its record was unchanged while its stack was copied. */
static void finish(struct scan *s, const struct item *it)
{
	struct goro_info *g = &s->b->snap->g[it->g];
	bool whole = it->sp + it->len >= it->hi || it->window >= MAX_WINDOW, elsewhere;
	struct unwind_stack stack = {
		.layout = &s->r->contract.layout,
		.sp = it->sp,
		.hi = whole ? it->sp + it->len : it->hi,
		.bytes = it->stack,
		.len = it->len,
		.main = g->flags & (GORO_FLAG_MAIN | GORO_FLAG_FOREIGN),
	};
	enum unwind_status status;
	uint64_t pc, sp;

	/* gdb writes zeros where it could not read. */
	if (s->t->file && unwind_start(&stack, &pc, &sp) == UNWIND_DONE && !pc) {
		lose(s, it);
		return;
	}
	status = scan_collect_waits(s, it, g, &elsewhere);
	if (status == UNWIND_CANNOT) {
		s->b->snap->bad_records++;
		s->nwaits = 0;
	}
	if (elsewhere) {
		/* Those records were read after the check: check again. */
		bool ok;

		goro_error_free(target_read_at(s->t, it->record, s->after + it->slot,
					       s->r->contract.raw.g_size, &ok));
		if (!ok || scan_moved(s, s->before + it->slot, s->after + it->slot)) {
			retry(s, it);
			return;
		}
	}
	if (status != UNWIND_MORE || whole)
		status = snapshot_add_stack(s->b, it->g, &stack);
	if (status == UNWIND_MORE && !whole && s->deep_bytes < DEEP_BUDGET) {
		again(s, it, it->window < MAX_WINDOW / 16 ? it->window * 16 : MAX_WINDOW,
		      it->tries);
		return;
	}
	if (status == UNWIND_MORE)
		s->b->snap->truncated++;
	g = &s->b->snap->g[it->g];
	g->stack_used = g->stack_hi - g->sp;
	for (size_t i = 0; i < s->nwaits; i++)
		snapshot_add_wait(s->b, it->g, &s->waits[i]);
	scan_add_rlocks(s, it->g, s->before + it->slot);
}

bool scan_place(struct scan *s, struct item *it, const struct goro_info *g, size_t *used)
{
	uint64_t want = g->stack_hi - g->sp;

	if (want > it->window)
		want = it->window;
	if (want > SLAB - *used)
		return false;
	it->sp = g->sp;
	it->hi = g->stack_hi;
	it->place = *used;
	it->len = want;
	*used += (want + 15) & ~15ull;
	if (it->window > FIRST_WINDOW)
		s->deep_bytes += want;
	return true;
}

/* Most programs' stacks need a small part of what it may grow to. */
static bool have_slab(struct scan *s)
{
	const struct item *last = s->nitems ? &s->items[s->nitems - 1] : NULL;
	size_t want = last ? last->place + last->len : 0;

	if (s->slab && want <= s->slab_size)
		return true;
	free(s->slab);
	s->slab = malloc(want + 1);
	s->slab_size = s->slab ? want : 0;
	return s->slab != NULL;
}

struct goro_error *scan_read_stacks(struct scan *s)
{
	struct goro_error *err;

	if (!have_slab(s))
		return &goro_enomem;
	for (size_t i = 0; i < s->nitems; i++) {
		struct item *it = &s->items[i];

		it->stack = s->slab + it->place;
		s->reads[i] =
			(struct target_read){ .address = it->sp, .to = it->stack, .len = it->len };
	}
	err = s->t->ops->read(s->t, s->reads, s->nitems);
	/* len 0 marks what could not be read. */
	for (size_t i = 0; i < s->nitems && !err; i++) {
		if (!s->reads[i].ok)
			s->items[i].len = 0;
	}
	return err;
}

void scan_finish_all(struct scan *s)
{
	for (size_t i = 0; i < s->nitems; i++) {
		const struct item *it = &s->items[i];

		if (!it->len || scan_moved(s, s->before + it->slot, s->after + it->slot))
			retry(s, it);
		else
			finish(s, it);
	}
}
