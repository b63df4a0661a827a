/* SPDX-License-Identifier: MIT */
/* frame.c - take a snapshot, judge it, and look up its names. */
#include "frame.h"
#include "screen.h"
#include "util.h"

#include <stdlib.h>

const int activity_roles[GORO_NACTIVITIES] = {
	[GORO_ACT_RUN] = ROLE_RUN,	   [GORO_ACT_READY] = ROLE_READY,
	[GORO_ACT_CHAN] = ROLE_CHAN,	   [GORO_ACT_SELECT] = ROLE_CHAN,
	[GORO_ACT_LOCK] = ROLE_LOCK,	   [GORO_ACT_COND] = ROLE_LOCK,
	[GORO_ACT_WAITGROUP] = ROLE_LOCK,  [GORO_ACT_SEMA] = ROLE_LOCK,
	[GORO_ACT_IO] = ROLE_IO,	   [GORO_ACT_SLEEP] = ROLE_SLEEP,
	[GORO_ACT_SYSCALL] = ROLE_SYSCALL, [GORO_ACT_NEW] = ROLE_READY,
	[GORO_ACT_DEAD] = ROLE_DIM,	   [GORO_ACT_OTHER] = ROLE_TEXT,
};

struct namer {
	struct goro_scope *scope;
	struct goro_namer *namer;
	int64_t last_time, last_cpu;
};

struct namer *namer_new(struct goro_scope *scope)
{
	struct namer *n = xcalloc(1, sizeof(*n));

	n->scope = scope;
	n->namer = or_die(goro_namer_new(scope));
	return n;
}

void namer_free(struct namer *n)
{
	goro_namer_free(n->namer);
	free(n);
}

static void sum_up(struct frame *f)
{
	struct goro_walk w = { .snap = f->snap };
	const struct goro_info *g;

	f->n = goro_snapshot_count(f->snap);
	while ((g = goro_snapshot_next(&w))) {
		f->counts[goro_activity_of(g->letter)]++;
		f->stack_resident += g->stack_resident;
		if (g->stack_hi > g->stack_lo)
			f->stack_reserved += g->stack_hi - g->stack_lo;
	}
	for (size_t i = 0; f->snap->heap && i < f->snap->ng; i++)
		f->heap += f->snap->heap[i].bytes;
	for (size_t i = 0; i < f->snap->nheap_ended; i++)
		f->heap += f->snap->heap_ended[i].heap.bytes;
	f->heap += f->snap->heap_outside.bytes;
	for (size_t i = 0; i < f->snap->nprocs; i++)
		f->switches += f->snap->procs[i].nswitch;
}

struct goro_error *frame_take(struct namer *n, const struct goro_verdict_options *opt,
			      struct frame **ret)
{
	struct frame *f = xcalloc(1, sizeof(*f));
	int64_t start = clock_now(), cpu = clock_cpu();
	struct goro_error *err;

	/* A million goroutines are on the screen, and the next look at them beside these. */
	goro_scope_be_thrifty(n->scope, !opt->reach);
	err = goro_scope_snapshot(n->scope, &f->snap);
	if (err) {
		free(f);
		return err;
	}
	err = goro_scope_judge(n->scope, f->snap, opt, &f->verdicts);
	if (err) {
		f->judge_error = xstrdup(err->message ? err->message : "cannot judge");
		goro_error_free(err);
		f->verdicts = NULL;
	}
	f->proved = opt->reach;
	f->names = or_die(goro_names_take(n->namer, f->snap));
	sum_up(f);
	f->tick_ns = clock_now() - start;
	f->own_cpu = n->last_time && start > n->last_time
			     ? (double)(cpu - n->last_cpu) / (double)(start - n->last_time)
			     : -1;
	n->last_time = start;
	n->last_cpu = cpu;
	*ret = f;
	return NULL;
}

void frame_free(struct namer *n, struct frame *f)
{
	if (!f)
		return;
	goro_names_free(n->namer, f->names);
	free(f->judge_error);
	goro_verdicts_free(f->verdicts);
	goro_snapshot_free(f->snap);
	free(f);
}
