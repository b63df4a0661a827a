/* SPDX-License-Identifier: MIT */
/*
 * frame.h - one tick's data with every name that a screen may need already looked up.
 *
 * Looking up a name can wait for the library's lock, which a slow read of the target may hold.
 * The reader thread therefore attaches all names to the snapshot before it hands it over, and the
 * screen thread never calls the library with a scope. Frames are plain, immutable data to the
 * screen; only the reader thread makes and frees them, so their parts need no atomic counts.
 */
#ifndef GOTOP_FRAME_H
#define GOTOP_FRAME_H

#include "profiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const int activity_roles[GORO_NACTIVITIES]; /* enum role */

struct frame {
	struct goro_snapshot *snap;
	struct goro_verdicts *verdicts; /* NULL: could not be judged */
	char *judge_error;
	bool proved; /* this one was asked for to prove leaks */
	struct goro_names *names;
	size_t n; /* goroutines */
	uint32_t counts[GORO_NACTIVITIES];
	uint64_t stack_resident, stack_reserved;
	uint64_t heap;	   /* bytes held, by whomever; if snap->heap */
	uint64_t switches; /* of all processors, since the start */
	int64_t tick_ns;   /* all that this frame cost */
	double own_cpu;	   /* of one core, of gotop, since the frame before */
};

/* ---- for the reader thread ---- */

struct namer;
struct namer *namer_new(struct goro_scope *scope);
void namer_free(struct namer *n); /* all frames must have been freed */

struct goro_error *frame_take(struct namer *n, const struct goro_verdict_options *opt,
			      struct frame **ret);
void frame_free(struct namer *n, struct frame *f);

#endif /* GOTOP_FRAME_H */
