/* SPDX-License-Identifier: MIT */
/*
 * reader_goro_scan.h - one pass over the records of all goroutines: what its files share.
 */
#ifndef GORO_READER_GORO_SCAN_H
#define GORO_READER_GORO_SCAN_H

#include <string.h>

#include "reader_goro.h"

#define BATCH	     1024u	 /* records in one go; also what one system call reads */
#define FIRST_WINDOW 2048u	 /* bytes of a stack: nearly always all that is used */
#define SLAB	     (16u << 20) /* bytes of stacks in one round */

/* A goroutine whose stack is to be read. */
struct item {
	uint64_t record; /* address */
	uint32_t g;	 /* index in the snapshot */
	uint32_t slot;	 /* of its record in before[] and after[] */
	uint32_t window, tries;
	uint64_t sp, hi;
	size_t place;	/* in the slab */
	uint8_t *stack; /* there, once it is read */
	size_t len;
};

struct list {
	struct item *v;
	size_t n, cap;
};

/* A field of a record that one load and a mask fetch; mask 0: not that simple. */
struct plain {
	uint64_t mask;
	uint32_t offset;
};

struct scan {
	struct reader_goro *r;
	struct target *t;
	struct snapshot_builder *b;
	struct plain plain[GORO_NFIELDS];
	uint64_t now;
	size_t max_goroutines; /* so that we do not eat up the machine's memory */
	uint64_t deep_bytes;
	size_t far_reads;
	uint8_t *before, *after; /* BATCH records */
	uint8_t *slab;		 /* the stacks of the batch, at most SLAB bytes */
	size_t slab_size;
	struct target_read *reads; /* BATCH */
	struct item *items;	   /* of the batch */
	size_t nitems;
	struct list again; /* for the next round */
	struct goro_wait *waits;
	size_t nwaits, waits_cap;
	uint64_t address_space; /* of which it was asked what is resident */
	uint64_t *chunks;	/* by rising address */
	size_t nchunks;
	uint32_t odd_records;	 /* in chunks that are left out */
	struct renewal *renewal; /* NULL: nothing is known from an earlier look */
};

bool scan_begin(struct scan *s);
void scan_end(struct scan *s);

/* ---- reader_goro_scan.c ---------------------------------------------------------------------- */

/* Fill s->chunks. */
struct goro_error *scan_list_chunks(struct scan *s);

/* All records once; what ran meanwhile, or lies deeper, is kept for scan_again(). */
struct goro_error *scan_chunks(struct scan *s);
struct goro_error *scan_again(struct scan *s);

/* The record in before[] at slot. False: there is no goroutine in it. */
bool scan_decode_new(struct scan *s, uint32_t slot, uint64_t address, struct goro_info *g);

/* Have the stack of snap->g[at] read with this batch, if it has one. */
void scan_want_stack(struct scan *s, uint64_t address, uint32_t slot, uint32_t at, size_t *used);

/* ---- reader_goro_record.c -------------------------------------------------------------------- */

void scan_find_plain(struct scan *s);

static inline uint64_t scan_get(const struct scan *s, const uint8_t *record,
				enum goro_field_id field)
{
	const struct plain *p = &s->plain[field];
	uint64_t v;

	if (!p->mask)
		return contract_get(&s->r->contract,
				    (struct record){ record, s->r->contract.raw.g_size }, field);
	memcpy(&v, record + p->offset, sizeof v);
	return v & p->mask;
}

void scan_decode(const struct scan *s, const uint8_t *rec, uint64_t address, struct goro_info *g);
bool scan_is_there(const struct goro_info *g);

/* Main's bounds, and a foreign thread's, come from the system and may be wrong; its memory map is
 * not. */
void scan_find_stack_end(const struct scan *s, struct goro_info *g);

/* Does it stand still with its registers on its stack? */
bool scan_has_stack(const struct scan *s, const struct goro_info *g);

/* Did it run between these two copies of its record? */
bool scan_moved(const struct scan *s, const uint8_t *a, const uint8_t *b);
void scan_add_rlocks(struct scan *s, uint32_t g, const uint8_t *rec);

/* ---- reader_goro_waits.c --------------------------------------------------------------------- */

/* Fill s->waits. CANNOT: its memory makes no sense. */
enum unwind_status scan_collect_waits(struct scan *s, const struct item *it,
				      const struct goro_info *g, bool *elsewhere);

/* ---- reader_goro_batch.c --------------------------------------------------------------------- */

/* Give the item a place in the slab. False: the slab is full. */
bool scan_place(struct scan *s, struct item *it, const struct goro_info *g, size_t *used);
struct goro_error *scan_read_stacks(struct scan *s);

/* before[], the stacks and after[] are there: judge each item. */
void scan_finish_all(struct scan *s);

/* ---- reader_goro_resident.c ------------------------------------------------------------------ */

/* Of these goroutines, as far as they have stacks. v is reordered. */
void scan_add_resident(struct scan *s, uint32_t *v, size_t n);

/* Of those from index `first` on. */
void scan_ask_resident(struct scan *s, size_t first);

#endif /* GORO_READER_GORO_SCAN_H */
