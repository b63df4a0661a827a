/* SPDX-License-Identifier: MIT */
/*
 * frame.c - take a snapshot and give it its names.
 *
 * Most stacks of a tick were there in the tick before. They are recognised by a hash of their pcs
 * and keep their lines, so that a steady target costs no symbol look-up. A stack that no frame
 * holds any more is dropped: memory is bounded by what is on show, not by the target's history.
 */
#include "frame.h"
#include "screen.h"
#include "util.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const struct activity_info activities[NACTIVITIES] = {
	[ACT_RUN] = { 'r', "run", ROLE_RUN },
	[ACT_READY] = { 'R', "ready", ROLE_READY },
	[ACT_CHAN] = { 'c', "chan", ROLE_CHAN },
	[ACT_SELECT] = { 's', "select", ROLE_CHAN },
	[ACT_LOCK] = { 'l', "lock", ROLE_LOCK },
	[ACT_COND] = { 'o', "cond", ROLE_LOCK },
	[ACT_WAITGROUP] = { 'g', "wg", ROLE_LOCK },
	[ACT_SEMA] = { 'm', "sema", ROLE_LOCK },
	[ACT_IO] = { 'i', "io", ROLE_IO },
	[ACT_SLEEP] = { 'z', "sleep", ROLE_SLEEP },
	[ACT_SYSCALL] = { 'y', "sys", ROLE_SYSCALL },
	[ACT_NEW] = { 'n', "new", ROLE_READY },
	[ACT_DEAD] = { 'x', "dead", ROLE_DIM },
	[ACT_OTHER] = { '?', "other", ROLE_TEXT },
};

enum activity activity_of(char letter)
{
	for (int a = 0; a < ACT_OTHER; a++)
		if (activities[a].letter == letter)
			return (enum activity)a;
	return ACT_OTHER;
}

#define NBUCKETS 4096u

struct namer {
	struct goro_scope *scope;
	struct stack_names *buckets[NBUCKETS];
	int64_t last_time, last_cpu;
};

struct namer *namer_new(struct goro_scope *scope)
{
	struct namer *n = xcalloc(1, sizeof(*n));

	n->scope = scope;
	return n;
}

void namer_free(struct namer *n)
{
	for (size_t i = 0; i < NBUCKETS; i++)
		assert(!n->buckets[i]); /* a frame was not given back */
	free(n);
}

static uint64_t hash_pcs(const uint64_t *pcs, size_t n)
{
	uint64_t h = 0x9e3779b97f4a7c15u ^ n;

	for (size_t i = 0; i < n; i++) {
		h = (h ^ pcs[i]) * 0xff51afd7ed558ccdu;
		h ^= h >> 32;
	}
	return h;
}

static struct stack_names *name_stack(struct namer *n, const struct goro_snapshot *snap,
				      uint32_t id)
{
	const struct goro_stack *st = &snap->stacks[id];
	uint64_t hash = hash_pcs(&snap->pcs[st->first], st->n);
	struct stack_names **bucket = &n->buckets[hash % NBUCKETS], *s;

	for (s = *bucket; s; s = s->next)
		if (s->hash == hash)
			break;
	if (!s) {
		s = xcalloc(1, sizeof(*s));
		s->hash = hash;
		s->frames = goro_scope_frames(n->scope, snap, id, &s->n, &s->user);
		if (!s->frames)
			s->n = s->user = 0;
		s->next = *bucket;
		*bucket = s;
	}
	s->refs++;
	return s;
}

static void drop_stack(struct namer *n, struct stack_names *s)
{
	struct stack_names **p;

	if (--s->refs)
		return;
	for (p = &n->buckets[s->hash % NBUCKETS]; *p != s; p = &(*p)->next)
		;
	*p = s->next;
	free(s->frames);
	free(s);
}

/* A set of pcs, open-addressed. pc + 1 marks a used place, since main's pc is 0. */
struct pc_set {
	uint64_t *slots;
	size_t room, n;
	uint64_t last; /* runs of equal pcs are common */
};

static size_t pc_slot(const struct pc_set *set, uint64_t pc)
{
	size_t i = (pc * 0x9e3779b97f4a7c15u >> 20) & (set->room - 1);

	while (set->slots[i] && set->slots[i] != pc + 1)
		i = (i + 1) & (set->room - 1);
	return i;
}

/* True if it is new. */
static bool pc_add(struct pc_set *set, uint64_t pc)
{
	if (set->n && pc == set->last)
		return false;
	set->last = pc;
	if (set->n * 2 >= set->room) {
		struct pc_set bigger = { .room = set->room ? set->room * 4 : 64, .n = set->n };

		bigger.slots = xcalloc(bigger.room, sizeof(*bigger.slots));
		for (size_t i = 0; i < set->room; i++)
			if (set->slots[i])
				bigger.slots[pc_slot(&bigger, set->slots[i] - 1)] = set->slots[i];
		free(set->slots);
		bigger.last = pc;
		*set = bigger;
	}
	size_t slot = pc_slot(set, pc);
	if (set->slots[slot])
		return false;
	set->slots[slot] = pc + 1;
	set->n++;
	return true;
}

static int by_pc(const void *a, const void *b)
{
	const struct spawn_name *x = a, *y = b;

	return (x->pc > y->pc) - (x->pc < y->pc);
}

static void name_spawn(struct namer *n, struct spawn_name *s, const struct goro_info *g)
{
	const struct goro_frame *entry;
	size_t lines = 0;

	s->pc = g->spawn_pc;
	s->known = goro_scope_spawn_site(n->scope, g, &s->at);
	if (!g->entry)
		return;
	entry = goro_scope_symbolize(n->scope, g->entry, false, &lines);
	if (entry && lines)
		s->entry = entry[lines - 1].function;
}

