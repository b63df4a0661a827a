/* SPDX-License-Identifier: MIT */
/*
 * sampler_spawn.c - who starts goroutines, and how many.
 *
 * How many is exact: the runtime counts each go statement. Who is sampled: a record keeps its last
 * goroutine's spawn site also after that one has ended, so each look finds, for every record that
 * has a new goroutine, the last one that was started in it. The count of the interval is shared out
 * among those that were found.
 *
 * The stack of a spawn is its ancestry: the function that was started, the go statement, the go
 * statement that had started the goroutine that executed it, and so on to main.
 */
#include "sampler.h"

#include <stdlib.h>
#include <string.h>
#include "goro_introspect.h"
#include "scope.h"

#define MAX_ANCESTORS 64
#define MAX_KNOWN     (1u << 20) /* goroutines whose ancestry is remembered */

/* A goroutine that was seen, open-addressed by id. */
struct ancestor {
	uint64_t id, parent, spawn_pc; /* id 0: free */
};

/* The goroutine that was last seen in a record, open-addressed by record. */
struct tenant {
	uint64_t record, id;
};

struct spawn {
	struct sampler *s;
	struct ancestor *known;
	size_t nknown, known_size;
	struct tenant *tenants;
	size_t ntenants, tenants_size;
	struct reader_birth *births; /* of this look */
	size_t nbirths, births_cap;
	uint64_t counted; /* go statements at the last look */
	uint64_t carried; /* of looks that found none */
	bool first;
};

static size_t slot(uint64_t key, size_t size)
{
	return key * 0x9e3779b97f4a7c15ull >> 20 & (size - 1);
}

static struct ancestor *find_ancestor(const struct spawn *sp, uint64_t id)
{
	size_t at = slot(id, sp->known_size);

	while (sp->known[at].id && sp->known[at].id != id)
		at = (at + 1) & (sp->known_size - 1);
	return &sp->known[at];
}

static struct tenant *find_tenant(const struct spawn *sp, uint64_t record)
{
	size_t at = slot(record >> 6, sp->tenants_size);

	while (sp->tenants[at].record && sp->tenants[at].record != record)
		at = (at + 1) & (sp->tenants_size - 1);
	return &sp->tenants[at];
}

static bool make_room(struct spawn *sp)
{
	if (sp->nknown * 2 >= sp->known_size) {
		struct spawn old = *sp;
		/* When there are too many, forget them all: those that live are seen again. */
		bool forget = sp->known_size >= MAX_KNOWN * 2;

		sp->known_size = !sp->known_size ? 1024 : sp->known_size * (forget ? 1 : 2);
		sp->known = calloc(sp->known_size, sizeof *sp->known);
		sp->nknown = forget ? 0 : old.nknown;
		for (size_t i = 0; sp->known && !forget && i < old.known_size; i++) {
			if (old.known[i].id)
				*find_ancestor(sp, old.known[i].id) = old.known[i];
		}
		free(old.known);
	}
	if (sp->ntenants * 2 >= sp->tenants_size) {
		struct spawn old = *sp;

		sp->tenants_size = sp->tenants_size ? sp->tenants_size * 2 : 4096;
		sp->tenants = calloc(sp->tenants_size, sizeof *sp->tenants);
		for (size_t i = 0; sp->tenants && i < old.tenants_size; i++) {
			if (old.tenants[i].record)
				*find_tenant(sp, old.tenants[i].record) = old.tenants[i];
		}
		free(old.tenants);
	}
	return sp->known && sp->tenants;
}

/* The reader calls it for each record that holds or held a goroutine. */
static bool see(const struct reader_birth *b, void *arg)
{
	struct spawn *sp = arg;
	struct ancestor *a;
	struct tenant *t;

	if (!make_room(sp))
		return false;
	a = find_ancestor(sp, b->id);
	sp->nknown += !a->id;
	*a = (struct ancestor){ b->id, b->parent, b->spawn_pc };
	t = find_tenant(sp, b->record);
	sp->ntenants += !t->record;
	if (t->id == b->id)
		return true;
	*t = (struct tenant){ b->record, b->id };
	if (sp->first)
		return true;
	if (sp->nbirths == sp->births_cap) {
		size_t cap = sp->births_cap ? sp->births_cap * 2 : 256;
		struct reader_birth *v = realloc(sp->births, cap * sizeof *v);

		if (!v)
			return false;
		sp->births = v;
		sp->births_cap = cap;
	}
	sp->births[sp->nbirths++] = *b;
	return true;
}

static void add(struct spawn *sp, const struct reader_birth *b, uint64_t weight)
{
	struct profile *p = sp->s->profile;
	uint64_t pcs[MAX_ANCESTORS + 1], spawn_pc = b->spawn_pc, parent = b->parent;
	const char *bottom = NULL;
	size_t n = 0;

	pcs[n++] = b->entry + 1;
	while (spawn_pc && n < MAX_ANCESTORS) {
		const struct ancestor *a;

		pcs[n++] = spawn_pc;
		a = parent ? find_ancestor(sp, parent) : NULL;
		if (!a || !a->id) {
			bottom = "[ended]";
			break;
		}
		spawn_pc = a->spawn_pc;
		parent = a->parent;
	}
	if (spawn_pc && !bottom)
		bottom = "[truncated]";
	profile_add(p,
		    &(struct profile_key){ .stack = profile_stack(p, pcs, n, NULL, bottom),
					   .spawn_pc = b->spawn_pc },
		    (const uint64_t[PROFILE_VALUES]){ 1, weight });
}

static struct goro_error *look(struct spawn *sp)
{
	struct goro_scope *scope = sp->s->scope;
	uint64_t counted = 0, total;
	struct goro_error *err;

	sp->nbirths = 0;
	pthread_mutex_lock(&scope->lock);
	err = scope->reader->ops->births(scope->reader, scope->target, see, sp, &counted);
	pthread_mutex_unlock(&scope->lock);
	if (err)
		return err;
	if (!sp->known || !sp->tenants)
		return &goro_enomem;
	total = sp->carried + (sp->first || counted < sp->counted ? 0 : counted - sp->counted);
	sp->counted = counted;
	sp->carried = sp->nbirths ? 0 : total;
	/* Records are read after the count, so they may know of more. */
	if (total < sp->nbirths)
		total = sp->nbirths;
	for (size_t i = 0; i < sp->nbirths; i++)
		add(sp, &sp->births[i], total * (i + 1) / sp->nbirths - total * i / sp->nbirths);
	sp->first = false;
	sp->s->profile->taken++;
	return NULL;
}

struct goro_error *sampler_spawn(struct sampler *s)
{
	struct spawn sp = { .s = s, .first = true };
	int64_t due = s->start + (int64_t)sampler_next(s);
	struct goro_error *err = look(&sp);

	while (!err && sampler_wait(s, &due))
		err = look(&sp);
	/* The last piece. */
	if (!err)
		err = look(&sp);
	free(sp.known);
	free(sp.tenants);
	free(sp.births);
	return err;
}
