/* SPDX-License-Identifier: MIT */
/*
 * record_write.c - the writer of recordings; see record.h.
 *
 * A tick and the names that it needs go out in one write(), so that a reader of the growing file
 * finds either all of it or a piece that it can tell. Nothing is flushed to the disk: the file
 * survives the death of the recorder, not that of the machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "record.h"

#define MAX_RAW	  (1u << 30)
#define LEVEL	  3 /* of zlib: what it costs more does not shrink these tables */
#define NO_STRING UINT32_MAX

/* Open-addressed: hash -> index + 1 of an entry that the owner compares. */
struct index {
	uint32_t *slots;
	size_t size, n;
};

struct written_stack {
	size_t first; /* in pcs[] */
	uint32_t n;
	bool complete, by_frame_pointer;
};

struct goro_recorder {
	struct goro_scope *scope;
	int fd;
	char *path;
	uint64_t bytes, ticks;
	uint64_t whole_size, change_size; /* of the last whole tick, and of those since */
	struct record_state last;

	char **strings;
	size_t nstrings, strings_cap;
	struct index string_index;
	uint64_t *keys; /* pc * 2 + is_return of the pcs that were written */
	size_t nkeys, keys_cap;
	struct index key_index;
	struct written_stack *stacks;
	uint64_t *pcs;
	size_t nstacks, stacks_cap, npcs, pcs_cap;
	struct index stack_index;

	struct packer strings_out, frames_out, stacks_out; /* new names of the tick that is made */
	size_t new_strings, new_pcs, new_stacks;
	bool no_memory;
};

/* ---- indices --------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

typedef uint64_t hash_fn(const struct goro_recorder *r, size_t i);
typedef bool same_fn(const struct goro_recorder *r, size_t i, const void *key);

static bool grow_index(const struct goro_recorder *r, struct index *x, hash_fn *hash)
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
static uint32_t *find_slot(const struct goro_recorder *r, struct index *x, uint64_t h,
			   hash_fn *hash, same_fn *same, const void *key)
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

static bool grow(struct goro_recorder *r, void *array, size_t n, size_t more, size_t *cap,
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

static uint64_t hash_string(const struct goro_recorder *r, size_t i)
{
	return hash_text(r->strings[i]);
}

static bool same_string(const struct goro_recorder *r, size_t i, const void *key)
{
	return strcmp(r->strings[i], key) == 0;
}

/* A string's number in the file + 1; 0 for NULL. */
static uint64_t string_number(struct goro_recorder *r, const char *s)
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

static uint64_t hash_key(const struct goro_recorder *r, size_t i)
{
	return mix(1, r->keys[i]);
}

static bool same_key(const struct goro_recorder *r, size_t i, const void *key)
{
	return r->keys[i] == *(const uint64_t *)key;
}

static void pack_frame(struct goro_recorder *r, const struct goro_frame *f)
{
	uint64_t function = string_number(r, f->function), file = string_number(r, f->file),
		 module = string_number(r, f->module);

	pack_number(&r->frames_out, function);
	pack_number(&r->frames_out, file);
	pack_number(&r->frames_out, module);
	pack_number(&r->frames_out, f->line);
	pack_number(&r->frames_out, f->module_offset);
	pack_number(&r->frames_out, f->function_offset);
	pack_number(&r->frames_out, (f->inlined ? 1u : 0) | (f->runtime ? 2u : 0));
}

/* Write what a pc means, unless that was done. */
static void name_pc(struct goro_recorder *r, uint64_t pc, bool is_return)
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

static uint64_t hash_stack(const struct goro_recorder *r, size_t i)
{
	return hash_pcs(r->pcs + r->stacks[i].first, r->stacks[i].n);
}

static bool same_stack(const struct goro_recorder *r, size_t i, const void *key)
{
	const struct written_stack *a = &r->stacks[i];
	const struct stack_key *b = key;

	return a->n == b->stack->n && a->complete == b->stack->complete &&
	       a->by_frame_pointer == b->stack->by_frame_pointer &&
	       memcmp(r->pcs + a->first, b->pcs, a->n * sizeof *b->pcs) == 0;
}

/* A stack's number in the file. */
static uint32_t stack_number(struct goro_recorder *r, const struct goro_stack *st,
			     const uint64_t *pcs)
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
		name_pc(r, pcs[i], true);
	}
	return *slot - 1;
}

