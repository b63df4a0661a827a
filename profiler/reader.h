/* SPDX-License-Identifier: MIT */
/*
 * reader.h - whose structures the bytes are.
 *
 * The second interface of the library (the first is target.h). A reader knows how one runtime
 * keeps its goroutines: it finds them in a target and tells a snapshot builder of each. It knows
 * nothing of processes or of unwinding.
 */
#ifndef GORO_READER_H
#define GORO_READER_H

#include "elf.h"
#include "snapshot.h"
#include "target.h"

struct reader;

struct reader_ops {
	/* NULL and *ret set: this is its runtime. NULL and *ret NULL: it is not. */
	struct goro_error *(*probe)(struct target *t, struct modules *ms, struct reader **ret);
	/* Read everything once. */
	struct goro_error *(*read)(struct reader *r, struct target *t, struct snapshot_builder *b);
	void (*close)(struct reader *r);
};

/* The common part; each reader embeds it. */
struct reader {
	const struct reader_ops *ops;
	char runtime[32];   /* "goro 0.1.0" */
	int64_t goroutines; /* when it was probed; -1: unknown */
	int workers;
	uint64_t runtime_pc; /* some address in the runtime's code */
};

/* Programs that run on libgoro: they publish the contract of goro_introspect.h. */
extern const struct reader_ops reader_goro;

#endif /* GORO_READER_H */
