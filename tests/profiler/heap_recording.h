/* SPDX-License-Identifier: MIT */
/*
 * heap_recording.h - a target that is what heap_recorder wrote down: a map, and bytes.
 */
#ifndef GORO_TEST_HEAP_RECORDING_H
#define GORO_TEST_HEAP_RECORDING_H

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

#endif /* GORO_TEST_HEAP_RECORDING_H */
