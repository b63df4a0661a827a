/* SPDX-License-Identifier: MIT */
/*
 * sparse_pack.h - the inner loop of a copy without zeros, in the words of a machine.
 *
 * A gigabyte goes through it twice for a proof. sparse_pack_<arch>.c has a faster one where there
 * is one; both do the same.
 */
#ifndef GORO_SPARSE_PACK_H
#define GORO_SPARSE_PACK_H

#include "sparse.h"

enum { SPARSE_SPILL = 3 }; /* words behind the last that may be written to */

/* Fill in the head, and the words of a page that are not zero. Returns how many. */
typedef size_t sparse_pack_fn(const uint8_t *page, struct sparse_block *head, uint64_t *words);

/* In sparse.c, for all machines. */
sparse_pack_fn sparse_pack_any;

/* The one that this machine is best at, or NULL. */
sparse_pack_fn *sparse_pack_best(void);

#endif /* GORO_SPARSE_PACK_H */
