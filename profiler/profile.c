/* SPDX-License-Identifier: MIT */
/*
 * profile.c - stacks and samples, each one once.
 */
#include "profile.h"

#include <stdlib.h>
#include <string.h>
#include "scope.h"

const struct profile_kind_info profile_kinds[PROFILE_KINDS] = {
	[PROFILE_CPU] = { .name = "cpu",
			  .title = "processor time",
			  .types = { { "samples", "count" }, { "cpu", "nanoseconds" } },
			  .ntypes = 2,
			  .shown = 1,
			  .with_runtime = true },
	[PROFILE_WALL] = { .name = "wall",
			   .title = "time of all goroutines",
			   .types = { { "samples", "count" }, { "wall", "nanoseconds" } },
			   .ntypes = 2,
			   .shown = 1,
			   .state_leaf = true },
	[PROFILE_OFFCPU] = { .name = "offcpu",
			     .title = "time spent waiting",
			     .types = { { "waits", "count" }, { "delay", "nanoseconds" } },
			     .ntypes = 2,
			     .shown = 1,
			     .state_leaf = true },
	[PROFILE_SPAWN] = { .name = "spawn",
			    .title = "goroutines started",
			    .types = { { "seen", "count" }, { "spawns", "count" } },
			    .ntypes = 2,
			    .shown = 1 },
	[PROFILE_STACK] = { .name = "stack",
			    .title = "bytes of stacks in memory",
			    .types = { { "goroutines", "count" },
				       { "reserved", "bytes" },
				       { "used", "bytes" },
				       { "resident", "bytes" } },
			    .ntypes = 4,
			    .shown = 3,
			    .state_leaf = true },
	[PROFILE_GOROUTINE] = { .name = "goroutine",
				.title = "goroutines",
				.types = { { "goroutine", "count" } },
				.ntypes = 1,
				.state_leaf = true },
	/* The name of Go's own. */
	[PROFILE_HEAP] = { .name = "heap",
			   .title = "bytes of heap held",
			   .types = { { "alloc_objects", "count" },
				      { "alloc_space", "bytes" },
				      { "inuse_objects", "count" },
				      { "inuse_space", "bytes" } },
			   .ntypes = 4,
			   .shown = 3 },
	[PROFILE_LEAK] = { .name = "goroutineleak",
			   .title = "leaked goroutines",
			   .types = { { "goroutineleak", "count" } },
			   .ntypes = 1,
			   .state_leaf = true },
};

/* An open-addressed table of indices + 1. */
struct table {
	uint32_t *v;
	size_t n, size;
};

struct profile_index {
	struct table words, locations, stacks, samples;
	char **word;
	size_t nwords, words_cap;
	size_t locations_cap, stacks_cap, places_cap, samples_cap, runs_cap;
};

/* ---- tables ---------------------------------------------------------------------------------- */

static uint64_t hash_bytes(const void *bytes, size_t n, uint64_t h)
{
	const unsigned char *p = bytes;

	h ^= 0xcbf29ce484222325ull;
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return h ^ h >> 29;
}

/* Room for n more; *v may move. */
static bool grow(struct profile *p, void *v, size_t used, size_t n, size_t *cap, size_t size)
{
	void **array = v, *bigger;
	size_t want = *cap ? *cap : 64;

	if (used + n <= *cap)
		return true;
	while (want < used + n)
		want *= 2;
	bigger = want <= UINT32_MAX ? reallocarray(*array, want, size) : NULL;
	if (!bigger) {
		p->no_memory = true;
		return false;
	}
	*array = bigger;
	*cap = want;
	return true;
}

#define GROW(p, v, used, n, cap) grow(p, &(v), used, n, &(cap), sizeof *(v))

