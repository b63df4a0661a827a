/* SPDX-License-Identifier: MIT */
/*
 * record_read.c - the reader of recordings; see record.h.
 *
 * Opening reads only the heads of the blocks. A tick is made from the whole one before it and the
 * changes since, or from the tick made last when that is nearer. The file may be cut anywhere and
 * may lie about everything.
 */
#include "record.h"

#include <errno.h>
#include <goro_introspect.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define MAX_RAW	    (1u << 30)
#define MAX_FRAMES  64
#define MAX_STRINGS (1u << 24)

struct block {
	uint64_t offset; /* of its content */
	struct record_head head;
	bool bad; /* a tick: it was tried and is damaged, or what it is made from is */
};

struct record {
	int fd;
	char *path;
	struct block *blocks; /* up to the last complete tick */
	size_t nblocks;
	size_t *ticks; /* indices of blocks */
	size_t nticks;
	uint64_t size;
	uint64_t left_over; /* bytes behind the last complete tick */
	bool damaged;	    /* they are more than a block that was not written to its end */
	size_t max_goroutines;

	size_t names_read; /* blocks before this one have told their names */
	char **strings;
	size_t nstrings;
	struct goro_stack *stacks;
	uint64_t *pcs;
	size_t nstacks, npcs;

	struct record_state state;
	size_t at; /* the tick that it holds; nticks: none */
};

bool record_is(const void *head, size_t n)
{
	return n >= 8 && memcmp(head, RECORD_MAGIC, 8) == 0;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static bool read_exactly(int fd, void *to, size_t n, uint64_t offset)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = pread(fd, (char *)to + done, n - done, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		done += (size_t)got;
	}
	return true;
}

static bool head_is_sound(const struct record_head *head)
{
	struct record_head copy = *head;

	copy.head_crc = 0;
	return memcmp(head->magic, "gblk", 4) == 0 && head->raw_size <= MAX_RAW &&
	       head->head_crc == (uint32_t)crc32(0, (const uint8_t *)&copy, sizeof copy);
}

static bool add_block(struct record *r, const struct record_head *head, uint64_t offset)
{
	/* Powers of two. */
	if ((r->nblocks & (r->nblocks - 1)) == 0) {
		size_t cap = r->nblocks ? r->nblocks * 2 : 1;
		struct block *blocks = realloc(r->blocks, cap * sizeof *blocks);
		size_t *ticks;

		if (!blocks)
			return false;
		r->blocks = blocks;
		ticks = realloc(r->ticks, cap * sizeof *ticks);
		if (!ticks)
			return false;
		r->ticks = ticks;
	}
	if (head->kind == RECORD_WHOLE || (head->kind == RECORD_CHANGE && r->nticks))
		r->ticks[r->nticks++] = r->nblocks;
	r->blocks[r->nblocks++] = (struct block){ .offset = offset, .head = *head };
	return true;
}

/*
 * A file that grows while it is read is as good as one that was cut. What was cut has the beginning
 * of a block: a head that is there, and is none, is damage. What may be behind it is not looked
 * for: without the names that were in between, what ticks say would be wrong.
 */
static struct goro_error *find_blocks(struct record *r, uint64_t size)
{
	uint64_t at = 16, end = 16;
	struct record_head head;

	while (size - at >= sizeof head && read_exactly(r->fd, &head, sizeof head, at)) {
		r->damaged = !head_is_sound(&head);
		if (r->damaged || size - at - sizeof head < head.size)
			break;
		if (!add_block(r, &head, at + sizeof head))
			return &goro_enomem;
		at += sizeof head + head.size;
		if (head.kind != RECORD_NAMES)
			end = at;
	}
	r->size = size;
	r->left_over = size - end;
	return NULL;
}

