/* SPDX-License-Identifier: MIT */
/*
 * verdict.c - the ladder of verdicts over one snapshot: proofs first, then suspicions.
 *
 * A proof stands on the wait-for graph of two snapshots (waitgraph.c says why two). Everything else
 * is a suspicion and is called one. Findings put together what is stuck at one place for one
 * reason, so that ten thousand leaked goroutines read as one line.
 */
#include <stdlib.h>
#include <string.h>

#include "goro_introspect.h"
#include "member.h"
#include "verdict.h"

bool verdict_may_suspect(const struct goro_info *g)
{
	return g->state == GORO_STATE_WAITING && g->wait_class != GORO_CLASS_NONE &&
	       g->wait_class != GORO_CLASS_EXTERNAL &&
	       !(g->flags & (GORO_FLAG_MAIN | GORO_FLAG_FOREIGN | GORO_FLAG_SYSTEM));
}

/*
 * A main() that ends in select {} lets the others work until the process is killed: it is meant, as
 * Go's profile of leaks has found, too (golang/go#78922). Who waits for it is LEAKED all the same.
 */
static bool is_parked_main(const struct goro_info *g)
{
	return g->flags & GORO_FLAG_MAIN && g->reason == GORO_REASON_SELECT_NONE;
}

/* How many of a crowd have the verdict of who stands for it. */
static void count_accused(struct goro_snapshot *snap)
{
	struct goro_walk w = { .snap = snap };
	const struct goro_info *g;

	for (size_t i = 0; i < snap->ncrowds; i++)
		snap->crowds[i].accused = 0;
	while (snap->ncrowds && (g = goro_snapshot_next(&w))) {
		const struct goro_info *like = member_like(snap, goro_walk_place(&w));

		if (like->crowd && g->verdict != GORO_VERDICT_OK)
			snap->crowds[like->crowd - 1].accused++;
	}
}

/* The age of one, or of the oldest of its crowd if each of that is known. */
static uint64_t age_of(const struct goro_snapshot *snap, const struct goro_info *g)
{
	return g->crowd && snap->nmembers ? snap->crowds[g->crowd - 1].oldest_wait_ns : g->wait_ns;
}

void verdict_set(struct goro_snapshot *snap, const struct stuck *stuck,
		 const struct goro_growth *growth, const struct goro_verdict_options *opt)
{
	snap->suspect_age_ns = opt->suspect_age_ns;
	for (size_t i = 0; i < snap->ng; i++) {
		struct goro_info *g = &snap->g[i];
		const struct growth_site *site =
			growth_site(growth, goro_snapshot_site(snap, g->spawn_pc));

		g->verdict = GORO_VERDICT_OK;
		g->proof = GORO_PROOF_NONE;
		g->finding = UINT32_MAX;
		if (g->flags & GORO_FLAG_SYSTEM || is_parked_main(g))
			continue;
		if (stuck[i].proof != GORO_PROOF_NONE) {
			g->verdict = GORO_VERDICT_LEAKED;
			g->proof = stuck[i].proof;
		} else if (!verdict_may_suspect(g)) {
			continue;
		} else if (site && site->streak >= GROWTH_LOOKS) {
			g->verdict = GORO_VERDICT_LIKELY;
			g->proof = GORO_PROOF_GROWTH;
		} else if (opt->suspect_age_ns && age_of(snap, g) > opt->suspect_age_ns) {
			g->verdict = GORO_VERDICT_SUSPECT;
			g->proof = GORO_PROOF_AGE;
		}
	}
	count_accused(snap);
}

/* What two goroutines of one finding have in common. */
struct key {
	uint32_t index; /* in snap->g */
	uint32_t verdict, proof, detail;
	uint64_t place; /* spawn site; of a cycle: its shape */
	uint64_t stack;
	uint32_t cycle;
};

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int by_cycle(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	int d = compare(x->cycle, y->cycle);

	d = d ? d : compare(x->place, y->place);
	return d ? d : compare(x->stack, y->stack);
}

static int by_key(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	int d = compare(y->verdict, x->verdict);

	d = d ? d : compare(x->proof, y->proof);
	d = d ? d : compare(x->detail, y->detail);
	d = d ? d : compare(x->place, y->place);
	d = d ? d : compare(x->stack, y->stack);
	return d ? d : compare(x->index, y->index);
}

static bool same_finding(const struct key *x, const struct key *y)
{
	return x->verdict == y->verdict && x->proof == y->proof && x->detail == y->detail &&
	       x->place == y->place && x->stack == y->stack;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15) ^ (hash >> 29);
}