/* Room for one more; `hash` tells that of an entry that is there. */
static bool table_room(struct profile *p, struct table *t,
		       uint64_t (*hash)(const struct profile *p, uint32_t entry))
{
	size_t size = t->size ? t->size * 2 : 256;
	uint32_t *v;

	if (t->n * 2 < t->size)
		return true;
	v = calloc(size, sizeof *v);
	if (!v) {
		p->no_memory = true;
		return false;
	}
	for (size_t i = 0; i < t->size; i++) {
		size_t at;

		if (!t->v[i])
			continue;
		for (at = hash(p, t->v[i] - 1) & (size - 1); v[at]; at = (at + 1) & (size - 1))
			;
		v[at] = t->v[i];
	}
	free(t->v);
	t->v = v;
	t->size = size;
	return true;
}

/* The slot of the entry that is the same as `key`, or the free one where it belongs. */
static uint32_t *table_slot(const struct profile *p, const struct table *t, uint64_t hash,
			    bool (*same)(const struct profile *p, uint32_t entry, const void *key),
			    const void *key)
{
	size_t at = hash & (t->size - 1);

	while (t->v[at] && !same(p, t->v[at] - 1, key))
		at = (at + 1) & (t->size - 1);
	return &t->v[at];
}

/* ---- words ----------------------------------------------------------------------------------- */

static uint64_t word_hash(const struct profile *p, uint32_t i)
{
	return hash_bytes(p->index->word[i], strlen(p->index->word[i]), 0);
}

static bool word_same(const struct profile *p, uint32_t i, const void *key)
{
	return strcmp(p->index->word[i], key) == 0;
}

const char *profile_word(struct profile *p, const char *word)
{
	struct profile_index *x = p->index;
	uint32_t *slot;

	if (!word || !table_room(p, &x->words, word_hash) ||
	    !GROW(p, x->word, x->nwords, 1, x->words_cap))
		return NULL;
	slot = table_slot(p, &x->words, hash_bytes(word, strlen(word), 0), word_same, word);
	if (!*slot) {
		x->word[x->nwords] = strdup(word);
		if (!x->word[x->nwords]) {
			p->no_memory = true;
			return NULL;
		}
		x->words.n++;
		*slot = (uint32_t)++x->nwords;
	}
	return x->word[*slot - 1];
}

/* ---- stacks ---------------------------------------------------------------------------------- */

/* A word's address is its identity. */
static uint64_t location_key(const struct profile_location *l)
{
	return l->pc ? l->pc : (uint64_t)(uintptr_t)l->word;
}

static uint64_t location_hash(const struct profile *p, uint32_t i)
{
	uint64_t key = location_key(&p->locations[i]);

	return hash_bytes(&key, sizeof key, 0);
}

static bool location_same(const struct profile *p, uint32_t i, const void *key)
{
	const struct profile_location *a = &p->locations[i], *b = key;

	return a->pc == b->pc && a->word == b->word;
}

static bool location(struct profile *p, uint64_t pc, const char *word, uint32_t *ret)
{
	struct profile_index *x = p->index;
	const struct profile_location l = { .pc = pc, .word = profile_word(p, word) };
	uint64_t key = location_key(&l);
	uint32_t *slot;

	if (!table_room(p, &x->locations, location_hash) ||
	    !GROW(p, p->locations, p->nlocations, 1, x->locations_cap))
		return false;
	slot = table_slot(p, &x->locations, hash_bytes(&key, sizeof key, 0), location_same, &l);
	if (!*slot) {
		p->locations[p->nlocations] = l;
		x->locations.n++;
		*slot = (uint32_t)++p->nlocations;
	}
	*ret = *slot - 1;
	return true;
}

static uint64_t stack_hash(const struct profile *p, uint32_t i)
{
	const struct profile_stack *s = &p->stacks[i];

	return hash_bytes(p->places + s->first, s->n * sizeof *p->places, s->n);
}

/* key: the stack that lies, not counted yet, behind all places. */
static bool stack_same(const struct profile *p, uint32_t i, const void *key)
{
	const struct profile_stack *a = &p->stacks[i], *b = key;

	return a->n == b->n &&
	       memcmp(p->places + a->first, p->places + b->first, a->n * sizeof *p->places) == 0;
}

