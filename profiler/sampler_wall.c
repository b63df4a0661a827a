/* SPDX-License-Identifier: MIT */
/*
 * sampler_wall.c - looks at all goroutines: where their time goes, and what they wait for.
 *
 * Each look stands for the time since the one before: what a goroutine does when it is seen gets
 * that time. That counts goroutines and not threads, so a goroutine that waits on no thread at all
 * is seen like any other.
 *
 * How often it waited is known exactly: the runtime counts the parks of each goroutine. They are
 * put down to where it was seen waiting, which is exact for a goroutine that waits at one place.
 *
 * Rejected for waits: cutting the time at the begin of the wait that is seen (its park time is
 * known). Short waits would lose about half of their time, for what happened since the last look
 * and before this wait was most likely more of the same.
 */
#include "sampler.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "scope.h"
#include "goro_introspect.h"

/* What the last look saw of a goroutine. */
struct seen {
	uint64_t id; /* 0: free */
	uint32_t park_seq;
	uint32_t look;
};

struct wall {
	struct sampler *s;
	struct seen *seen; /* open-addressed by id */
	size_t size, n;
	uint32_t look;
	int64_t last; /* when it was */
};

/* ---- counting parks -------------------------------------------------------------------------- */

static struct seen *find(struct wall *w, uint64_t id)
{
	size_t at = id * 0x9e3779b97f4a7c15ull >> 20 & (w->size - 1);

	while (w->seen[at].id && w->seen[at].id != id)
		at = (at + 1) & (w->size - 1);
	return &w->seen[at];
}

/* Make room for n; those that the last look did not see have ended. */
static bool make_room(struct wall *w, size_t n)
{
	struct seen *old = w->seen;
	size_t old_size = w->size, size = 1024;

	if ((w->n + n) * 2 < w->size)
		return true;
	while (size < n * 4)
		size *= 2;
	w->seen = calloc(size, sizeof *w->seen);
	if (!w->seen) {
		w->seen = old;
		w->s->profile->no_memory = true;
		return false;
	}
	w->size = size;
	w->n = 0;
	for (size_t i = 0; i < old_size; i++) {
		if (old[i].id && old[i].look + 1 >= w->look) {
			*find(w, old[i].id) = old[i];
			w->n++;
		}
	}
	free(old);
	return true;
}

/* The waits that began since the last look. */
static uint64_t count_parks(struct wall *w, const struct goro_info *g)
{
	struct seen *seen = find(w, g->id);
	uint64_t parks = 0;

	if (seen->id) {
		parks = (uint32_t)(g->park_seq - seen->park_seq);
	} else {
		w->n++;
		/* One that was there before the first look has waited before, too. */
		parks = w->look > 1 ? g->park_seq : 0;
	}
	*seen = (struct seen){ g->id, g->park_seq, w->look };
	return parks;
}

/* ---- one look -------------------------------------------------------------------------------- */

/* Stacks of a snapshot as stacks of the profile: each is looked up once a look. */
struct stack_map {
	uint32_t *v; /* + 1 */
};

static uint32_t map_stack(struct wall *w, struct stack_map *map, const struct goro_snapshot *snap,
			  const struct goro_info *g)
{
	if (g->stack_id >= snap->nstacks)
		return sampler_stack(w->s->profile, snap, g);
	if (!map->v[g->stack_id])
		map->v[g->stack_id] = sampler_stack(w->s->profile, snap, g) + 1;
	return map->v[g->stack_id] - 1;
}

static void add(struct wall *w, struct stack_map *map, const struct goro_snapshot *snap,
		const struct goro_info *g, uint64_t ns)
{
	struct profile *p = w->s->profile;
	bool off = p->kind == PROFILE_OFFCPU;
	const uint64_t values[PROFILE_VALUES] = { off ? count_parks(w, g) : 1, ns };
	struct profile_key key;

	if (off && g->state == GORO_STATE_RUNNING)
		return;
	key = (struct profile_key){
		.stack = map_stack(w, map, snap, g),
		.spawn_pc = g->spawn_pc,
		.state = profile_word(p, goro_state_text(g)),
		.labels = g->labelled ? sampler_labels(w->s, g->record, g->id) : NULL,
	};
	if (g->stack_id < snap->nstacks && !snap->stacks[g->stack_id].complete)
		p->truncated++;
	profile_add(p, &key, values);
}

static void add_run(struct wall *w, const struct goro_snapshot *snap, const struct goro_info *g,
		    uint32_t tid, int64_t close_ns)
{
	profile_add_run(w->s->profile,
			&(struct profile_run){
				.tid = tid,
				.stack = sampler_stack(w->s->profile, snap, g),
				.goroutine = g->id,
				.begin = w->last,
				.end = snap->time,
				.samples = 1,
				.state = "running",
			},
			close_ns);
}

/* Which goroutine each worker runs, for formats that show time from left to right. */
static void add_runs(struct wall *w, const struct goro_snapshot *snap, int64_t close_ns)
{
	struct goro_scope *scope = w->s->scope;

	for (size_t i = 0; i < snap->nprocs; i++) {
		const struct goro_proc *pp = &snap->procs[i];
		const struct goro_info *g = pp->running ? goro_snapshot_find(snap, pp->running)
							: NULL;

		if (g)
			add_run(w, snap, g, pp->tid, close_ns);
	}
	for (size_t i = 0; i < snap->ng; i++) {
		const struct goro_info *g = &snap->g[i];
		uint32_t tid;

		if (!goro_snapshot_without_p(snap, g))
			continue;
		tid = scope->reader->ops->thread_of(scope->reader, scope->target, g->m_id);
		if (tid)
			add_run(w, snap, g, tid, close_ns);
	}
}

static bool look(struct wall *w, const struct goro_snapshot *snap)
{
	struct stack_map map = { calloc(snap->nstacks + 1, sizeof *map.v) };
	uint64_t ns = snap->time > w->last ? (uint64_t)(snap->time - w->last) : 0;
	struct goro_walk walk = { .snap = snap };
	const struct goro_info *g;

	w->look++;
	if (!map.v || !make_room(w, goro_snapshot_count(snap))) {
		free(map.v);
		w->s->profile->no_memory = true;
		return false;
	}
	while ((g = goro_snapshot_next(&walk)))
		add(w, &map, snap, g, ns);
	add_runs(w, snap, 0);
	free(map.v);
	w->last = snap->time;
	w->s->profile->taken++;
	return true;
}

struct goro_error *sampler_wall(struct sampler *s)
{
	struct wall w = { .s = s, .last = s->start };
	int64_t due = s->start + (int64_t)sampler_next(s);
	struct goro_error *err = NULL;

	while (!err && sampler_wait(s, &due)) {
		struct goro_snapshot *snap;

		err = goro_scope_snapshot(s->scope, &snap);
		if (err)
			break;
		look(&w, snap);
		goro_snapshot_free(snap);
	}
	s->profile->covered = w.last - s->start;
	free(w.seen);
	return err;
}
