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
#include "facts.h"
#include "snapshot.h"
#include "target.h"

struct reader;

#define READER_LABELS 512 /* bytes for the labels of a goroutine, and a NUL */

/* Whose stack a thread was caught on. */
struct stack_owner {
	uint64_t id;	 /* 0: no goroutine's: a worker's own, or one that is not the runtime's */
	uint64_t record; /* of the goroutine; reused when it ends */
	uint64_t spawn_pc;
};

/* A goroutine that lives or lived in a record. */
struct reader_birth {
	uint64_t record, id, parent, spawn_pc, entry;
};

typedef bool reader_birth_fn(const struct reader_birth *b, void *arg); /* false: enough */

struct reader_ops {
	/* NULL and *ret set: this is its runtime. NULL and *ret NULL: it is not. */
	struct goro_error *(*probe)(struct target *t, struct modules *ms, struct reader **ret);
	/* Read everything once. */
	struct goro_error *(*read)(struct reader *r, struct target *t, struct snapshot_builder *b);
	/* How its switch leaves a stack. */
	const struct unwind_layout *(*layout)(const struct reader *r);
	/* Whose is this stack of a thread, as far as it was unwound?
	 * False: that cannot be known. */
	bool (*owner)(const struct reader *r, const struct unwind_stack *s,
		      const struct unwind_result *u, uint32_t tid, struct stack_owner *ret);
	/* Look which threads that the program made are goroutines now; owner() knows by that. */
	struct goro_error *(*threads)(struct reader *r, struct target *t);
	/* The thread that a worker is, by the worker's number; 0: none that can be read. */
	uint32_t (*thread_of)(struct reader *r, struct target *t, uint32_t worker);
	/* Name and labels of a goroutine, as lines of key=value; "" if it has none or has ended. */
	void (*labels)(struct reader *r, struct target *t, uint64_t record, uint64_t id,
		       char ret[READER_LABELS]);
	/* The last goroutine of each record, ended ones too; *count: go statements so far. */
	struct goro_error *(*births)(struct reader *r, struct target *t, reader_birth_fn *fn,
				     void *arg, uint64_t *count);
	/*
	 * What a proof must know of this runtime's memory, after read() of the same view. NULL:
	 * nothing can be proved by reachability there. Free with facts_free().
	 */
	struct goro_error *(*facts)(struct reader *r, struct target *t,
				    const struct goro_snapshot *snap, struct facts *ret);
	void (*close)(struct reader *r);
};

/* The common part; each reader embeds it. */
struct reader {
	const struct reader_ops *ops;
	char runtime[32];   /* "goro 0.1.0" */
	int64_t goroutines; /* when it was probed; -1: unknown */
	int workers;
	uint64_t runtime_pc;			    /* some address in the runtime's code */
	const struct goro_text_range *runtime_text; /* all of it, as far as the program says */
	size_t nruntime_text;
};

/* Programs that run on libgoro: they publish the contract of goro_introspect.h. */
extern const struct reader_ops reader_goro;

#endif /* GORO_READER_H */
