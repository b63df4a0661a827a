/* SPDX-License-Identifier: MIT */
/*
 * target_absent.h - memory of a target that is not where its addresses say: cold stacks of a goro
 * program (see goro_introspect.h).
 *
 * The kinds of target use it where they read, so that nobody above has to know. Whoever finds out
 * that there are such pages, which is contract.c, tells the target.
 */
#ifndef GORO_TARGET_ABSENT_H
#define GORO_TARGET_ABSENT_H

#include <goro_introspect.h>
#include "target.h"

/* Takes v over; n 0: nothing is absent. */
void target_absent_set(struct target *t, struct goro_cold_arena *v, size_t n);
void target_absent_free(struct target *t);

/* How a kind of target reads what is where it should be. */
struct target_absent_ops {
	/* As target_ops.read, for what lies in no arena, or in one that reads as zeros. */
	struct goro_error *(*read)(struct target *t, struct target_read *v, size_t n);
	/* A piece of one page in an arena; false: it is not there. NULL: read() finds zeros. */
	bool (*there)(struct target *t, uint64_t address, void *to, size_t len);
};

struct goro_error *target_absent_read(struct target *t, const struct target_absent_ops *ops,
				      struct target_read *v, size_t n);

/* Does any of it lie where pages may be absent? */
bool target_absent_touches(const struct target *t, uint64_t lo, uint64_t hi);

/* Add to own[], a byte for each page of [lo, hi), the pages that are kept elsewhere. */
void target_absent_own(struct target *t, const struct target_absent_ops *ops, uint64_t lo,
		       uint64_t hi, uint8_t *own);

#endif /* GORO_TARGET_ABSENT_H */