/* A block's content, decompressed; NULL: damaged, or out of memory. */
static uint8_t *load_block(const struct record *r, const struct block *b)
{
	uint8_t *packed = malloc(b->head.size + 1u), *raw = malloc(b->head.raw_size + 1u);
	uLongf n = b->head.raw_size;

	if (!packed || !raw || !read_exactly(r->fd, packed, b->head.size, b->offset) ||
	    (uint32_t)crc32(0, packed, b->head.size) != b->head.crc ||
	    uncompress(raw, &n, packed, b->head.size) != Z_OK || n != b->head.raw_size) {
		free(raw);
		raw = NULL;
	}
	free(packed);
	return raw;
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool read_strings(struct record *r, uint64_t n, struct unpacker u)
{
	char **bigger;

	if (n > unpack_left(&u) || n > MAX_STRINGS - r->nstrings)
		return false;
	bigger = realloc(r->strings, (r->nstrings + n + 1) * sizeof *bigger);
	if (!bigger)
		return false;
	r->strings = bigger;
	for (uint64_t i = 0; i < n; i++) {
		size_t length;
		const char *s = unpack_string(&u, &length);
		char *own = s ? strndup(s, length) : NULL;

		if (!own)
			return false;
		r->strings[r->nstrings++] = own;
	}
	return true;
}

static const char *string_at(const struct record *r, uint64_t number, struct unpacker *u)
{
	if (!number)
		return NULL;
	if (number > r->nstrings) {
		u->bad = true;
		return NULL;
	}
	return r->strings[number - 1];
}

static bool read_pc(struct record *r, struct unpacker *u, struct symbolizer *names)
{
	struct goro_frame frames[MAX_FRAMES];
	uint64_t pc = unpack_number(u), is_return = unpack_number(u), n = unpack_number(u);

	if (u->bad || n == 0 || n > MAX_FRAMES)
		return false;
	memset(frames, 0, sizeof frames); /* they are compared with all between their fields */
	for (uint64_t i = 0; i < n; i++) {
		struct goro_frame *f = &frames[i];
		const char *function = string_at(r, unpack_number(u), u);
		const char *file = string_at(r, unpack_number(u), u);
		const char *module = string_at(r, unpack_number(u), u);
		uint64_t flags;

		f->pc = pc;
		f->function = symbolizer_keep(names, function);
		f->file = symbolizer_keep(names, file);
		f->module = symbolizer_keep(names, module);
		f->line = (uint32_t)unpack_number(u);
		f->module_offset = unpack_number(u);
		f->function_offset = unpack_number(u);
		flags = unpack_number(u);
		f->inlined = flags & 1;
		f->runtime = flags & 2;
	}
	return !u->bad && symbolizer_tell(names, pc, is_return != 0, frames, n);
}

static bool read_stack(struct record *r, struct unpacker *u)
{
	uint64_t flags = unpack_number(u), n = unpack_count(u), last = 0;

	if (u->bad)
		return false;
	r->stacks[r->nstacks++] = (struct goro_stack){ .first = (uint32_t)r->npcs,
						       .n = (uint32_t)n,
						       .complete = flags & 1,
						       .by_frame_pointer = flags & 2 };
	for (uint64_t i = 0; i < n; i++) {
		last += (uint64_t)unpack_signed(u);
		r->pcs[r->npcs++] = last;
	}
	return !u->bad;
}

/* A stack has two bytes and its pcs one each: so no array is longer than the part. */
static bool read_stacks(struct record *r, uint64_t n, struct unpacker u)
{
	struct goro_stack *stacks;
	uint64_t *pcs;

	if (n > unpack_left(&u) || r->npcs + unpack_left(&u) > UINT32_MAX / 2)
		return false;
	stacks = realloc(r->stacks, (r->nstacks + n + 1) * sizeof *stacks);
	if (stacks)
		r->stacks = stacks;
	pcs = realloc(r->pcs, (r->npcs + unpack_left(&u) + 1) * sizeof *pcs);
	if (pcs)
		r->pcs = pcs;
	if (!stacks || !pcs)
		return false;
	while (n--) {
		if (!read_stack(r, &u))
			return false;
	}
	return true;
}

static bool read_names(struct record *r, const struct block *b, struct symbolizer *names)
{
	uint8_t *raw = load_block(r, b);
	struct unpacker u = { raw, raw + b->head.raw_size, false }, pcs;
	uint64_t n;
	bool ok;

	if (!raw)
		return false;
	n = unpack_number(&u);
	ok = read_strings(r, n, unpack_part(&u)) && !u.bad;
	n = unpack_number(&u);
	pcs = unpack_part(&u);
	while (ok && n--)
		ok = read_pc(r, &pcs, names);
	n = unpack_number(&u);
	ok = ok && read_stacks(r, n, unpack_part(&u)) && !u.bad;
	free(raw);
	return ok;
}

/* ---- ticks ----------------------------------------------------------------------------------- */

static bool apply_tick(struct record *r, size_t tick)
{
	const struct block *b = &r->blocks[r->ticks[tick]];
	uint8_t *raw = load_block(r, b);
	struct unpacker u = { raw, raw + b->head.raw_size, false };
	bool ok = raw &&
		  record_unpack(&u, &r->state, b->head.kind == RECORD_WHOLE, r->max_goroutines);

	free(raw);
	r->at = ok ? tick : r->nticks;
	return ok;
}

/* What is made from a bad tick is bad, too: so none is tried again for each that comes after it. */
static void mark_bad(struct record *r, size_t tick)
{
	do
		r->blocks[r->ticks[tick]].bad = true;
	while (++tick < r->nticks && r->blocks[r->ticks[tick]].head.kind != RECORD_WHOLE);
}

static bool go_to(struct record *r, size_t tick)
{
	size_t from = tick;

	while (from > 0 && from != r->at && r->blocks[r->ticks[from]].head.kind != RECORD_WHOLE)
		from--;
	if (from == r->at)
		from++;
	for (; from <= tick; from++) {
		if (!apply_tick(r, from)) {
			mark_bad(r, from);
			return false;
		}
	}
	return true;
}

static bool tell_names(struct record *r, size_t tick, struct symbolizer *names)
{
	for (; r->names_read < r->ticks[tick]; r->names_read++) {
		const struct block *b = &r->blocks[r->names_read];

		if (b->head.kind == RECORD_NAMES && !read_names(r, b, names)) {
			/* Names have numbers by their order: without some, all behind are wrong. */
			for (size_t i = 0; i < r->nticks; i++)
				r->blocks[r->ticks[i]].bad |= r->ticks[i] > r->names_read;
			return false;
		}
	}
	return true;
}

/* ---- snapshots ------------------------------------------------------------------------------- */

static void *copy(const void *from, size_t n, size_t size)
{
	void *to = malloc(n * size + 1);

	if (to && n)
		memcpy(to, from, n * size);
	return to;
}

/* Only the stacks that this tick has, in the order of their goroutines. */
static bool take_stacks(const struct record *r, struct goro_snapshot *s)
{
	uint32_t *now = calloc(r->nstacks + 1, sizeof *now);
	size_t nstacks = 0, npcs = 0;

	for (size_t i = 0; now && i < s->ng; i++) {
		uint32_t id = s->g[i].stack_id;

		if (id >= r->nstacks || now[id])
			continue;
		now[id] = (uint32_t)++nstacks;
		npcs += r->stacks[id].n;
	}
	s->stacks = calloc(nstacks + 1, sizeof *s->stacks);
	s->pcs = calloc(npcs + 1, sizeof *s->pcs);
	if (!now || !s->stacks || !s->pcs) {
		free(now);
		return false;
	}
	for (size_t i = 0; i < s->ng; i++) {
		struct goro_info *g = &s->g[i];
		uint32_t id = g->stack_id;
		struct goro_stack *st;

		g->stack_id = id < r->nstacks ? now[id] - 1 : GORO_NO_STACK;
		if (g->stack_id != s->nstacks)
			continue;
		st = &s->stacks[s->nstacks++];
		*st = r->stacks[id];
		memcpy(s->pcs + s->npcs, r->pcs + st->first, st->n * sizeof *s->pcs);
		st->first = (uint32_t)s->npcs;
		s->npcs += st->n;
	}
	free(now);
	return true;
}

/* Append a string of the file to the snapshot's text, once: `at` says where each one is. */
static bool take_text(const struct record *r, struct goro_snapshot *s, size_t *cap, uint32_t *at,
		      uint32_t *number)
{
	size_t length;
	char *bigger;

	if (*number > r->nstrings)
		*number = 0;
	if (*number && !at[*number - 1]) {
		length = strlen(r->strings[*number - 1]) + 1;
		if (s->ntext + length > UINT32_MAX)
			return false;
		if (s->ntext + length > *cap) {
			while (*cap < s->ntext + length)
				*cap *= 2;
			bigger = realloc(s->text, *cap);
			if (!bigger)
				return false;
			s->text = bigger;
		}
		memcpy(s->text + s->ntext, r->strings[*number - 1], length);
		at[*number - 1] = (uint32_t)s->ntext;
		s->ntext += length;
	}
	*number = *number ? at[*number - 1] : 0;
	return true;
}

static bool take_texts(const struct record *r, struct goro_snapshot *s)
{
	uint32_t *at = calloc(r->nstrings + 1, sizeof *at);
	size_t cap = 64;
	bool ok;

	s->text = calloc(1, cap);
	s->ntext = 1;
	ok = at && s->text;
	for (size_t i = 0; ok && i < s->ng; i++)
		ok = take_text(r, s, &cap, at, &s->g[i].name) &&
		     take_text(r, s, &cap, at, &s->g[i].labels);
	free(at);
	return ok;
}

/* Both are sorted by id. */
static bool take_heap(const struct record_state *state, struct goro_snapshot *s)
{
	if (!state->heap)
		return true;
	s->heap = calloc(s->ng + 1, sizeof *s->heap);
	s->heap_ended = copy(state->heap_ended, state->nheap_ended, sizeof *s->heap_ended);
	s->nheap_ended = state->nheap_ended;
	for (size_t i = 0, j = 0; s->heap && i < s->ng; i++) {
		while (j < state->nheap && state->heap[j].id < s->g[i].id)
			j++;
		if (j < state->nheap && state->heap[j].id == s->g[i].id)
			s->heap[i] = state->heap[j].heap;
	}
	return s->heap && s->heap_ended;
}

/* Bytes behind tick n, when none of the ticks there can be read. */
static uint64_t damaged_behind(const struct record *r, size_t n)
{
	size_t next = n + 1;

	if (next == r->nticks)
		return record_damaged(r);
	for (size_t i = next; i < r->nticks; i++) {
		if (!record_is_bad(r, i))
			return 0;
	}
	return r->size - r->blocks[r->ticks[n]].offset - r->blocks[r->ticks[n]].head.size;
}

static struct goro_snapshot *make_snapshot(const struct record *r, size_t tick)
{
	const struct record_state *state = &r->state;
	struct goro_snapshot *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	*s = state->head;
	s->source = GORO_RECORDING;
	s->tick = tick + 1;
	s->nticks = r->nticks;
	s->damaged = damaged_behind(r, tick);
	s->file = strdup(r->path);
	s->name = strdup(state->name ? state->name : "?");
	s->runtime = strdup(state->runtime ? state->runtime : "?");
	s->g = copy(state->g, state->ng, sizeof *s->g);
	s->ng = state->ng;
	s->waits = copy(state->waits, state->nwaits, sizeof *s->waits);
	s->nwaits = state->nwaits;
	s->rlocks = copy(state->rlocks, state->nrlocks, sizeof *s->rlocks);
	s->nrlocks = state->nrlocks;
	s->objects = copy(state->objects, state->nobjects, sizeof *s->objects);
	s->nobjects = state->nobjects;
	s->procs = copy(state->procs, state->nprocs, sizeof *s->procs);
	s->nprocs = state->nprocs;
	s->tombs = copy(state->tombs, state->ntombs, sizeof *s->tombs);
	s->ntombs = state->ntombs;
	if (!s->file || !s->name || !s->runtime || !s->g || !s->waits || !s->rlocks ||
	    !s->objects || !s->procs || !s->tombs || !take_stacks(r, s) || !take_texts(r, s) ||
	    !take_heap(state, s)) {
		goro_snapshot_free(s);
		return NULL;
	}
	for (size_t i = 0; i < s->ng; i++) {
		struct goro_info *g = &s->g[i];
		uint64_t since = g->wait_ns;

		g->wait_ns = since && since < (uint64_t)s->time ? (uint64_t)s->time - since : 0;
		g->finding = UINT32_MAX;
		if (g->letter < ' ' || g->letter > '~')
			g->letter = '?';
	}
	return s;
}

struct goro_error *record_snapshot(struct record *r, size_t n, struct symbolizer *names,
				   struct goro_snapshot **ret)
{
	if (record_is_bad(r, n) || !tell_names(r, n, names) || !go_to(r, n)) {
		struct goro_error *err = goro_error_new(
			GORO_PARTIAL, "tick %zu of recording %s is damaged", n + 1, r->path);

		while (n && record_is_bad(r, n - 1))
			n--;
		return n ? goro_error_hint(err, "earlier ticks may be whole: --at %zu", n) : err;
	}
	*ret = make_snapshot(r, n);
	return *ret ? NULL : &goro_enomem;
}

/* ---- life ------------------------------------------------------------------------------------ */

size_t record_ticks(const struct record *r)
{
	return r->nticks;
}

uint64_t record_left_over(const struct record *r)
{
	return r->left_over;
}

uint64_t record_damaged(const struct record *r)
{
	return r->damaged ? r->left_over : 0;
}

bool record_is_bad(const struct record *r, size_t n)
{
	return r->blocks[r->ticks[n]].bad;
}

int64_t record_time(const struct record *r, size_t n)
{
	return r->blocks[r->ticks[n]].head.time;
}

int64_t record_wall_time(const struct record *r, size_t n)
{
	return r->blocks[r->ticks[n]].head.wall_time;
}

void record_limit(struct record *r, size_t max_goroutines)
{
	r->max_goroutines = max_goroutines;
}

struct goro_error *record_open(struct record **ret, int fd, const char *path)
{
	uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	struct record *r = calloc(1, sizeof *r);
	struct goro_error *err = NULL;
	uint8_t head[16];
	struct stat st;

	if (!r) {
		close(fd);
		return &goro_enomem;
	}
	r->fd = fd;
	r->path = strdup(path);
	r->max_goroutines = memory / 8 / sizeof(struct goro_info);
	if (fstat(fd, &st) || !read_exactly(fd, head, sizeof head, 0))
		err = goro_error_new(GORO_UNSUPPORTED, "recording %s is cut short: it is empty",
				     path);
	else if (head[8] != RECORD_VERSION)
		err = goro_error_hint(goro_error_new(GORO_UNSUPPORTED,
						     "recording %s has version %u and we know "
						     "version %u",
						     path, head[8], RECORD_VERSION),
				      "use the goro command that made it, or a newer one");
	else
		err = r->path ? find_blocks(r, (uint64_t)st.st_size) : &goro_enomem;
	if (!err && !r->nticks)
		err = goro_error_new(GORO_UNSUPPORTED,
				     "recording %s is cut short: there is no complete tick in it",
				     path);
	r->at = r->nticks;
	if (err) {
		record_close(r);
		return err;
	}
	*ret = r;
	return NULL;
}

void record_close(struct record *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->nstrings; i++)
		free(r->strings[i]);
	free(r->strings);
	free(r->stacks);
	free(r->pcs);
	free(r->blocks);
	free(r->ticks);
	record_state_free(&r->state);
	close(r->fd);
	free(r->path);
	free(r);
}
