/* SPDX-License-Identifier: MIT */
/*
 * account.h - who allocated what: the books of libgoro-heap.so.
 *
 * A note on each object lies in a shadow of the address space: one word for each granule in which
 * an object can begin, in leaves of 64 MiB that come when they are needed. Who has an object has
 * its word too, so words need no lock: whatever orders malloc() before free() orders these. The
 * figures are in accounts, one a goroutine (struct goro_heap_account in goro_introspect.h).
 *
 * The shadow also maps a goroutine's record to its account, by the word of the record's address,
 * where no object of malloc's can ever lie.
 *
 * Rejected: a header in front of each object. It is cheaper by some nanoseconds, but moves every
 * object (what the proof and the programmer see is another heap), breaks malloc_usable_size() and
 * alignment, and is fatal for a pointer that did not come through us. A hash table: it needs locks
 * or tombstones, and a cache miss for each object, while neighbours here share a line.
 */
#ifndef GORO_HEAP_ACCOUNT_H
#define GORO_HEAP_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A note: the account's number in the upper 22 bits, the bytes that were asked for below; 0: none.
 * For no number and size that occur is it a pointer, so notes keep nothing alive for the proof. */
typedef uint64_t note;

/* Objects begin at least 1 << shift bytes apart. False: no memory, nothing can be noted. */
bool account_open(unsigned shift);

/* How to ask for the calling goroutine, and where a record has its id and its spawn_pc. */
void account_runtime(uint64_t (*current)(void), size_t id, size_t spawn_pc);
/* The user's: called until account_runtime() was. */
void account_find_runtime(void);
/* Tell observers that nobody comes to us. */
void account_bypassed(void);

/* The caller has allocated this. */
void account_add(const void *object, size_t size);

/* It is about to be freed: take its note away. 0: there is none. */
note account_take(const void *object);
/* It was not freed after all. */
void account_return(const void *object, note n);
/* The object of this note, which was taken, is freed by the caller. */
void account_freed(note n);

#endif /* GORO_HEAP_ACCOUNT_H */
