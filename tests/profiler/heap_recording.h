/* SPDX-License-Identifier: MIT */
/*
 * heap_recording.h - a target that is what heap_recorder wrote down: a map, and bytes.
 */
#ifndef GORO_TEST_HEAP_RECORDING_H
#define GORO_TEST_HEAP_RECORDING_H

#include "heap.h"
#include "target.h"

enum {
	RECORDING_LINE = 64, /* bytes */
	RECORDING_LINES = 65536,
	RECORDING_PIECES = 1024,
	RECORDING_MAPS = 256,
};

struct heap_recording {
	struct target target;
	struct target_maps maps; /* v is map */
	struct target_map map[RECORDING_MAPS];
	/* By rising address; what is mapped and in none of them is zero. */
	struct recorded_line {
		uint64_t address;
		uint8_t bytes[RECORDING_LINE];
	} line[RECORDING_LINES];
	size_t nlines;
	/* What the program had from malloc(). */
	struct recorded_piece {
		uint64_t address;
		size_t size;
		bool freed;
	} piece[RECORDING_PIECES];
	size_t npieces;
};

/* False: it is no recording, or too big. Nothing is to be freed. */
bool heap_recording_load(struct heap_recording *r, const char *path);

/* Its heap, in both steps. */
static inline struct goro_error *heap_recording_read(struct heap *h, struct heap_recording *r,
						     const struct heap_how *how)
{
	struct heap_search search;
	struct goro_error *err = heap_read_areas(&search, h, &r->target, &r->maps, how);

	if (!err)
		err = heap_read_rest(&search, NULL, 0);
	if (err)
		heap_free(h);
	return err;
}

#endif /* GORO_TEST_HEAP_RECORDING_H */
