/* SPDX-License-Identifier: MIT */
/*
 * sampler.h - taking a profile of a target.
 *
 * The distances between two looks are drawn from an exponential distribution: a look then comes at
 * a time that has nothing to do with the program's own rhythm, and "how often was it seen doing X"
 * is "how much of its time did it do X" (PASTA: Poisson arrivals see time averages). A fixed rate
 * can run in step with a ticker of the program and always see the same.
 */
#ifndef GORO_SAMPLER_H
#define GORO_SAMPLER_H

#include <signal.h>
#include "profile.h"

/* How running threads are caught. */
enum sampler_way { SAMPLER_AUTO, SAMPLER_PERF, SAMPLER_PTRACE };

struct sampler_options {
	enum profile_kind kind;
	enum sampler_way way;
	unsigned hz;			   /* looks a second, on average */
	uint64_t duration_ns;		   /* 0: until *stop */
	const volatile sig_atomic_t *stop; /* not 0: end now, with what there is; or NULL */
	bool (*stopped)(void *arg);	   /* the same, to be asked; or NULL */
	void *stopped_arg;
	/* Called a few times a second. */
	void (*progress)(const struct profile *p, uint64_t elapsed_ns, void *arg);
	void *progress_arg;
};

/*
 * Take a profile. A target that ends meanwhile is no error if anything was seen of it: ret->ended
 * tells. The names are not looked up yet.
 */
struct goro_error *goro_scope_profile(struct goro_scope *scope, const struct sampler_options *o,
				      struct profile **ret);

/* What is to be had from one snapshot: PROFILE_GOROUTINE, PROFILE_STACK, PROFILE_HEAP. */
struct goro_error *goro_scope_profile_snapshot(struct goro_scope *scope,
					       const struct goro_snapshot *snap,
					       enum profile_kind kind, struct profile **ret);

/* ---- between the files sampler*.c ------------------------------------------------------------ */

struct sampler {
	struct goro_scope *scope;
	struct profile *profile;
	const struct sampler_options *o;
	int64_t start, end; /* CLOCK_MONOTONIC ns; end: INT64_MAX without a limit */
	int64_t told;	    /* when progress was called */
	uint64_t random;
	struct labels *labels;
};

int64_t sampler_now(void);

/* ns to the next look: exponential, with a mean of 1/hz. For target_sample.h too. */
uint64_t sampler_next(void *sampler);

/* Shall it go on? Calls progress. */
bool sampler_goes_on(struct sampler *s);

/*
 * Wait for the next look, which is due at *due, and draw the one after it; those that are late by
 * then are missed. False: no more.
 */
bool sampler_wait(struct sampler *s, int64_t *due);

/* Name and labels of a goroutine as lines, a word of the profile; NULL: none. Looked up once a
 * second at most. */
const char *sampler_labels(struct sampler *s, uint64_t record, uint64_t id);
const char *sampler_snapshot_labels(struct sampler *s, const struct goro_snapshot *snap,
				    const struct goro_info *g);

/* The stack of a goroutine in a snapshot; of one without, the function that it was started with. */
uint32_t sampler_stack(struct profile *p, const struct goro_snapshot *snap,
		       const struct goro_info *g);

struct goro_error *sampler_cpu(struct sampler *s);
struct goro_error *sampler_wall(struct sampler *s); /* and PROFILE_OFFCPU */
struct goro_error *sampler_spawn(struct sampler *s);
/* Of one snapshot. */
struct goro_error *sampler_heap(struct sampler *s, const struct goro_snapshot *snap);

#endif /* GORO_SAMPLER_H */
