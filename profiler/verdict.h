/* SPDX-License-Identifier: MIT */
/*
 * verdict.h - the parts of goro_scope_judge(): private to the library.
 */
#ifndef GORO_VERDICT_H
#define GORO_VERDICT_H

#include "profiler.h"
#include "waitgraph.h"

/*
 * What a scope remembers of the snapshots that it judged: how many goroutines of each spawn site
 * waited, and which. A scope starts with NULL and frees it with growth_free().
 */
struct goro_growth;

void growth_free(struct goro_growth *growth);

/* Looks at which a site must have grown, one after the other, before it is called LIKELY. */
#define GROWTH_LOOKS 5

/* How a spawn site has grown. */
struct growth_site {
	uint64_t spawn_pc;    /* see goro_snapshot_site() */
	uint64_t count;	      /* goroutines of it that wait now */
	uint32_t streak;      /* looks in a row at which there were more and none had been woken */
	uint64_t first_count; /* before the streak */
	int64_t since;	      /* snapshot time then */
};

/* Take a snapshot into account. False: out of memory, and nothing is remembered. */
bool growth_look(struct goro_growth **growth, const struct goro_snapshot *snap);
const struct growth_site *growth_site(const struct goro_growth *growth, uint64_t spawn_pc);

/* Can age or growth make this goroutine suspicious? It waits for another one, and is not main. */
bool verdict_may_suspect(const struct goro_info *g);

/*
 * Set verdict and proof of every goroutine from the proofs in stuck[], from growth (may be NULL)
 * and from age.
 */
void verdict_set(struct goro_snapshot *snap, const struct stuck *stuck,
		 const struct goro_growth *growth, const struct goro_verdict_options *opt);

/* Group what has a verdict into findings, without evidence. NULL: out of memory. */
struct goro_verdicts *verdict_group(struct goro_snapshot *snap, const struct stuck *stuck);

/* Names for the evidence: a function that fills frames as goro_scope_frames() does. */
struct evidence_names {
	void *scope;
	struct goro_frame *(*frames)(void *scope, const struct goro_snapshot *snap,
				     uint32_t stack_id, size_t *n, size_t *user);
	bool (*spawn_site)(void *scope, const struct goro_info *g, struct goro_frame *ret);
	/* The line of a return address. */
	bool (*line)(void *scope, uint64_t pc, struct goro_frame *ret);
};

/* Why a finding is one, in lines that end in newlines. NULL: out of memory. */
char *evidence_text(const struct goro_snapshot *snap, const struct goro_finding *finding,
		    const struct stuck *stuck, const struct goro_growth *growth,
		    const struct goro_verdict_options *opt, const struct goro_reach *reach,
		    const struct evidence_names *names);

#endif /* GORO_VERDICT_H */
