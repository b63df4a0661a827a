/* SPDX-License-Identifier: MIT */
/*
 * reader_goro_past.h - what goes with a snapshot, so that a later look can be made out of it.
 */
#ifndef GORO_READER_GORO_PAST_H
#define GORO_READER_GORO_PAST_H

#include "reader_goro_renew.h"

/*
 * Where in the snapshot a record's goroutine is, which is what the record said then. 8 bytes: of a
 * million there are a million.
 */
struct seen {
	uint32_t place; /* index + 1; 0: no goroutine */
	uint16_t peak;	/* pages */
	uint8_t turn;	/* at which looks to ask again what of its stack is in RAM */
	bool still : 1; /* it was parked, and its stack was walked to its end */
	bool plain : 1; /* and nothing else can change while it is */
};

/* Those of a chunk of records. */
struct seen_chunk {
	uint64_t address;
	struct seen *v;
};

/* What goes with a snapshot that can be renewed. */
struct past {
	struct snapshot_past base;
	struct seen_chunk *chunks; /* by rising address */
	size_t nchunks;
	uint32_t chunk_len, g_size;
	int64_t time;
	unsigned looks;
	size_t wasted_waits, first_stacks;
};

/* A goroutine that was read again, and where its waits were. */
struct changed {
	struct seen *seen;
	uint32_t g;
	uint32_t waits_first, nwaits;
};

/* A look in the making. */
struct renewal {
	struct past *past;
	size_t old_ng, old_nwaits;
	uint64_t passed;   /* ns since */
	unsigned turn;	   /* whose it is: see struct seen */
	struct changed *v; /* those that were */
	size_t n, cap;
	uint32_t *ask; /* whose stack may be in RAM to another part than it was */
	size_t nask;
	struct goro_wait *left; /* what they waited for */
	size_t nleft, left_cap;
	struct goro_object *objects; /* that were not there */
	size_t nobjects, objects_cap;
	bool gaps, odd;
	bool lonely; /* there are objects that nobody waits for any more */
};

/* Does the record say of the goroutine what was seen then? */
static inline bool renew_is_same(const struct scan *s, const uint8_t *rec,
				 const struct goro_info *g)
{
	uint32_t status = (uint32_t)g->state | (uint32_t)g->reason << 8;

	return scan_get(s, rec, GORO_FIELD_g_id) == g->id &&
	       scan_get(s, rec, GORO_FIELD_g_status) == status &&
	       (uint8_t)scan_get(s, rec, GORO_FIELD_g_flags) == g->flags &&
	       scan_get(s, rec, GORO_FIELD_g_park_seq) == g->park_seq &&
	       scan_get(s, rec, GORO_FIELD_g_sp) == g->sp &&
	       scan_get(s, rec, GORO_FIELD_g_wait_object) == g->wait_object;
}

/* ---- reader_goro_past.c ---------------------------------------------------------------------- */

/* What was seen at a record, or NULL: it is none of them. */
struct seen *past_at(const struct past *p, uint64_t record);

/* The same for a record that has a number: see reader_goro_renew.h. */
struct seen *past_by_number(const struct past *p, uint32_t number);

/* snap->g[i] is what is there. */
void past_see(struct seen *e, const struct goro_snapshot *snap, size_t i);

/* ---- reader_goro_renew.c --------------------------------------------------------------------- */

/* An array with room for one more after n, or NULL: out of memory. */
void *renew_grow(struct scan *s, void *v, size_t n, size_t *cap, size_t size);

/* ---- reader_goro_objects.c ------------------------------------------------------------------- */

/* The table of the objects, after what changed is in its place. */
void renew_objects(struct scan *s);

#endif /* GORO_READER_GORO_PAST_H */
