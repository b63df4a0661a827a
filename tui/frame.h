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

/* What goroutines do, for the header's counts and the bars. */
enum activity {
	ACT_RUN,
	ACT_READY,
	ACT_CHAN,
	ACT_SELECT,
	ACT_LOCK,
	ACT_COND,
	ACT_WAITGROUP,
	ACT_SEMA,
	ACT_IO,
	ACT_SLEEP,
	ACT_SYSCALL,
	ACT_NEW,
	ACT_DEAD,
	ACT_OTHER,
	NACTIVITIES
};

struct activity_info {
	char letter;
	const char *name; /* at most 6 characters */
	int role;	  /* enum role */
};
extern const struct activity_info activities[NACTIVITIES];

enum activity activity_of(char letter);

/* A stack's lines. Shared by all frames that hold an equal stack. */
struct stack_names {
	uint64_t hash;		   /* of its pcs: the same stack in the next frame has the same */
	struct goro_frame *frames; /* leaf first */
	size_t n, user;		   /* user: first that is not the runtime's */
	unsigned refs;
	struct stack_names *next;
};

struct spawn_name {
	uint64_t pc; /* 0: main */
	bool known;
	struct goro_frame at;
	const char *entry; /* function that was started there, or NULL */
};

/* Where a channel was made. */
struct maker_name {
	uint64_t pc;
	struct goro_frame at;
};

struct frame {
	struct goro_snapshot *snap;
	struct goro_verdicts *verdicts; /* NULL: could not be judged */
	char *judge_error;
	bool proved;		     /* this one was asked for to prove leaks */
	struct stack_names **stacks; /* by stack id */
	struct spawn_name *spawns;   /* by rising pc */
	size_t nspawns;
	struct maker_name *makers; /* of the channels waited for, by rising pc */
	size_t nmakers;
	uint32_t counts[NACTIVITIES];
	uint64_t stack_resident, stack_reserved;
	uint64_t heap;	   /* bytes held, by whomever; if snap->heap */
	uint64_t switches; /* of all processors, since the start */
	int64_t tick_ns;   /* all that this frame cost */
	double own_cpu;	   /* of one core, of gotop, since the frame before */
};

const struct stack_names *frame_stack(const struct frame *f, const struct goro_info *g);
const struct spawn_name *frame_spawn(const struct frame *f, const struct goro_info *g);

/* The line a goroutine is at in the user's code, or NULL. */
const struct goro_frame *frame_where(const struct frame *f, const struct goro_info *g);

/* Where an object was made, or NULL. */
const struct goro_frame *frame_maker(const struct frame *f, const struct goro_object *o);

/* "cache.c:240 put", "?" when unknown. */
void place_text(const struct goro_frame *at, char *buf, size_t size);
void spawn_text(const struct spawn_name *s, char *buf, size_t size);

/* ---- for the reader thread ---- */

struct namer;
struct namer *namer_new(struct goro_scope *scope);
void namer_free(struct namer *n); /* all frames must have been freed */

struct goro_error *frame_take(struct namer *n, const struct goro_verdict_options *opt,
			      struct frame **ret);
void frame_free(struct namer *n, struct frame *f);

#endif /* GOTOP_FRAME_H */