static void name_spawns(struct namer *n, struct frame *f)
{
	struct pc_set set = { .n = 0 };

	for (size_t i = 0; i < f->snap->ng; i++) {
		const struct goro_info *g = &f->snap->g[i];

		if (!pc_add(&set, g->spawn_pc))
			continue;
		f->spawns = xrealloc(f->spawns, f->nspawns + 1, sizeof(*f->spawns));
		memset(&f->spawns[f->nspawns], 0, sizeof(*f->spawns));
		name_spawn(n, &f->spawns[f->nspawns++], g);
	}
	free(set.slots);
	if (f->nspawns)
		qsort(f->spawns, f->nspawns, sizeof(*f->spawns), by_pc);
}

static int by_maker_pc(const void *a, const void *b)
{
	const struct maker_name *x = a, *y = b;

	return (x->pc > y->pc) - (x->pc < y->pc);
}

static void name_makers(struct namer *n, struct frame *f)
{
	struct pc_set set = { .n = 0 };

	for (size_t i = 0; i < f->snap->nobjects; i++) {
		uint64_t pc = f->snap->objects[i].make_pc;
		const struct goro_frame *lines;
		size_t count = 0;

		if (!pc || !pc_add(&set, pc))
			continue;
		lines = goro_scope_symbolize(n->scope, pc, true, &count);
		if (!lines || !count)
			continue;
		f->makers = xrealloc(f->makers, f->nmakers + 1, sizeof(*f->makers));
		f->makers[f->nmakers++] = (struct maker_name){ pc, lines[0] };
	}
	free(set.slots);
	if (f->nmakers)
		qsort(f->makers, f->nmakers, sizeof(*f->makers), by_maker_pc);
}

static void sum_up(struct frame *f)
{
	for (size_t i = 0; i < f->snap->ng; i++) {
		const struct goro_info *g = &f->snap->g[i];

		f->counts[activity_of(g->letter)]++;
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
	struct goro_error *err = goro_scope_snapshot(n->scope, &f->snap);

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
	f->stacks = xcalloc(f->snap->nstacks, sizeof(struct stack_names *));
	for (size_t i = 0; i < f->snap->nstacks; i++)
		f->stacks[i] = name_stack(n, f->snap, (uint32_t)i);
	name_spawns(n, f);
	name_makers(n, f);
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
	for (size_t i = 0; i < f->snap->nstacks; i++)
		drop_stack(n, f->stacks[i]);
	free(f->stacks);
	free(f->spawns);
	free(f->makers);
	free(f->judge_error);
	goro_verdicts_free(f->verdicts);
	goro_snapshot_free(f->snap);
	free(f);
}

const struct stack_names *frame_stack(const struct frame *f, const struct goro_info *g)
{
	return g->stack_id < f->snap->nstacks ? f->stacks[g->stack_id] : NULL;
}

/* Nobody started main, which is goroutine 1, nor threads that the program made itself. */
enum { THREAD = 1 };

const struct spawn_name *frame_spawn(const struct frame *f, const struct goro_info *g)
{
	static const struct spawn_name thread = { .pc = THREAD };
	struct spawn_name key = { .pc = g->spawn_pc };

	if (!g->spawn_pc && g->id != 1)
		return &thread;
	if (!f->nspawns)
		return NULL;
	return bsearch(&key, f->spawns, f->nspawns, sizeof(key), by_pc);
}

const struct goro_frame *frame_where(const struct frame *f, const struct goro_info *g)
{
	const struct stack_names *s = frame_stack(f, g);

	if (!s || !s->n)
		return NULL;
	return &s->frames[s->user < s->n ? s->user : 0];
}

const struct goro_frame *frame_maker(const struct frame *f, const struct goro_object *o)
{
	struct maker_name key = { .pc = o->make_pc }, *m = NULL;

	if (f->nmakers && o->make_pc)
		m = bsearch(&key, f->makers, f->nmakers, sizeof(key), by_maker_pc);
	return m ? &m->at : NULL;
}

/* "cache.c:240", or the address where no line is known. */
static void line_text(const struct goro_frame *at, char *buf, size_t size)
{
	if (at->file && at->line)
		snprintf(buf, size, "%s:%u", goro_basename(at->file), at->line);
	else if (at->module)
		snprintf(buf, size, "%s+0x%llx", goro_basename(at->module),
			 (unsigned long long)at->module_offset);
	else
		snprintf(buf, size, "0x%llx", (unsigned long long)at->pc);
}

void place_text(const struct goro_frame *at, char *buf, size_t size)
{
	char line[256];

	if (!at) {
		snprintf(buf, size, "?");
		return;
	}
	line_text(at, line, sizeof(line));
	snprintf(buf, size, "%s%s%s", line, at->function ? " " : "",
		 at->function ? at->function : "");
}

void spawn_text(const struct spawn_name *s, char *buf, size_t size)
{
	char line[256];
	const char *function;

	if (!s) {
		snprintf(buf, size, "?");
		return;
	}
	if (s->pc == 0 || s->pc == THREAD) {
		snprintf(buf, size, s->pc ? "(a thread)" : "main");
		return;
	}
	if (s->known)
		line_text(&s->at, line, sizeof(line));
	else
		snprintf(line, sizeof(line), "0x%llx", (unsigned long long)s->pc);
	function = s->entry ? s->entry : s->known ? s->at.function : NULL;
	snprintf(buf, size, "%s%s%s", line, function ? " " : "", function ? function : "");
}