/* Cycles of the same goroutine functions at the same lines are one finding: give them one place. */
static void name_cycles(struct key *keys, size_t n)
{
	size_t end;

	qsort(keys, n, sizeof *keys, by_cycle);
	for (size_t i = 0; i < n; i = end) {
		uint64_t shape = 1;

		for (end = i; end < n && keys[end].cycle == keys[i].cycle; end++)
			shape = mix(mix(shape, keys[end].place), keys[end].stack);
		for (; i < end; i++) {
			keys[i].place = shape;
			keys[i].stack = 0;
		}
	}
}

/* The keys of all goroutines with a verdict, those of cycles first. */
static size_t make_keys(const struct goro_snapshot *snap, const struct stuck *stuck,
			struct key *keys)
{
	size_t n = 0, ncycle;

	for (int cycles = 1; cycles >= 0; cycles--) {
		for (size_t i = 0; i < snap->ng; i++) {
			const struct goro_info *g = &snap->g[i];

			if (g->verdict == GORO_VERDICT_OK ||
			    (g->proof == GORO_PROOF_CYCLE) != (cycles == 1))
				continue;
			keys[n++] = (struct key){
				.index = (uint32_t)i,
				.verdict = g->verdict,
				.proof = g->proof,
				.detail = stuck[i].self_lock | (stuck[i].dead_owner != 0) << 1 |
					  (stuck[i].dead_readers != 0) << 2,
				.place = goro_snapshot_site(snap, g->spawn_pc),
				.stack = g->stack_id,
				.cycle = stuck[i].cycle,
			};
		}
		if (cycles)
			ncycle = n;
	}
	name_cycles(keys, ncycle);
	qsort(keys, n, sizeof *keys, by_key);
	return n;
}

static int by_weight(const void *a, const void *b)
{
	const struct goro_finding *x = a, *y = b;
	int d = compare(y->verdict, x->verdict);

	d = d ? d : compare(y->n, x->n);
	return d ? d : compare(x->members[0], y->members[0]);
}

static bool add_finding(struct goro_snapshot *snap, struct goro_verdicts *v, const struct key *keys,
			size_t n)
{
	const struct goro_info *g = &snap->g[keys[0].index];
	struct goro_finding *f = &v->findings[v->n];

	*f = (struct goro_finding){
		.verdict = g->verdict,
		.proof = g->proof,
		.site = goro_snapshot_site(snap, g->spawn_pc),
		.stack_id = g->stack_id,
		.members = calloc(n, sizeof *f->members),
		.nmembers = n,
	};
	if (!f->members)
		return false;
	v->n++;
	for (size_t i = 0; i < n; i++) {
		const struct goro_info *m = &snap->g[keys[i].index];

		f->members[i] = keys[i].index;
		f->n += m->crowd ? snap->crowds[m->crowd - 1].accused : 1;
	}
	v->leaked += f->verdict == GORO_VERDICT_LEAKED ? f->n : 0;
	v->likely += f->verdict == GORO_VERDICT_LIKELY ? f->n : 0;
	v->suspect += f->verdict == GORO_VERDICT_SUSPECT ? f->n : 0;
	return true;
}

struct goro_verdicts *verdict_group(struct goro_snapshot *snap, const struct stuck *stuck)
{
	struct key *keys = calloc(snap->ng + 1, sizeof *keys);
	struct goro_verdicts *v = calloc(1, sizeof *v);
	size_t n, end;

	if (!keys || !v)
		goto fail;
	n = make_keys(snap, stuck, keys);
	v->findings = calloc(n + 1, sizeof *v->findings);
	if (!v->findings)
		goto fail;
	for (size_t i = 0; i < n; i = end) {
		for (end = i; end < n && same_finding(&keys[i], &keys[end]); end++)
			;
		if (!add_finding(snap, v, &keys[i], end - i))
			goto fail;
	}
	qsort(v->findings, v->n, sizeof *v->findings, by_weight);
	for (size_t f = 0; f < v->n; f++) {
		for (size_t i = 0; i < v->findings[f].nmembers; i++)
			snap->g[v->findings[f].members[i]].finding = (uint32_t)f;
	}
	free(keys);
	return v;
fail:
	free(keys);
	goro_verdicts_free(v);
	return NULL;
}

void goro_verdicts_free(struct goro_verdicts *v)
{
	if (!v)
		return;
	for (size_t i = 0; i < v->n; i++) {
		free(v->findings[i].members);
		free(v->findings[i].evidence);
	}
	free(v->findings);
	free(v->reach.retains);
	free(v->reach.chain);
	free(v);
}
