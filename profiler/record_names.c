/* SPDX-License-Identifier: MIT */
/*
 * record_names.c - see record_names.h.
 */
#include "record_names.h"

#include <stdlib.h>
#include <string.h>

/* ---- indices --------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

typedef uint64_t hash_fn(const struct record_names *r, size_t i);
typedef bool same_fn(const struct record_names *r, size_t i, const void *key);

static bool grow_index(const struct record_names *r, struct index *x, hash_fn *hash)
{
	size_t size = x->size ? x->size * 2 : 256;
	uint32_t *slots = calloc(size, sizeof *slots);

	if (!slots)
		return false;
	for (size_t i = 0; i < x->n; i++) {
		size_t at = hash(r, i) & (size - 1);

		while (slots[at])
			at = (at + 1) & (size - 1);
		slots[at] = (uint32_t)i + 1;
	}
	free(x->slots);
	x->slots = slots;
	x->size = size;
	return true;
}

/* The slot of a key: with the entry's index + 1 in it, or empty. NULL: out of memory. */
static uint32_t *find_slot(const struct record_names *r, struct index *x, uint64_t h, hash_fn *hash,
			   same_fn *same, const void *key)
{
	size_t at;

	if (x->n * 2 >= x->size && !grow_index(r, x, hash))
		return NULL;
	for (at = h & (x->size - 1); x->slots[at]; at = (at + 1) & (x->size - 1)) {
		if (same(r, x->slots[at] - 1, key))
			break;
	}
	return &x->slots[at];
}

static bool grow(struct record_names *r, void *array, size_t n, size_t more, size_t *cap,
		 size_t size)
{
	void **p = array, *moved;
	size_t bigger = *cap ? *cap : 64;

	if (n + more <= *cap)
		return true;
	while (bigger < n + more)
		bigger *= 2;
	moved = realloc(*p, bigger * size);
	if (!moved) {
		r->no_memory = true;
		return false;
	}
	*p = moved;
	*cap = bigger;
	return true;
}

#define GROW(r, array, n, more, cap) grow((r), &(array), (n), (more), &(cap), sizeof *(array))

/* ---- names ----------------------------------------------------------------------------------- */

static uint64_t hash_text(const char *s)
{
	uint64_t h = 1;

	for (; *s; s++)
		h = mix(h, (unsigned char)*s);
	return h;
}

static uint64_t hash_string(const struct record_names *r, size_t i)
{
	return hash_text(r->strings[i]);
}

static bool same_string(const struct record_names *r, size_t i, const void *key)
{
	return strcmp(r->strings[i], key) == 0;
}

uint64_t record_string(struct record_names *r, const char *s)
{
	uint32_t *slot;

	if (!s || r->no_memory)
		return 0;
	slot = find_slot(r, &r->string_index, hash_text(s), hash_string, same_string, s);
	if (slot && *slot)
		return *slot;
	if (!slot || !GROW(r, r->strings, r->nstrings, 1, r->strings_cap)) {
		r->no_memory = true;
		return 0;
	}
	r->strings[r->nstrings] = strdup(s);
	if (!r->strings[r->nstrings]) {
		r->no_memory = true;
		return 0;
	}
	*slot = (uint32_t)++r->nstrings;
	r->string_index.n++;
	r->new_strings++;
	pack_string(&r->strings_out, s);
	return *slot;
}

static uint64_t hash_key(const struct record_names *r, size_t i)
{
	return mix(1, r->keys[i]);
}

static bool same_key(const struct record_names *r, size_t i, const void *key)
{
	return r->keys[i] == *(const uint64_t *)key;
}

static void pack_frame(struct record_names *r, const struct goro_frame *f)
{
	uint64_t function = record_string(r, f->function), file = record_string(r, f->file),
		 module = record_string(r, f->module);

	pack_number(&r->frames_out, function);
	pack_number(&r->frames_out, file);
	pack_number(&r->frames_out, module);
	pack_number(&r->frames_out, f->line);
	pack_number(&r->frames_out, f->module_offset);
	pack_number(&r->frames_out, f->function_offset);
	pack_number(&r->frames_out, (f->inlined ? 1u : 0) | (f->runtime ? 2u : 0));
}