/* ---- a tick ---------------------------------------------------------------------------------- */

static void *copy(const void *from, size_t n, size_t size)
{
	void *to = malloc(n * size + 1);

	if (to && n)
		memcpy(to, from, n * size);
	return to;
}

/* The number of a name in the file, 0 for "". */
static uint32_t text_number(struct goro_recorder *r, const struct goro_snapshot *snap,
			    uint32_t offset)
{
	return snap->text && snap->text[offset] ? (uint32_t)string_number(r, snap->text + offset)
						: 0;
}

/* Those that allocated anything. */
static bool take_heap(const struct goro_snapshot *snap, struct record_state *s)
{
	if (!snap->heap)
		return true;
	s->heap = calloc(snap->ng + 1, sizeof *s->heap);
	s->heap_ended = copy(snap->heap_ended, snap->nheap_ended, sizeof *s->heap_ended);
	s->nheap_ended = snap->nheap_ended;
	for (size_t i = 0; s->heap && i < snap->ng; i++) {
		if (snap->heap[i].total_objects)
			s->heap[s->nheap++] = (struct record_heap){ snap->g[i].id, snap->heap[i] };
	}
	return s->heap && s->heap_ended;
}

static bool make_state(struct goro_recorder *r, const struct goro_snapshot *snap,
		       struct record_state *s)
{
	uint32_t *numbers = calloc(snap->nstacks + 1, sizeof *numbers);

	*s = (struct record_state){ .head = *snap,
				    .name = strdup(snap->name ? snap->name : "?"),
				    .runtime = strdup(snap->runtime ? snap->runtime : "?"),
				    .g = copy(snap->g, snap->ng, sizeof *s->g),
				    .ng = snap->ng,
				    .waits = copy(snap->waits, snap->nwaits, sizeof *s->waits),
				    .nwaits = snap->nwaits,
				    .rlocks = copy(snap->rlocks, snap->nrlocks, sizeof *s->rlocks),
				    .nrlocks = snap->nrlocks,
				    .objects =
					    copy(snap->objects, snap->nobjects, sizeof *s->objects),
				    .nobjects = snap->nobjects,
				    .procs = copy(snap->procs, snap->nprocs, sizeof *s->procs),
				    .nprocs = snap->nprocs,
				    .tombs = copy(snap->tombs, snap->ntombs, sizeof *s->tombs),
				    .ntombs = snap->ntombs };
	if (!numbers || !s->g || !s->waits || !s->rlocks || !s->objects || !s->procs || !s->tombs ||
	    !s->name || !s->runtime || !take_heap(snap, s)) {
		free(numbers);
		return false;
	}
	for (size_t i = 0; i < snap->nstacks; i++)
		numbers[i] = stack_number(r, &snap->stacks[i], snap->pcs + snap->stacks[i].first);
	for (size_t i = 0; i < s->ng; i++) {
		struct goro_info *g = &s->g[i];

		g->wait_ns = g->wait_ns ? (uint64_t)snap->time - g->wait_ns : 0;
		if (g->stack_id != GORO_NO_STACK)
			g->stack_id = numbers[g->stack_id];
		g->name = text_number(r, snap, g->name);
		g->labels = text_number(r, snap, g->labels);
	}
	free(numbers);
	return !r->no_memory;
}