uint32_t profile_stack(struct profile *p, const uint64_t *pcs, size_t n, const char *top,
		       const char *bottom)
{
	struct profile_index *x = p->index;
	struct profile_stack s = { .first = (uint32_t)p->nplaces };
	uint32_t *slot;
	bool ok;

	if (!GROW(p, p->places, p->nplaces, n + 2, x->places_cap) ||
	    !GROW(p, p->stacks, p->nstacks, 1, x->stacks_cap) ||
	    !table_room(p, &x->stacks, stack_hash))
		return 0;
	ok = !top || location(p, 0, top, &p->places[s.first + s.n++]);
	for (size_t i = 0; i < n && ok; i++)
		ok = location(p, pcs[i], NULL, &p->places[s.first + s.n++]);
	if (ok && bottom)
		ok = location(p, 0, bottom, &p->places[s.first + s.n++]);
	if (!ok)
		return 0;
	slot = table_slot(p, &x->stacks,
			  hash_bytes(p->places + s.first, s.n * sizeof *p->places, s.n), stack_same,
			  &s);
	if (!*slot) {
		p->stacks[p->nstacks] = s;
		p->nplaces += s.n;
		x->stacks.n++;
		*slot = (uint32_t)++p->nstacks;
	}
	return *slot - 1;
}

/* ---- samples --------------------------------------------------------------------------------- */

static uint64_t key_hash(const struct profile_key *k)
{
	const uint64_t words[] = { (uint64_t)k->tid << 32 | k->stack, k->goroutine, k->spawn_pc,
				   (uintptr_t)k->state, (uintptr_t)k->labels };

	return hash_bytes(words, sizeof words, 0);
}

static uint64_t sample_hash(const struct profile *p, uint32_t i)
{
	return key_hash(&p->samples[i].key);
}

static bool sample_same(const struct profile *p, uint32_t i, const void *key)
{
	const struct profile_key *a = &p->samples[i].key, *b = key;

	return a->stack == b->stack && a->tid == b->tid && a->goroutine == b->goroutine &&
	       a->spawn_pc == b->spawn_pc && a->state == b->state && a->labels == b->labels;
}

void profile_add(struct profile *p, const struct profile_key *key,
		 const uint64_t values[PROFILE_VALUES])
{
	struct profile_index *x = p->index;
	uint32_t *slot;

	if (p->no_memory || !table_room(p, &x->samples, sample_hash) ||
	    !GROW(p, p->samples, p->nsamples, 1, x->samples_cap))
		return;
	slot = table_slot(p, &x->samples, key_hash(key), sample_same, key);
	if (!*slot) {
		p->samples[p->nsamples] = (struct profile_sample){ .key = *key };
		x->samples.n++;
		*slot = (uint32_t)++p->nsamples;
	}
	for (unsigned i = 0; i < PROFILE_VALUES; i++)
		p->samples[*slot - 1].values[i] += values[i];
}

void profile_add_run(struct profile *p, const struct profile_run *run, int64_t close_ns)
{
	struct profile_run *last = NULL;
	int64_t last_end = INT64_MIN;

	/* Workers are few, so the last run of this one is not far. */
	for (size_t i = p->nruns; i-- > 0 && p->nruns - i < 4096 && !last;) {
		if (p->runs[i].tid == run->tid)
			last = &p->runs[i];
	}
	if (last && last->goroutine == run->goroutine && last->state == run->state &&
	    run->begin - last->end <= close_ns) {
		last->end = run->end;
		last->stack = run->stack;
		last->samples += run->samples;
		return;
	}
	if (last) /* which may move now */
		last_end = last->end;
	if (!GROW(p, p->runs, p->nruns, 1, p->index->runs_cap))
		return;
	p->runs[p->nruns] = *run;
	if (last_end > run->begin)
		p->runs[p->nruns].begin = last_end;
	p->nruns++;
}