void record_pc(struct record_names *r, uint64_t pc, bool is_return)
{
	uint64_t key = pc << 1 | is_return;
	const struct goro_frame *frames;
	uint32_t *slot;
	size_t n;

	if (!pc || r->no_memory)
		return;
	slot = find_slot(r, &r->key_index, mix(1, key), hash_key, same_key, &key);
	if (slot && *slot)
		return;
	if (!slot || !GROW(r, r->keys, r->nkeys, 1, r->keys_cap)) {
		r->no_memory = true;
		return;
	}
	r->keys[r->nkeys++] = key;
	*slot = (uint32_t)r->nkeys;
	r->key_index.n++;
	frames = goro_scope_symbolize(r->scope, pc, is_return, &n);
	if (!frames) {
		r->no_memory = true;
		return;
	}
	r->new_pcs++;
	pack_number(&r->frames_out, pc);
	pack_number(&r->frames_out, is_return);
	pack_number(&r->frames_out, n);
	for (size_t i = 0; i < n; i++)
		pack_frame(r, &frames[i]);
}

struct stack_key {
	const struct goro_stack *stack;
	const uint64_t *pcs;
};

static uint64_t hash_pcs(const uint64_t *pcs, size_t n)
{
	uint64_t h = n;

	for (size_t i = 0; i < n; i++)
		h = mix(h, pcs[i]);
	return h;
}

static uint64_t hash_stack(const struct record_names *r, size_t i)
{
	return hash_pcs(r->pcs + r->stacks[i].first, r->stacks[i].n);
}

static bool same_stack(const struct record_names *r, size_t i, const void *key)
{
	const struct written_stack *a = &r->stacks[i];
	const struct stack_key *b = key;

	return a->n == b->stack->n && a->complete == b->stack->complete &&
	       a->by_frame_pointer == b->stack->by_frame_pointer &&
	       memcmp(r->pcs + a->first, b->pcs, a->n * sizeof *b->pcs) == 0;
}

uint32_t record_stack(struct record_names *r, const struct goro_stack *st, const uint64_t *pcs)
{
	const struct stack_key key = { st, pcs };
	uint32_t *slot =
		find_slot(r, &r->stack_index, hash_pcs(pcs, st->n), hash_stack, same_stack, &key);
	uint64_t last = 0;

	if (slot && *slot)
		return *slot - 1;
	if (!slot || !GROW(r, r->stacks, r->nstacks, 1, r->stacks_cap) ||
	    !GROW(r, r->pcs, r->npcs, st->n, r->pcs_cap)) {
		r->no_memory = true;
		return GORO_NO_STACK;
	}
	r->stacks[r->nstacks] =
		(struct written_stack){ r->npcs, st->n, st->complete, st->by_frame_pointer };
	memcpy(r->pcs + r->npcs, pcs, st->n * sizeof *pcs);
	r->npcs += st->n;
	*slot = (uint32_t)++r->nstacks;
	r->stack_index.n++;
	r->new_stacks++;
	pack_number(&r->stacks_out, (st->complete ? 1u : 0) | (st->by_frame_pointer ? 2u : 0));
	pack_number(&r->stacks_out, st->n);
	for (uint32_t i = 0; i < st->n; i++) {
		pack_signed(&r->stacks_out, (int64_t)(pcs[i] - last));
		last = pcs[i];
		record_pc(r, pcs[i], true);
	}
	return *slot - 1;
}

static void pack_part(struct packer *p, size_t n, struct packer *part)
{
	size_t begin;

	pack_number(p, n);
	begin = pack_begin(p);
	pack_bytes(p, part->bytes, part->n);
	pack_end(p, begin);
	p->no_memory |= part->no_memory;
	part->n = 0;
}

void record_pack_names(struct record_names *r, struct packer *p)
{
	pack_part(p, r->new_strings, &r->strings_out);
	pack_part(p, r->new_pcs, &r->frames_out);
	pack_part(p, r->new_stacks, &r->stacks_out);
	r->new_strings = r->new_pcs = r->new_stacks = 0;
}

bool record_has_names(const struct record_names *r)
{
	return r->new_strings || r->new_pcs || r->new_stacks;
}

void record_names_free(struct record_names *r)
{
	for (size_t i = 0; i < r->nstrings; i++)
		free(r->strings[i]);
	free(r->strings);
	free(r->string_index.slots);
	free(r->keys);
	free(r->key_index.slots);
	free(r->stacks);
	free(r->pcs);
	free(r->stack_index.slots);
	pack_free(&r->strings_out);
	pack_free(&r->frames_out);
	pack_free(&r->stacks_out);
}
