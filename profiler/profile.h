/* SPDX-License-Identifier: MIT */
/*
 * profile.h - what was sampled, put together: stacks, and how much each of them weighs.
 *
 * A sampler (sampler.h) adds to a profile; a format (report_pprof.c and its neighbours) writes it.
 * Neither knows the other. Equal stacks are one, equal samples are one, so a profile grows with
 * what a program does, not with the time.
 *
 * Program counters get their names once, at the end: profile_resolve(). Until then nothing is
 * looked up, so that a sampler is never late because of it.
 */
#ifndef GORO_PROFILE_H
#define GORO_PROFILE_H

#include "profiler.h"

#define PROFILE_VALUES 4

enum profile_kind {
	PROFILE_CPU,	   /* processor time of threads, by the goroutine that they ran */
	PROFILE_WALL,	   /* the time of all goroutines, whatever they did */
	PROFILE_OFFCPU,	   /* the time in which goroutines waited, or waited for a worker */
	PROFILE_SPAWN,	   /* go statements */
	PROFILE_STACK,	   /* bytes of stacks */
	PROFILE_GOROUTINE, /* goroutines */
	PROFILE_HEAP,	   /* what they allocated, and hold */
	PROFILE_LEAK,	   /* goroutines whose verdict is LEAKED, of a snapshot that was judged */
	PROFILE_KINDS
};

/* What the numbers of a sample mean, in pprof's words. */
struct profile_type {
	const char *type; /* "cpu" */
	const char *unit; /* "nanoseconds", "bytes", "count" */
};

struct profile_kind_info {
	const char *name;  /* "cpu" */
	const char *title; /* for people */
	struct profile_type types[PROFILE_VALUES];
	unsigned ntypes;
	unsigned shown;	   /* the one that formats show which have room for one */
	bool state_leaf;   /* such formats put the state on top of the stack: "[chan receive]" */
	bool with_runtime; /* the runtime's own frames are part of the answer */
};

extern const struct profile_kind_info profile_kinds[PROFILE_KINDS];

/* A program counter, or a word in its place: "[kernel]". */
struct profile_location {
	uint64_t pc;	  /* as a return address: one more than where it was; 0: a word */
	const char *word; /* NULL: see the frames */
	/* By profile_resolve(), inlined ones first; frames leaves out the runtime's if they are to
	 * be hidden. */
	const struct goro_frame *all, *frames;
	size_t nall, nframes;
	int mapping; /* index, or -1 */
};

struct profile_stack {
	uint32_t first, n; /* profile->places[first .. +n): indices of locations, leaf first */
	bool bare;	   /* nothing but the runtime: shown for all that */
};

/* What is known of whose sample it is. Equal keys are one sample. */
struct profile_key {
	uint32_t stack;
	uint32_t tid;	    /* 0: does not matter */
	uint64_t goroutine; /* 0: does not matter, or none */
	uint64_t spawn_pc;  /* 0: main, or not known */
	const char *state;  /* profile_word(), or NULL */
	const char *labels; /* profile_word(): lines of key=value, or NULL */
};

struct profile_sample {
	struct profile_key key;
	uint64_t values[PROFILE_VALUES];
};

/* A goroutine that was found on one worker at several samples in a row. */
struct profile_run {
	uint32_t tid;
	uint32_t stack;	    /* of the last sample */
	uint64_t goroutine; /* 0: none */
	int64_t begin, end; /* CLOCK_MONOTONIC ns */
	uint32_t samples;
	const char *state;
};

struct profile_mapping {
	uint64_t lo, hi, offset;
	const char *path;
	char build_id[41]; /* hex, or "" */
};

struct profile {
	enum profile_kind kind;
	unsigned hz;
	int64_t begin, end; /* CLOCK_MONOTONIC ns */
	int64_t wall_begin; /* CLOCK_REALTIME ns */
	int64_t covered;    /* ns that the samples stand for: up to the last look */
	int pid;
	char *program;
	const char *how;    /* cpu: "perf events" or "ptrace" */
	char *note;	    /* what could not be read, one line; or NULL */
	uint64_t taken;	    /* samples, or looks at all goroutines */
	uint64_t missed;    /* that were due and did not come, or came too late */
	uint64_t truncated; /* samples whose stack does not reach its end */
	bool ended;	    /* the target ended before the profile did */

	struct profile_location *locations;
	size_t nlocations;
	struct profile_stack *stacks;
	size_t nstacks;
	uint32_t *places;
	size_t nplaces;
	struct profile_sample *samples;
	size_t nsamples;
	struct profile_run *runs; /* by rising end */
	size_t nruns;
	struct profile_mapping *mappings;
	size_t nmappings;

	struct profile_index *index; /* private */
	bool no_memory;		     /* something could not be added */
};

/* NULL: out of memory. */
struct profile *profile_new(enum profile_kind kind, unsigned hz);
void profile_free(struct profile *p);

/* A copy of a word that lives as long as the profile; equal words are one. NULL for NULL. */
const char *profile_word(struct profile *p, const char *word);

/*
 * A stack, leaf first; pcs are return addresses. top, bottom: words above the leaf and below the
 * root, or NULL.
 */
uint32_t profile_stack(struct profile *p, const uint64_t *pcs, size_t n, const char *top,
		       const char *bottom);

/* Add to the sample with this key. */
void profile_add(struct profile *p, const struct profile_key *key,
		 const uint64_t values[PROFILE_VALUES]);

/* A run continues the last one of its thread when it is the same
 * goroutine's and follows closely. */
void profile_add_run(struct profile *p, const struct profile_run *run, int64_t close_ns);

/* Give all locations their names. The names are the scope's. False: out of memory. */
bool profile_resolve(struct profile *p, struct goro_scope *scope);

/*
 * Call fn for each line of a stack, leaf first: what a reader shall see, so without hidden frames.
 * Exactly one of frame and word is set.
 */
typedef void profile_line_fn(const struct goro_frame *frame, const char *word, void *arg);
void profile_lines(const struct profile *p, const struct profile_sample *s, profile_line_fn *fn,
		   void *arg);

/* The frames of a location that are shown in a stack. */
const struct goro_frame *profile_shown(const struct profile_stack *stack,
				       const struct profile_location *l, size_t *n);

/* The sum over all samples. */
uint64_t profile_total(const struct profile *p, unsigned value);

#endif /* GORO_PROFILE_H */
