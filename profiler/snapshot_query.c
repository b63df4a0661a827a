/* SPDX-License-Identifier: MIT */
/*
 * snapshot_query.c - what can be asked of a snapshot.
 */
#include "profiler.h"

#include <string.h>
#include <goro_introspect.h>

bool goro_snapshot_without_p(const struct goro_snapshot *snap, const struct goro_info *g)
{
	if (g->state != GORO_STATE_RUNNING)
		return false;
	/* Ps are read after goroutines: a worker that has one now had it then, or got it since. */
	for (size_t i = 0; i < snap->nprocs; i++) {
		if (snap->procs[i].tid && snap->procs[i].m_id == g->m_id)
			return false;
	}
	return true;
}

const struct goro_info *goro_snapshot_find(const struct goro_snapshot *snap, uint64_t id)
{
	size_t lo = 0, hi = snap->ng;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (snap->g[mid].id == id)
			return &snap->g[mid];
		if (snap->g[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

const struct goro_object *goro_snapshot_object(const struct goro_snapshot *snap, uint64_t address)
{
	size_t lo = 0, hi = snap->nobjects;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (snap->objects[mid].address == address)
			return &snap->objects[mid];
		if (snap->objects[mid].address < address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

const char *goro_state_text(const struct goro_info *g)
{
#define STATE_NAME(id, letter, name)	     name,
#define REASON_NAME(id, letter, name, class) name,
	static const char *const states[] = { GORO_STATES(STATE_NAME) };
	static const char *const reasons[] = { GORO_REASONS(REASON_NAME) };
#undef STATE_NAME
#undef REASON_NAME

	if (g->state == GORO_STATE_WAITING && g->reason != GORO_REASON_NONE)
		return g->reason < GORO_NREASONS ? reasons[g->reason] : "waiting (unknown)";
	return g->state < GORO_NSTATES ? states[g->state] : "unknown";
}

const char *goro_basename(const char *path)
{
	const char *slash;

	if (!path)
		return "?";
	slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}
