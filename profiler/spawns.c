/* SPDX-License-Identifier: MIT */
/*
 * spawns.c - see spawns.h.
 *
 * Rejected: to give all goroutines of a place one spawn_pc while they are read, which would be a
 * lie about the program, and to look up all names of who only counts.
 */
#include "spawns.h"

#include <stdlib.h>

struct spawn {
	uint64_t pc; /* 0: empty */
	uint64_t site;
	uint64_t look; /* the last that had it */
};

/* The strings are the symbolizer's, which has each once. */
struct place {
	const char *function; /* NULL: empty */
	const char *file;
	uint32_t line;
	uint64_t site;
};

/* Open-addressed both, and of one size, for there are no more places than addresses. */
struct spawns {
	struct spawn *pcs;
	struct place *places;
	size_t n, size;
	uint64_t look;
};

static size_t hash(uint64_t value)
{
	return (value * 0x9e3779b97f4a7c15ull) >> 32;
}

static struct spawn *find_pc(const struct spawns *s, uint64_t pc)
{
	size_t at = hash(pc) & (s->size - 1);

	while (s->pcs[at].pc && s->pcs[at].pc != pc)
		at = (at + 1) & (s->size - 1);
	return &s->pcs[at];
}

static struct place *find_place(const struct spawns *s, const struct place *p)
{
	size_t at = hash((uintptr_t)p->function ^ (uintptr_t)p->file << 20 ^ p->line) &
		    (s->size - 1);

	while (s->places[at].function &&
	       (s->places[at].function != p->function || s->places[at].file != p->file ||
		s->places[at].line != p->line))
		at = (at + 1) & (s->size - 1);
	return &s->places[at];
}

static bool grow(struct spawns *s)
{
	struct spawns old = *s;
	size_t size = old.size ? old.size * 2 : 64;
	struct spawn *pcs = calloc(size, sizeof *pcs);
	struct place *places = calloc(size, sizeof *places);

	if (!pcs || !places) {
		free(pcs);
		free(places);
		return false;
	}
	s->pcs = pcs;
	s->places = places;
	s->size = size;
	for (size_t i = 0; i < old.size; i++) {
		if (old.pcs[i].pc)
			*find_pc(s, old.pcs[i].pc) = old.pcs[i];
		if (old.places[i].function)
			*find_place(s, &old.places[i]) = old.places[i];
	}
	free(old.pcs);
	free(old.places);
	return true;
}

/* Which address stands for the place of this one. */
static uint64_t site_of(struct spawns *s, struct goro_scope *scope, uint64_t pc)
{
	const struct goro_info g = { .spawn_pc = pc };
	struct goro_frame at;
	struct place *p;

	if (!goro_scope_spawn_site(scope, &g, &at) || !at.function || !at.file || !at.line)
		return pc;
	p = find_place(s, &(struct place){ at.function, at.file, at.line, 0 });
	if (!p->function)
		*p = (struct place){ at.function, at.file, at.line, pc };
	return p->site;
}

/* Add to the snapshot's list where pc belongs, if that is elsewhere. */
static bool add(struct spawns *s, struct goro_scope *scope, struct goro_snapshot *snap, uint64_t pc)
{
	struct goro_same_site *more;
	struct spawn *known;

	if (s->n * 2 >= s->size && !grow(s))
		return false;
	known = find_pc(s, pc);
	if (!known->pc) {
		*known = (struct spawn){ pc, site_of(s, scope, pc), 0 };
		s->n++;
	}
	if (known->look == s->look || known->site == pc)
		return true;
	known->look = s->look;
	/* Powers of two. */
	if ((snap->nsame & (snap->nsame - 1)) == 0) {
		more = reallocarray(snap->same, snap->nsame ? snap->nsame * 2 : 1, sizeof *more);
		if (!more)
			return false;
		snap->same = more;
	}
	snap->same[snap->nsame++] = (struct goro_same_site){ pc, known->site };
	return true;
}

static int by_pc(const void *a, const void *b)
{
	const struct goro_same_site *x = a, *y = b;

	return (x->pc > y->pc) - (x->pc < y->pc);
}

void spawns_find(struct spawns **spawns, struct goro_scope *scope, struct goro_snapshot *snap)
{
	struct spawns *s = *spawns ? *spawns : calloc(1, sizeof *s);
	uint64_t last = 0;
	bool ok = s;

	*spawns = s;
	free(snap->same);
	snap->same = NULL;
	snap->nsame = 0;
	if (s)
		s->look++;
	for (size_t i = 0; ok && i < snap->ng; i++) {
		uint64_t pc = snap->g[i].spawn_pc;

		if (pc && pc != last)
			ok = add(s, scope, snap, pc);
		last = pc;
	}
	for (size_t i = 0; ok && i < snap->nheap_ended; i++) {
		if (snap->heap_ended[i].spawn_pc)
			ok = add(s, scope, snap, snap->heap_ended[i].spawn_pc);
	}
	if (snap->nsame)
		qsort(snap->same, snap->nsame, sizeof *snap->same, by_pc);
}

void spawns_free(struct spawns *s)
{
	if (!s)
		return;
	free(s->pcs);
	free(s->places);
	free(s);
}
