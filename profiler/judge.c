/* SPDX-License-Identifier: MIT */
/*
 * judge.c - goro_scope_judge(): a snapshot, a second look where it matters, the verdicts.
 */
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "proof.h"
#include "proved.h"
#include "scope.h"
#include "spawns.h"
#include "verdict.h"

static struct goro_frame *names_frames(void *scope, const struct goro_snapshot *snap,
				       uint32_t stack_id, size_t *n, size_t *user)
{
	return goro_scope_frames(scope, snap, stack_id, n, user);
}

static bool names_spawn_site(void *scope, const struct goro_info *g, struct goro_frame *ret)
{
	return goro_scope_spawn_site(scope, g, ret);
}

static bool names_line(void *scope, uint64_t pc, struct goro_frame *ret)
{
	size_t n, i = 0;
	const struct goro_frame *frames = goro_scope_symbolize(scope, pc, true, &n);

	while (i + 1 < n && frames[i].runtime)
		i++;
	if (n)
		*ret = frames[i];
	return n != 0;
}

static void growth_free_memory(void *memory)
{
	growth_free(memory);
}

/*
 * While a snapshot is judged, the memory of the earlier ones belongs to whoever judges it: should
 * two threads do so at once, one of them starts with none.
 */
static struct goro_growth *take_memory(struct goro_scope *scope)
{
	struct goro_growth *growth;

	pthread_mutex_lock(&scope->lock);
	growth = scope->memory;
	scope->memory = NULL;
	pthread_mutex_unlock(&scope->lock);
	return growth;
}

static void give_memory_back(struct goro_scope *scope, struct goro_growth *growth)
{
	struct goro_growth *other;

	pthread_mutex_lock(&scope->lock);
	other = scope->memory;
	scope->memory = growth;
	scope->memory_free = growth_free_memory;
	pthread_mutex_unlock(&scope->lock);
	growth_free(other);
}

/* What is one go statement: likewise. */
static void find_sites(struct goro_scope *scope, struct goro_snapshot *snap)
{
	struct spawns *spawns, *other;

	pthread_mutex_lock(&scope->lock);
	spawns = scope->spawns;
	scope->spawns = NULL;
	pthread_mutex_unlock(&scope->lock);
	spawns_find(&spawns, scope, snap);
	pthread_mutex_lock(&scope->lock);
	other = scope->spawns;
	scope->spawns = spawns;
	pthread_mutex_unlock(&scope->lock);
	spawns_free(other);
}

/*
 * What looks stuck in one snapshot must be so in a second one. A target that cannot be read any
 * more has no verdict: nothing is proved then.
 */
static struct goro_error *prove(struct goro_scope *scope, const struct goro_snapshot *snap,
				struct stuck *stuck)
{
	struct goro_snapshot *again = NULL, *last = NULL;
	struct goro_error *err = NULL;
	long n = waitgraph_prove(snap, snap, stuck);

	if (n > 0)
		err = scope_look_again(scope, snap, 1, &again);
	if (!err && n > 0 && !again) { /* a recording of one tick: nothing is proved */
		memset(stuck, 0, snap->ng * sizeof *stuck);
		return NULL;
	}
	if (!err && n > 0 && waitgraph_wants_third(snap, stuck))
		err = scope_look_again(scope, snap, 2, &last);
	if (!err && n > 0)
		n = waitgraph_prove_thrice(snap, again, last, stuck);
	goro_snapshot_free(again);
	goro_snapshot_free(last);
	return err ? err : n < 0 ? &goro_enomem : NULL;
}

/* By reachability: now if that is asked for, else what is known from the last time. */
static struct goro_error *prove_reach(struct goro_scope *scope, const struct goro_snapshot *snap,
				      const struct goro_verdict_options *opt, struct stuck *stuck,
				      struct goro_reach *reach)
{
	bool ask = opt->reach || opt->why, ok = true;
	struct goro_error *err = ask ? proof_reach(scope, snap, opt, stuck, reach) : NULL;

	if (err)
		return err;
	pthread_mutex_lock(&scope->lock);
	if (!ask)
		ok = proved_recall(scope->proved, snap, stuck, reach);
	else if (reach->tried && !reach->unknown[0])
		scope->proved = proved_keep(scope->proved, snap, stuck, reach);
	pthread_mutex_unlock(&scope->lock);
	return ok ? NULL : &goro_enomem;
}

static bool add_evidence(struct goro_scope *scope, const struct goro_snapshot *snap,
			 const struct stuck *stuck, const struct goro_growth *growth,
			 const struct goro_verdict_options *opt, struct goro_verdicts *v)
{
	const struct evidence_names names = { scope, names_frames, names_spawn_site, names_line };

	for (size_t i = 0; i < v->n; i++) {
		v->findings[i].evidence =
			evidence_text(snap, &v->findings[i], stuck, growth, opt, &v->reach, &names);
		if (!v->findings[i].evidence)
			return false;
	}
	return true;
}

/* What would be free without the goroutines of each finding. */
static void weigh(const struct goro_snapshot *snap, struct goro_verdicts *v)
{
	for (size_t i = 0; i < v->n; i++) {
		struct goro_finding *f = &v->findings[i];

		for (size_t k = 0; f->verdict == GORO_VERDICT_LEAKED && k < f->nmembers; k++) {
			f->stack_bytes += snap->g[f->members[k]].stack_resident;
			f->heap_bytes += v->reach.retains ? v->reach.retains[f->members[k]] : 0;
		}
	}
}

struct goro_error *goro_scope_judge(struct goro_scope *scope, struct goro_snapshot *snap,
				    const struct goro_verdict_options *opt,
				    struct goro_verdicts **ret)
{
	static const struct goro_verdict_options none;
	struct stuck *stuck = calloc(snap->ng + 1, sizeof *stuck);
	struct goro_verdicts *v = NULL;
	struct goro_reach reach = { 0 };
	struct goro_growth *growth;
	struct goro_error *err;

	*ret = NULL;
	opt = opt ? opt : &none;
	if (!stuck)
		return &goro_enomem;
	err = prove(scope, snap, stuck);
	if (!err)
		err = prove_reach(scope, snap, opt, stuck, &reach);
	find_sites(scope, snap);
	growth = take_memory(scope);
	if (!err && !growth_look(&growth, snap))
		err = &goro_enomem;
	if (!err) {
		verdict_set(snap, stuck, growth, opt);
		v = verdict_group(snap, stuck);
		if (v) {
			v->reach = reach;
			reach = (struct goro_reach){ 0 };
			weigh(snap, v);
		}
		if (!v || !add_evidence(scope, snap, stuck, growth, opt, v)) {
			goro_verdicts_free(v);
			v = NULL;
			err = &goro_enomem;
		}
	}
	give_memory_back(scope, growth);
	proof_reach_free(&reach);
	free(stuck);
	*ret = v;
	return err;
}

void goro_scope_foresee(struct goro_scope *scope, const struct goro_verdict_options *opt)
{
	if (opt->reach && !opt->why)
		proof_begin(scope);
}
