/* SPDX-License-Identifier: MIT */
/*
 * fake.h - snapshots made by hand.
 *
 * A test says who waits for what and who holds what; freeze() makes a snapshot of it that looks as
 * if a reader had made it: goroutines by rising id, objects by rising address.
 */
#ifndef FAKE_H
#define FAKE_H

#include "profiler.h"

#define FAKE_MAX 64

struct fake {
	struct goro_info g[FAKE_MAX];
	size_t ng;
	struct goro_object objects[FAKE_MAX];
	size_t nobjects;
	struct goro_tomb tombs[4];
	size_t ntombs;
	uint64_t rlocks[FAKE_MAX][2];
};

/* Add a running goroutine; its spawn site and its stack are those of all, until set otherwise. */
struct goro_info *fake_g(struct fake *f, uint64_t id);

/* Add a parked one. */
struct goro_info *fake_wait(struct fake *f, uint64_t id, unsigned reason, uint64_t object);

/* It holds this rwmutex for reading. */
void fake_rlock(struct fake *f, uint64_t id, uint64_t object);

struct goro_object *fake_mutex(struct fake *f, uint64_t address, uint64_t owner);
struct goro_object *fake_rwmutex(struct fake *f, uint64_t address, uint64_t writer,
				 uint32_t readers);
struct goro_object *fake_chan(struct fake *f, uint64_t address);

struct goro_info *fake_find(struct fake *f, uint64_t id);

/* Free with goro_snapshot_free(). */
struct goro_snapshot *fake_freeze(const struct fake *f);

#endif /* FAKE_H */