/* All addresses that a report may want a name for. */
static void name_all(struct goro_recorder *r, const struct goro_snapshot *snap)
{
	for (size_t i = 0; i < snap->ng; i++) {
		name_pc(r, snap->g[i].spawn_pc, true);
		name_pc(r, snap->g[i].entry, false);
	}
	for (size_t i = 0; i < snap->nheap_ended; i++)
		name_pc(r, snap->heap_ended[i].spawn_pc, true);
	for (size_t i = 0; i < snap->nobjects; i++)
		name_pc(r, snap->objects[i].make_pc, true);
	for (size_t i = 0; i < snap->ntombs; i++) {
		name_pc(r, snap->tombs[i].spawn_pc, true);
		name_pc(r, snap->tombs[i].entry, false);
	}
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

static void pack_names(struct goro_recorder *r, struct packer *p)
{
	pack_part(p, r->new_strings, &r->strings_out);
	pack_part(p, r->new_pcs, &r->frames_out);
	pack_part(p, r->new_stacks, &r->stacks_out);
	r->new_strings = r->new_pcs = r->new_stacks = 0;
}

/* Append a block to `out`. */
static bool add_block(struct packer *out, enum record_kind kind, const struct packer *raw,
		      const struct goro_snapshot *snap)
{
	struct record_head head = { .magic = "gblk",
				    .kind = kind,
				    .raw_size = (uint32_t)raw->n,
				    .time = snap->time,
				    .wall_time = snap->wall_time };
	uLongf size = compressBound(raw->n);
	uint8_t *bytes = raw->no_memory || raw->n > MAX_RAW ? NULL : malloc(size);

	if (!bytes || compress2(bytes, &size, raw->bytes, raw->n, LEVEL) != Z_OK) {
		free(bytes);
		return false;
	}
	head.size = (uint32_t)size;
	head.crc = (uint32_t)crc32(0, bytes, (uInt)size);
	head.head_crc = (uint32_t)crc32(0, (const uint8_t *)&head, sizeof head);
	pack_bytes(out, &head, sizeof head);
	pack_bytes(out, bytes, size);
	free(bytes);
	return !out->no_memory;
}

static struct goro_error *write_all(struct goro_recorder *r, const uint8_t *bytes, size_t n)
{
	while (n) {
		ssize_t done = write(r->fd, bytes, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return goro_error_new(GORO_PARTIAL, "cannot write %s: %s", r->path,
					      strerror(done ? errno : ENOSPC));
		bytes += done;
		n -= (size_t)done;
		r->bytes += (uint64_t)done;
	}
	return NULL;
}

static bool is_whole_due(const struct goro_recorder *r)
{
	return !r->ticks || r->change_size > r->whole_size;
}

/* The blocks of one tick: its names, if there are new ones, and itself. */
static bool make_blocks(struct goro_recorder *r, const struct goro_snapshot *snap,
			const struct record_state *now, struct packer *out)
{
	struct packer raw = { 0 };
	bool whole = is_whole_due(r), ok = true;

	if (r->new_strings || r->new_pcs || r->new_stacks) {
		pack_names(r, &raw);
		ok = add_block(out, RECORD_NAMES, &raw, snap);
		raw.n = 0;
	}
	if (ok) {
		size_t before = out->n;

		record_pack(&raw, whole ? NULL : &r->last, now);
		ok = add_block(out, whole ? RECORD_WHOLE : RECORD_CHANGE, &raw, snap);
		if (whole) {
			r->whole_size = out->n - before;
			r->change_size = 0;
		} else {
			r->change_size += out->n - before;
		}
	}
	pack_free(&raw);
	return ok;
}

struct goro_error *goro_recorder_add(struct goro_recorder *r, const struct goro_snapshot *snap)
{
	struct record_state now;
	struct packer out = { 0 };
	struct goro_error *err = NULL;
	bool ok = make_state(r, snap, &now);

	if (ok)
		name_all(r, snap);
	ok = ok && !r->no_memory;
	ok = ok && make_blocks(r, snap, &now, &out);
	if (!ok)
		err = &goro_enomem;
	if (!err)
		err = write_all(r, out.bytes, out.n);
	pack_free(&out);
	if (err) {
		record_state_free(&now);
		return err;
	}
	record_state_free(&r->last);
	r->last = now;
	r->ticks++;
	return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

struct goro_error *goro_recorder_open(struct goro_recorder **ret, struct goro_scope *scope,
				      const char *path)
{
	static const uint8_t head[16] = RECORD_MAGIC "\1";
	struct goro_recorder *r = calloc(1, sizeof *r);
	struct goro_error *err;

	if (!r)
		return &goro_enomem;
	r->scope = scope;
	r->fd = -1;
	r->path = strdup(path);
	if (!r->path) {
		goro_recorder_close(r);
		return &goro_enomem;
	}
	r->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	err = r->fd < 0 ? goro_error_new(GORO_PARTIAL, "cannot write %s: %s", path, strerror(errno))
			: write_all(r, head, sizeof head);
	if (err) {
		goro_recorder_close(r);
		return err;
	}
	*ret = r;
	return NULL;
}

uint64_t goro_recorder_bytes(const struct goro_recorder *r)
{
	return r->bytes;
}

void goro_recorder_close(struct goro_recorder *r)
{
	if (!r)
		return;
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
	record_state_free(&r->last);
	if (r->fd >= 0)
		close(r->fd);
	free(r->path);
	free(r);
}
