/* SPDX-License-Identifier: MIT */
/*
 * snapshot_grow.h - room in the arrays of a snapshot that is being built.
 */
#ifndef GORO_SNAPSHOT_GROW_H
#define GORO_SNAPSHOT_GROW_H

#include "snapshot.h"

/* Make room for so many more elements of an array that has n; false once memory is out. */
bool snapshot_grow(struct snapshot_builder *b, void *array, size_t n, size_t more, size_t *cap,
		   size_t size);
#define GROW(b, array, n, more, cap) \
	snapshot_grow((b), &(array), (n), (more), &(cap), sizeof *(array))

#endif /* GORO_SNAPSHOT_GROW_H */
