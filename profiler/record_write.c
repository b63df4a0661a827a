/* SPDX-License-Identifier: MIT */
/*
 * record_write.c - the writer of recordings; see record.h.
 *
 * What was in the file stays there until the first tick is whole: that goes into a file beside it,
 * which then takes its place and grows there. What is no file of its own is written as it is.
 *
 * A tick and the names that it needs go out in one write(), so that a reader of the growing file
 * finds either all of it or a piece that it can tell. Nothing is flushed to the disk: the file
 * survives the death of the recorder, not that of the machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "beside.h"
#include "record.h"
#include "record_names.h"

#define MAX_RAW (1u << 30)
#define LEVEL	3 /* of zlib: what it costs more does not shrink these tables */

struct goro_recorder {
	struct record_names names;
	int fd;
	char *path;
	char *beside; /* the file that is written until it takes the place of `path`; or NULL */
	bool created; /* there was none, and nothing is in it yet */
	bool old;     /* it is written itself, and what was in it is there yet */
	uint64_t bytes, ticks;
	uint64_t whole_size, change_size; /* of the last whole tick, and of those since */
	struct record_tick last;
	const struct goro_snapshot *snap; /* that is being added */
};

/* ---- a tick ---------------------------------------------------------------------------------- */

static void *copy(const void *from, size_t n, size_t size)
{
	void *to = malloc(n * size + 1);

	if (to && n)
		memcpy(to, from, n * size);
	return to;
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

/* The number of a name in the file, 0 for "". It has one since add_texts(). */
static uint32_t text_number(void *arg, uint32_t offset)
{
	struct goro_recorder *r = arg;
	const char *text = r->snap->text + offset;

	return *text ? (uint32_t)record_string(&r->names, text) : 0;
}

/* Names are in front of the tick that needs them. */
static void add_texts(struct goro_recorder *r)
{
	const struct goro_snapshot *snap = r->snap;

	for (size_t i = 0; i < snap->ng; i++) {
		if (snap->g[i].name)
			text_number(r, snap->g[i].name);
		if (snap->g[i].labels)
			text_number(r, snap->g[i].labels);
	}
}

/* All addresses that a report may want a name for. */
static void add_pcs(struct record_names *r, const struct goro_snapshot *snap)
{
	for (size_t i = 0; i < snap->ng; i++) {
		record_pc(r, snap->g[i].spawn_pc, true);
		record_pc(r, snap->g[i].entry, false);
	}
	for (size_t i = 0; i < snap->nheap_ended; i++)
		record_pc(r, snap->heap_ended[i].spawn_pc, true);
	for (size_t i = 0; i < snap->nobjects; i++)
		record_pc(r, snap->objects[i].make_pc, true);
	for (size_t i = 0; i < snap->ntombs; i++) {
		record_pc(r, snap->tombs[i].spawn_pc, true);
		record_pc(r, snap->tombs[i].entry, false);
	}
}

/* stacks[i]: the number of the snapshot's i-th. */
static bool add_names(struct goro_recorder *r, uint32_t *stacks)
{
	const struct goro_snapshot *snap = r->snap;

	for (size_t i = 0; i < snap->nstacks; i++)
		stacks[i] = record_stack(&r->names, &snap->stacks[i],
					 snap->pcs + snap->stacks[i].first);
	add_texts(r);
	add_pcs(&r->names, snap);
	return !r->names.no_memory;
}

static bool make_rest(const struct goro_snapshot *snap, struct record_state *s)
{
	*s = (struct record_state){ .head = *snap,
				    .name = strdup(snap->name ? snap->name : "?"),
				    .runtime = strdup(snap->runtime ? snap->runtime : "?"),
				    .objects = snap->objects, /* until they are remembered */
				    .nobjects = snap->nobjects,
				    .procs = copy(snap->procs, snap->nprocs, sizeof *s->procs),
				    .nprocs = snap->nprocs,
				    .tombs = copy(snap->tombs, snap->ntombs, sizeof *s->tombs),
				    .ntombs = snap->ntombs };
	return s->procs && s->tombs && s->name && s->runtime && take_heap(snap, s);
}

static void forget(struct record_tick *t)
{
	if (t->snap)
		t->rest.objects = NULL; /* they are its */
	record_state_free(&t->rest);
	free(t->known);
	*t = (struct record_tick){ 0 };
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* A block at the end of `out` that is being compressed. */
struct block {
	struct packer *out;
	size_t begin; /* of its head */
	uint64_t raw_size;
	z_stream z;
	bool good;
};

/* What is there of p now, or the rest. */
static void compress_some(struct block *b, struct packer *p, int flush)
{
	uint8_t bytes[1 << 14];

	b->raw_size += p->n;
	b->good = b->good && !p->no_memory && b->raw_size <= MAX_RAW;
	if (b->good) {
		b->z.next_in = p->bytes;
		b->z.avail_in = (uInt)p->n;
		do {
			b->z.next_out = bytes;
			b->z.avail_out = sizeof bytes;
			deflate(&b->z, flush);
			pack_bytes(b->out, bytes, sizeof bytes - b->z.avail_out);
		} while (!b->z.avail_out);
	}
	p->n = 0;
}

static void take_some(void *block, struct packer *p)
{
	compress_some(block, p, Z_NO_FLUSH);
}

static void begin_block(struct block *b, struct packer *out)
{
	static const struct record_head head;

	*b = (struct block){ .out = out, .begin = out->n };
	b->good = deflateInit(&b->z, LEVEL) == Z_OK;
	pack_bytes(out, &head, sizeof head);
}

static bool end_block(struct block *b, enum record_kind kind, struct packer *rest,
		      const struct goro_snapshot *snap)
{
	struct record_head head = {
		.magic = "gblk", .kind = kind, .time = snap->time, .wall_time = snap->wall_time
	};
	uint8_t *bytes;

	compress_some(b, rest, Z_FINISH);
	deflateEnd(&b->z);
	if (!b->good || b->out->no_memory)
		return false;
	bytes = b->out->bytes + b->begin;
	head.size = (uint32_t)(b->out->n - b->begin - sizeof head);
	head.raw_size = (uint32_t)b->raw_size;
	head.crc = (uint32_t)crc32(0, bytes + sizeof head, head.size);
	head.head_crc = (uint32_t)crc32(0, (const uint8_t *)&head, sizeof head);
	memcpy(bytes, &head, sizeof head);
	return true;
}

static struct goro_error *cannot_write(const char *path)
{
	return goro_error_new(GORO_PARTIAL, "cannot write %s: %s", path, strerror(errno));
}

static struct goro_error *write_all(struct goro_recorder *r, const uint8_t *bytes, size_t n)
{
	while (n) {
		ssize_t done = write(r->fd, bytes, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done == 0)
			errno = ENOSPC;
		if (done <= 0)
			return cannot_write(r->path);
		bytes += done;
		n -= (size_t)done;
		r->bytes += (uint64_t)done;
	}
	return NULL;
}

static bool is_whole_due(const struct goro_recorder *r)
{
	return !r->last.known || r->change_size > r->whole_size;
}

/* The blocks of one tick: its names, if there are new ones, and itself. */
static bool make_blocks(struct goro_recorder *r, struct record_tick *now, struct packer *out)
{
	struct packer raw = { 0 };
	struct block block;
	const struct record_sink sink = { take_some, &block };
	bool whole = is_whole_due(r), ok = true;
	size_t before;

	if (whole)
		forget(&r->last);

	if (record_has_names(&r->names)) {
		begin_block(&block, out);
		record_pack_names(&r->names, &raw);
		ok = end_block(&block, RECORD_NAMES, &raw, now->snap);
	}
	before = out->n;
	if (ok) {
		begin_block(&block, out);
		record_pack(&raw, whole ? NULL : &r->last, now, &sink);
		ok = end_block(&block, whole ? RECORD_WHOLE : RECORD_CHANGE, &raw, now->snap);
	}
	pack_free(&raw);
	if (whole)
		r->whole_size = r->change_size = 0;
	*(whole ? &r->whole_size : &r->change_size) += out->n - before;
	return ok;
}

/* Make it independent of its snapshot. */
static bool remember(struct goro_recorder *r, struct record_tick *now)
{
	struct goro_object *objects = copy(now->rest.objects, now->rest.nobjects, sizeof *objects);

	if (!objects)
		return false;
	r->last = *now;
	r->last.rest.objects = objects;
	r->last.snap = NULL;
	return true;
}

/* Before the first tick. */
static struct goro_error *begin_file(struct goro_recorder *r)
{
	static const uint8_t head[16] = RECORD_MAGIC "\1";

	if (r->old && ftruncate(r->fd, 0))
		return cannot_write(r->path);
	r->old = false;
	return write_all(r, head, sizeof head);
}

/* Behind it. */
static struct goro_error *show_file(struct goro_recorder *r)
{
	int error = r->beside ? beside_take_place(r->beside, r->path) : 0;

	if (error) {
		errno = error;
		return cannot_write(r->path);
	}
	free(r->beside);
	r->beside = NULL;
	r->created = false;
	return NULL;
}

struct goro_error *goro_recorder_add(struct goro_recorder *r, const struct goro_snapshot *snap)
{
	uint32_t *stacks = calloc(snap->nstacks + 1, sizeof *stacks);
	struct record_tick now = {
		.snap = snap,
		.stacks = stacks,
		.text = text_number,
		.arg = r,
	};
	struct packer out = { 0 };
	struct goro_error *err = NULL;

	r->snap = snap;
	if (!stacks || !make_rest(snap, &now.rest) || !add_names(r, stacks) ||
	    !make_blocks(r, &now, &out))
		err = &goro_enomem;
	if (!err && !r->ticks)
		err = begin_file(r);
	if (!err)
		err = write_all(r, out.bytes, out.n);
	if (!err && !r->ticks)
		err = show_file(r);
	pack_free(&out);
	free(stacks);
	forget(&r->last); /* of which a part was taken over */
	if (err || !remember(r, &now)) {
		forget(&now);
		return err ? err : &goro_enomem;
	}
	r->ticks++;
	return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

/* Nothing that is there is changed yet. */
static struct goro_error *open_file(struct goro_recorder *r)
{
	struct stat st;
	int fd;

	r->fd = open(r->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);
	r->created = r->fd >= 0;
	if (r->created)
		return NULL;
	r->fd = open(r->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (r->fd < 0 || fstat(r->fd, &st))
		return cannot_write(r->path);
	r->old = S_ISREG(st.st_mode);
	fd = r->old && beside_our_output(&st) < 0 ? beside_open(r->path, &st, &r->beside) : -1;
	if (fd >= 0) {
		close(r->fd);
		r->fd = fd;
		r->old = false;
	}
	return NULL;
}

struct goro_error *goro_recorder_open(struct goro_recorder **ret, struct goro_scope *scope,
				      const char *path)
{
	struct goro_recorder *r = calloc(1, sizeof *r);
	struct goro_error *err;

	if (!r)
		return &goro_enomem;
	r->names.scope = scope;
	r->fd = -1;
	r->path = strdup(path);
	if (!r->path) {
		goro_recorder_close(r);
		return &goro_enomem;
	}
	err = open_file(r);
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
	record_names_free(&r->names);
	forget(&r->last);
	if (r->beside)
		unlink(r->beside);
	if (r->created)
		unlink(r->path);
	if (r->fd >= 0)
		close(r->fd);
	free(r->beside);
	free(r->path);
	free(r);
}