uint64_t profile_total(const struct profile *p, unsigned value)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < p->nsamples; i++)
		sum += p->samples[i].values[value];
	return sum;
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool add_mappings(struct profile *p, struct goro_scope *scope)
{
	const struct modules *ms = &scope->modules;

	p->mappings = calloc(ms->ntext + 1, sizeof *p->mappings);
	if (!p->mappings)
		return false;
	for (size_t i = 0; i < ms->ntext; i++) {
		const struct module_text *text = &ms->text[i];
		const struct target_map *map = target_maps_find(&ms->maps, text->lo);
		struct profile_mapping *m = &p->mappings[p->nmappings++];

		*m = (struct profile_mapping){ .lo = text->lo, .hi = text->hi };
		if (map) {
			m->offset = map->offset;
			m->path = profile_word(p, map->path);
		}
		if (text->module) {
			m->path = profile_word(p, text->module->path);
			memcpy(m->build_id, text->module->build_id, sizeof m->build_id);
		}
	}
	return true;
}

static int find_mapping(const struct profile *p, uint64_t pc)
{
	for (size_t i = 0; i < p->nmappings; i++) {
		if (pc >= p->mappings[i].lo && pc < p->mappings[i].hi)
			return (int)i;
	}
	return -1;
}

/* A location's frames are all the runtime's or, inlined into each other, begin or end with its. */
static void hide_runtime(struct profile_location *l)
{
	while (l->nframes && l->frames[0].runtime) {
		l->frames++;
		l->nframes--;
	}
	while (l->nframes && l->frames[l->nframes - 1].runtime)
		l->nframes--;
}

bool profile_resolve(struct profile *p, struct goro_scope *scope)
{
	bool ok;

	pthread_mutex_lock(&scope->lock);
	ok = add_mappings(p, scope);
	pthread_mutex_unlock(&scope->lock);
	for (size_t i = 0; i < p->nlocations; i++) {
		struct profile_location *l = &p->locations[i];

		l->mapping = -1;
		if (!l->pc)
			continue;
		l->mapping = find_mapping(p, l->pc - 1);
		l->all = l->frames = goro_scope_symbolize(scope, l->pc, true, &l->nall);
		l->nframes = l->nall;
		if (!profile_kinds[p->kind].with_runtime)
			hide_runtime(l);
	}
	for (size_t i = 0; i < p->nstacks; i++) {
		struct profile_stack *s = &p->stacks[i];

		s->bare = true;
		for (uint32_t j = 0; j < s->n && s->bare; j++)
			s->bare = !p->locations[p->places[s->first + j]].nframes;
	}
	return ok && !p->no_memory;
}

const struct goro_frame *profile_shown(const struct profile_stack *stack,
				       const struct profile_location *l, size_t *n)
{
	*n = stack->bare ? l->nall : l->nframes;
	return stack->bare ? l->all : l->frames;
}

void profile_lines(const struct profile *p, const struct profile_sample *s, profile_line_fn *fn,
		   void *arg)
{
	const struct profile_stack *stack = &p->stacks[s->key.stack];

	if (profile_kinds[p->kind].state_leaf && s->key.state) {
		char word[64];

		snprintf(word, sizeof word, "[%s]", s->key.state);
		fn(NULL, word, arg);
	}
	for (uint32_t i = 0; i < stack->n; i++) {
		const struct profile_location *l = &p->locations[p->places[stack->first + i]];
		const struct goro_frame *frames;
		size_t n;

		if (!l->pc) {
			fn(NULL, l->word, arg);
			continue;
		}
		frames = profile_shown(stack, l, &n);
		for (size_t j = 0; j < n; j++)
			fn(&frames[j], NULL, arg);
	}
}

/* ---- life ------------------------------------------------------------------------------------ */

struct profile *profile_new(enum profile_kind kind, unsigned hz)
{
	struct profile *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->kind = kind;
	p->hz = hz;
	p->index = calloc(1, sizeof *p->index);
	if (!p->index) {
		free(p);
		return NULL;
	}
	return p;
}

void profile_free(struct profile *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->index->nwords; i++)
		free(p->index->word[i]);
	free(p->index->word);
	free(p->index->words.v);
	free(p->index->locations.v);
	free(p->index->stacks.v);
	free(p->index->samples.v);
	free(p->index);
	free(p->locations);
	free(p->stacks);
	free(p->places);
	free(p->samples);
	free(p->runs);
	free(p->mappings);
	free(p->program);
	free(p->note);
	free(p);
}
