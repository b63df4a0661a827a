/* SPDX-License-Identifier: MIT */
/*
 * fake.h - a target made of byte strings, and a goro program made of them.
 *
 * The program publishes a contract of its own layout, which is not that of the real runtime: what
 * reads it must go by the contract. Tests change what they like in its bytes.
 */
#ifndef GORO_TEST_FAKE_H
#define GORO_TEST_FAKE_H

#include <goro_introspect.h>
#include "target.h"

#define FAKE_BASE    0x400000ull       /* ELF header, note, contract and tables */
#define FAKE_RECORDS 0x10000000ull     /* one chunk of goroutines */
#define FAKE_STACKS  0x7f0000000000ull /* FAKE_STACK bytes each */
#define FAKE_OBJECTS 0x600000ull
#define FAKE_STACK   0x4000ull
#define FAKE_CODE    (FAKE_BASE + 0x8000)
#define FAKE_NG	     16u
#define FAKE_G_SIZE  192u

struct fake_segment {
	uint64_t address;
	uint8_t *bytes;
	size_t size;
	bool executable;
};

struct fake {
	struct target target;
	struct fake_segment segments[6];
	size_t nsegments;
	struct goro_introspect *contract; /* in the bytes of the first segment */
	struct goro_field *fields;
	size_t reads; /* pieces read so far */
	/* Called before each piece is read, to change what is there. */
	void (*on_read)(struct fake *f, uint64_t address);
	void *arg;
	bool ended;
};

/* A program with FAKE_NG goroutines, ids 1.. in no order, each waiting to receive. */
struct fake *fake_new(void);
void fake_free(struct fake *f); /* closing the target does it as well */

/*
 * As with `goro run --heap`: goroutine ID has allocated 3 objects of 100 * ID bytes in all, and
 * holds one of them, 100 * ID - 50 bytes. One account is of no goroutine, and one of 1000, which
 * has ended.
 */
void fake_keep_books(struct fake *f);

/* The bytes at address; fails the test when there are none. */
void *fake_at(struct fake *f, uint64_t address);

/* Fields of goroutine i's record, by the fake's own layout. */
uint64_t fake_g(unsigned i); /* its address */
void fake_set(struct fake *f, unsigned i, enum goro_field_id field, uint64_t value);
/* Store a field of the structure at address. */
void fake_store(struct fake *f, uint64_t address, enum goro_field_id field, uint64_t value);
/* Goroutine g selects: n waiter records from `at` on, the last one followed by `last`. */
void fake_waiters(struct fake *f, unsigned g, uint64_t at, unsigned n, uint64_t last);

/* What must work: a scope of it, which owns its target, and a look. */
struct goro_scope *fake_open(struct fake *f);
struct goro_snapshot *fake_look(struct goro_scope *scope);

#endif /* GORO_TEST_FAKE_H */
