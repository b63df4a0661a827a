/* SPDX-License-Identifier: MIT */
/*
 * names.c - every name that a screen or a filter may need, looked up for a whole snapshot.
 *
 * Most stacks of a snapshot were there in the one before. They are recognised by a hash of their
 * pcs and keep their lines, so that a steady target costs no symbol look-up. A stack that no
 * snapshot holds any more is dropped: memory is bounded by what is in use, not by the target's
 * history.
 */
#include "profiler.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBUCKETS 4096u

struct goro_namer {
	struct goro_scope *scope;
	struct goro_stack_names *buckets[NBUCKETS];
};

struct goro_namer *goro_namer_new(struct goro_scope *scope)
{
	struct goro_namer *n = calloc(1, sizeof *n);

	if (n)
		n->scope = scope;
	return n;
}

void goro_namer_free(struct goro_namer *n)
{
	for (size_t i = 0; i < NBUCKETS; i++)
		assert(!n->buckets[i]); /* somebody did not free all names */
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

static struct goro_stack_names *name_stack(struct goro_namer *n, const struct goro_snapshot *snap,
					   uint32_t id)
{
	const struct goro_stack *st = &snap->stacks[id];
	uint64_t hash = hash_pcs(&snap->pcs[st->first], st->n);
	struct goro_stack_names **bucket = &n->buckets[hash % NBUCKETS], *s;

	for (s = *bucket; s; s = s->next)
		if (s->hash == hash)
			break;
	if (!s) {
		s = calloc(1, sizeof *s);
		if (!s)
			return NULL;
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

static void drop_stack(struct goro_namer *n, struct goro_stack_names *s)
{
	struct goro_stack_names **p;

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
	bool no_memory;
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

		bigger.slots = calloc(bigger.room, sizeof *bigger.slots);
		if (!bigger.slots) {
			set->no_memory = true;
			return false;
		}
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
	const struct goro_spawn_name *x = a, *y = b;

	return (x->pc > y->pc) - (x->pc < y->pc);
}

static void name_spawn(struct goro_namer *n, struct goro_spawn_name *s, const struct goro_info *g)
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

static bool name_spawns(struct goro_namer *n, struct goro_names *names)
{
	const struct goro_snapshot *snap = names->snap;
	struct pc_set set = { .n = 0 };
	struct goro_spawn_name *more;

	for (size_t i = 0; i < snap->ng; i++) {
		const struct goro_info *g = &snap->g[i];

		if (!pc_add(&set, g->spawn_pc))
			continue;
		more = reallocarray(names->spawns, names->nspawns + 1, sizeof *more);
		if (!more) {
			set.no_memory = true;
			break;
		}
		names->spawns = more;
		memset(&more[names->nspawns], 0, sizeof *more);
		name_spawn(n, &more[names->nspawns++], g);
	}
	free(set.slots);
	if (names->nspawns)
		qsort(names->spawns, names->nspawns, sizeof *names->spawns, by_pc);
	return !set.no_memory;
}

static int by_maker_pc(const void *a, const void *b)
{
	const struct goro_maker_name *x = a, *y = b;

	return (x->pc > y->pc) - (x->pc < y->pc);
}

static bool name_makers(struct goro_namer *n, struct goro_names *names)
{
	struct pc_set set = { .n = 0 };
	struct goro_maker_name *more;

	for (size_t i = 0; i < names->snap->nobjects; i++) {
		uint64_t pc = names->snap->objects[i].make_pc;
		const struct goro_frame *lines;
		size_t count = 0;

		if (!pc || !pc_add(&set, pc))
			continue;
		lines = goro_scope_symbolize(n->scope, pc, true, &count);
		if (!lines || !count)
			continue;
		more = reallocarray(names->makers, names->nmakers + 1, sizeof *more);
		if (!more) {
			set.no_memory = true;
			break;
		}
		names->makers = more;
		more[names->nmakers++] = (struct goro_maker_name){ pc, lines[0] };
	}
	free(set.slots);
	if (names->nmakers)
		qsort(names->makers, names->nmakers, sizeof *names->makers, by_maker_pc);
	return !set.no_memory;
}

static bool name_stacks(struct goro_namer *n, struct goro_names *names)
{
	names->stacks = calloc(names->snap->nstacks + 1, sizeof(struct goro_stack_names *));
	for (size_t i = 0; names->stacks && i < names->snap->nstacks; i++) {
		names->stacks[i] = name_stack(n, names->snap, (uint32_t)i);
		if (!names->stacks[i])
			return false;
	}
	return names->stacks != NULL;
}

struct goro_names *goro_names_take(struct goro_namer *n, const struct goro_snapshot *snap)
{
	struct goro_names *names = calloc(1, sizeof *names);

	if (!names)
		return NULL;
	names->snap = snap;
	if (name_stacks(n, names) && name_spawns(n, names) && name_makers(n, names))
		return names;
	goro_names_free(n, names);
	return NULL;
}

void goro_names_free(struct goro_namer *n, struct goro_names *names)
{
	if (!names)
		return;
	for (size_t i = 0; names->stacks && i < names->snap->nstacks && names->stacks[i]; i++)
		drop_stack(n, names->stacks[i]);
	free(names->stacks);
	free(names->spawns);
	free(names->makers);
	free(names);
}

const struct goro_stack_names *goro_names_stack(const struct goro_names *names,
						const struct goro_info *g)
{
	return g->stack_id < names->snap->nstacks ? names->stacks[g->stack_id] : NULL;
}

/* Nobody started main, which is goroutine 1, nor threads that the program made itself. */
enum { THREAD = 1 };

const struct goro_spawn_name *goro_names_spawn(const struct goro_names *names,
					       const struct goro_info *g)
{
	static const struct goro_spawn_name thread = { .pc = THREAD };
	struct goro_spawn_name key = { .pc = g->spawn_pc };

	if (!g->spawn_pc && g->id != 1)
		return &thread;
	if (!names->nspawns)
		return NULL;
	return bsearch(&key, names->spawns, names->nspawns, sizeof(key), by_pc);
}

const struct goro_frame *goro_names_where(const struct goro_names *names, const struct goro_info *g)
{
	const struct goro_stack_names *s = goro_names_stack(names, g);

	if (!s || !s->n)
		return NULL;
	return &s->frames[s->user < s->n ? s->user : 0];
}

const struct goro_frame *goro_names_maker(const struct goro_names *names,
					  const struct goro_object *o)
{
	struct goro_maker_name key = { .pc = o->make_pc }, *m = NULL;

	if (names->nmakers && o->make_pc)
		m = bsearch(&key, names->makers, names->nmakers, sizeof(key), by_maker_pc);
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

void goro_place_text(const struct goro_frame *at, char *buf, size_t size)
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

void goro_spawn_text(const struct goro_spawn_name *s, char *buf, size_t size)
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
