/* SPDX-License-Identifier: MIT */
/*
 * reach_sweep.h - what the files reach_sweep*.c share: reach_sweep.c says what it is about.
 */
#ifndef GORO_REACH_SWEEP_H
#define GORO_REACH_SWEEP_H

#include "reach_run.h"

enum {
	SWEEP_PARTS = 256,
	SWEEP_IN_PART = 4096,
	SWEEP_UNIT = 13, /* 2^13 granules are looked up at once */
};

#define SWEEP_WORTH_TWO (UINT64_C(32) << 20) /* bytes of the heap */

/* An area. The granules of all of them are numbered through, in the order of addresses. */
struct strip {
	struct heap_area *a;
	uint64_t *pending;
	const uint64_t *watched;
	const uint64_t *leads; /* only these are searched; NULL: all */
	uint64_t lo, span;     /* where objects are */
	uint32_t index;	       /* of the area, in the heap */
	uint32_t base, end;    /* its granules; multiples of 64 */
};

/* What waits to be marked, each part of the heap for itself. */
struct parts {
	uint32_t n[SWEEP_PARTS];
	uint32_t numbers[SWEEP_PARTS][SWEEP_IN_PART + 16]; /* not all in the same cache lines */
};

/* All areas side by side. While it is swept nobody changes any of this but the bits of strips. */
struct field {
	struct strip *strips;
	size_t nstrips;
	uint32_t *position; /* of an area, among them */
	uint32_t *at;	    /* which is the first of a unit's granules in */
	uint32_t total;
	unsigned shift; /* of a granule, to its part */
	struct parts *parts[2];
};

/* Who sweeps: some blocks of granules, whose marks nobody else touches. */
struct sweep {
	struct run *r;
	const struct field *f;
	struct parts *parts;
	uint32_t mask, own;  /* of the number of a granule: whose it is */
	size_t npending;     /* of its own */
	size_t objects;	     /* searched */
	uint64_t bytes;	     /* of these */
	struct halves *both; /* NULL: it is alone */
	unsigned which;
} __attribute__((aligned(64))); /* two of them lie side by side */

static inline bool sweep_owns(const struct sweep *s, uint32_t number)
{
	return (number & s->mask) == s->own;
}

/* How many parts there are; none is of both halves. */
static inline size_t sweep_parts(const struct field *f)
{
	return ((f->total - 1) >> f->shift) + 1;
}

/* Mark all of these, and what waits in one part. */
void sweep_mark_all(struct sweep *s, const uint32_t *numbers, uint32_t n);
void sweep_mark_part(struct sweep *s, size_t part);
/* Go through what is its own, once. */
void sweep_once(struct sweep *s, bool down);

/* ---- reach_sweep_two.c ------------------------------------------------------------------------
 */

/* By two threads. False: there cannot be two, and nothing was done. */
bool sweep_both(struct run *r);
/* For all of the run that is not the sweep's own. Nothing where it is alone. */
void sweep_lock(struct sweep *s);
void sweep_unlock(struct sweep *s);
/* These are the other half's. */
void sweep_send(struct sweep *s, const uint32_t *numbers, uint32_t n);
/* Mark what came from there. */
void sweep_take(struct sweep *s);
/* In the end: what was searched counts. */
void sweep_count(const struct sweep *s);

#endif /* GORO_REACH_SWEEP_H */
