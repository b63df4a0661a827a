/* SPDX-License-Identifier: MIT */
/*
 * record.h - snapshots over time in one file.
 *
 * The file is a head of 16 bytes ("GOROREC1", version, 0) and then blocks, each with its length and
 * checksums. A block holds either names (strings, symbolised pcs, stacks; each is written once, so
 * the file needs no program to be read), or a tick: a whole snapshot, or what changed since the
 * tick before. A goroutine that has not run since costs a tick nothing. When the changes since the
 * last whole tick outweigh it, the next one is whole again, so that seeking is never far.
 *
 * Whoever dies while writing leaves a piece of a block behind: what was complete before it is read.
 *
 * Ticks are tables of columns: number, length, values. A reader leaves out the columns that it does
 * not know, so a column is added by one line in record_table.c, and never renumbered.
 *
 * Rejected: JSON lines (a hundred times the size), SQLite (a second copy of every index for what is
 * read from front to back), protobuf (a code generator for five tables).
 */
#ifndef GORO_RECORD_H
#define GORO_RECORD_H

#include "pack.h"
#include "profiler.h"
#include "symbolize.h"

#define RECORD_MAGIC   "GOROREC1"
#define RECORD_VERSION 1u

enum record_kind {
	RECORD_NAMES = 1,
	RECORD_WHOLE = 2,  /* a tick by itself */
	RECORD_CHANGE = 3, /* a tick by its difference to the one before */
};

/* In front of every block. Little-endian, like all here. */
struct record_head {
	char magic[4]; /* "gblk" */
	uint32_t kind;
	uint32_t size;	   /* of what follows */
	uint32_t raw_size; /* of it when decompressed (zlib) */
	uint32_t crc;	   /* of what follows */
	uint32_t head_crc; /* of this head, but for this field */
	int64_t time;	   /* of a tick, as in the snapshot */
	int64_t wall_time;
};

/* ---- record_table.c: a snapshot's arrays as columns ------------------------------------------ */

/* What goroutine `id` has of the heap. */
struct record_heap {
	uint64_t id;
	struct goro_heap heap;
};

/*
 * A snapshot in the form in which it is read: times are absolute (wait_ns holds the start of the
 * wait), and stacks, names and labels are numbered as in the file, so that what did not change is
 * equal. A writer has no goroutines in it: see struct record_tick.
 */
struct record_state {
	struct goro_snapshot head; /* its numbers; what it points to is not used but this: */
	char *name, *runtime;
	struct goro_info *g;
	size_t ng;
	struct goro_wait *waits; /* g[i].waits_first counts in these */
	size_t nwaits;
	uint64_t *rlocks;
	size_t nrlocks;
	struct goro_object *objects;
	size_t nobjects;
	struct goro_proc *procs;
	size_t nprocs;
	struct goro_tomb *tombs;
	size_t ntombs;
	struct record_heap *heap; /* NULL: nothing is known of it */
	size_t nheap;
	struct goro_heap_site *heap_ended;
	size_t nheap_ended;
};

void record_state_free(struct record_state *s);

/*
 * What a writer remembers of a goroutine: a sum over all that is written of it. If one column
 * changes, so does the sum; if several do, it stays the same once in 2^64 times.
 */
struct record_known {
	uint64_t id, sum;
};

/* A snapshot in the form in which it is compared and written. */
struct record_tick {
	struct record_state rest;   /* all but the goroutines */
	struct record_known *known; /* by rising id; record_pack() fills it in */
	size_t nknown;

	/* While it is written: the goroutines, and what their stacks and texts are in the file. */
	const struct goro_snapshot *snap;
	const uint32_t *stacks;
	uint32_t (*text)(void *arg, uint32_t offset);
	void *arg;
};

/* Who takes what was packed so far, and leaves p empty: a tick of a million is 50 MB of bytes. */
struct record_sink {
	void (*take)(void *arg, struct packer *p);
	void *arg;
};

/*
 * What changed from `old` (NULL: everything) to `new`, which takes over what was remembered of the
 * goroutines.
 */
void record_pack(struct packer *p, struct record_tick *old, struct record_tick *new,
		 const struct record_sink *sink);

/* ---- record_goroutines.c --------------------------------------------------------------------- */

/* The part of their table. False: out of memory. */
bool record_pack_goroutines(struct packer *p, struct record_tick *old, struct record_tick *new,
			    const struct record_sink *sink);

/* Turn *s into the next state; false: damaged, or out of memory. At most max goroutines. */
bool record_unpack(struct unpacker *u, struct record_state *s, bool whole, size_t max);

/* ---- record_write.c -------------------------------------------------------------------------- */

/* See goro_recorder_* in profiler.h. */

/* ---- record_read.c --------------------------------------------------------------------------- */

struct record;

/* Takes the descriptor over. Fails with 5 when there is no complete tick in it. */
struct goro_error *record_open(struct record **ret, int fd, const char *path);
void record_close(struct record *r);

/* Is this the beginning of such a file? */
bool record_is(const void *head, size_t n);

size_t record_ticks(const struct record *r);

/* Bytes behind the last complete tick. */
uint64_t record_left_over(const struct record *r);

/* Times of tick n, which is counted from 0. */
int64_t record_time(const struct record *r, size_t n);
int64_t record_wall_time(const struct record *r, size_t n);

/* Bytes behind the last complete tick that no recorder that was killed leaves so. */
uint64_t record_damaged(const struct record *r);

/* Is tick n, or what it is made from, known to be damaged? */
bool record_is_bad(const struct record *r, size_t n);

/* Tick n as a snapshot. Its names are told to `names`. */
struct goro_error *record_snapshot(struct record *r, size_t n, struct symbolizer *names,
				   struct goro_snapshot **ret);

/* For tests: refuse ticks with more goroutines than this. */
void record_limit(struct record *r, size_t max_goroutines);

#endif /* GORO_RECORD_H */
