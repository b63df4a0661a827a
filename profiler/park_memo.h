/* SPDX-License-Identifier: MIT */
/*
 * park_memo.h - what the last snapshot saw of the goroutines that were parked.
 *
 * A goroutine whose record is the same as then, park_seq included, has not run since: its frames
 * and what it waits for are the same, and nothing of its stack needs to be read again. In a
 * program where most goroutines wait, this is most of the work. It is not kept of the first look,
 * which for most commands is the only one.
 *
 * How much of its stack is in RAM can change even so: the runtime gives back what it used deep
 * down, the kernel swaps. That is asked anew of a part of them at each look, of each at every
 * PARK_MEMO_LOOKS-th.
 */
#ifndef GORO_PARK_MEMO_H
#define GORO_PARK_MEMO_H

#include "snapshot.h"

#define PARK_MEMO_LOOKS 16

struct parked {
	uint64_t record, id, sp;
	uint64_t wait_object;
	uint32_t park_seq;
	uint32_t stack; /* in the memo */
	uint32_t waits_first, nwaits;
	uint64_t stack_resident;
	uint8_t reason;
};

struct park_memo {
	struct parked *v; /* by rising record */
	size_t n, cursor;
	struct goro_stack *stacks;
	uint64_t *pcs;
	struct goro_wait *waits;
	struct goro_object *objects; /* by rising address; only channels */
	size_t nobjects;
	bool *steady; /* of each: somebody waited for it the whole time */
	uint64_t last_steady;
	unsigned looks;
	uint32_t *now; /* each stack's id in the snapshot that is being built, or GORO_NO_STACK */
	size_t nstacks;
};

/* Begin a snapshot: the look-ups start over. */
void park_memo_rewind(struct park_memo *m);

/* g as it was parked then and still is, or NULL. Ask by rising record. */
const struct parked *park_memo_find(struct park_memo *m, const struct goro_info *g);

/* Give goroutine g of the new snapshot what p had. */
void park_memo_reuse(struct park_memo *m, const struct parked *p, struct snapshot_builder *b,
		     uint32_t g);

/*
 * A channel that somebody was parked at the whole time did not change in any way but by the number
 * of them: it is open, and as empty or as full as it was. Those of snap are filled in.
 */
void park_memo_objects(struct park_memo *m, struct goro_snapshot *snap);

/* Remember a snapshot whose goroutines are still in the order of their records. */
void park_memo_save(struct park_memo *m, const struct goro_snapshot *snap);
void park_memo_free(struct park_memo *m);

#endif /* GORO_PARK_MEMO_H */
