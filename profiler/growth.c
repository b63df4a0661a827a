/* SPDX-License-Identifier: MIT */
/*
 * growth.c - which spawn sites only ever grow.
 *
 * A leak that no proof reaches still shows: at every look more goroutines of one go statement wait,
 * and none of those that waited before was ever woken. Both are needed: a busy server grows as
 * well, but its goroutines come and go. Rejected: a slope fitted through the counts, which a pool
 * that fills up passes.
 */
#include <stdlib.h>

#include "goro_introspect.h"
#include "verdict.h"

struct member { /* a goroutine that waited at the last look */
	uint64_t id;
	uint64_t spawn_pc;
	uint32_t park_seq;
};

struct goro_growth {
	struct growth_site *sites; /* by rising spawn_pc */
	size_t nsites;
	struct member *members; /* by rising id */
	size_t nmembers;
};

void growth_free(struct goro_growth *growth)
{
	if (!growth)
		return;
	free(growth->sites);
	free(growth->members);
	free(growth);
}

static int by_spawn_pc(const void *a, const void *b)
{
	const struct growth_site *x = a, *y = b;

	return (x->spawn_pc > y->spawn_pc) - (x->spawn_pc < y->spawn_pc);
}

static struct growth_site *find_site(const struct goro_growth *growth, uint64_t spawn_pc)
{
	struct growth_site key = { .spawn_pc = spawn_pc };

	if (!growth || !growth->nsites)
		return NULL;
	return bsearch(&key, growth->sites, growth->nsites, sizeof key, by_spawn_pc);
}

const struct growth_site *growth_site(const struct goro_growth *growth, uint64_t spawn_pc)
{
	return find_site(growth, spawn_pc);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* pcs[] has one entry per waiting goroutine, by rising value. */
static bool count_sites(struct goro_growth *now, const uint64_t *pcs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		now->nsites += !i || pcs[i] != pcs[i - 1];
	now->sites = calloc(now->nsites + 1, sizeof *now->sites);
	now->nsites = 0;
	for (size_t i = 0; now->sites && i < n; i++) {
		if (!i || pcs[i] != pcs[i - 1])
			now->sites[now->nsites++] = (struct growth_site){ .spawn_pc = pcs[i] };
		now->sites[now->nsites - 1].count++;
	}
	return now->sites != NULL;
}

static struct goro_growth *count(const struct goro_snapshot *snap)
{
	struct goro_growth *now = calloc(1, sizeof *now);
	uint64_t *pcs = calloc(snap->ng + 1, sizeof *pcs);
	size_t n = 0;
	bool ok;

	if (now)
		now->members = calloc(snap->ng + 1, sizeof *now->members);
	ok = now && now->members && pcs;
	for (size_t i = 0; ok && i < snap->ng; i++) {
		const struct goro_info *g = &snap->g[i];

		if (!verdict_may_suspect(g))
			continue;
		now->members[n] = (struct member){ g->id, g->spawn_pc, g->park_seq };
		pcs[n++] = g->spawn_pc;
	}
	if (ok) {
		now->nmembers = n;
		qsort(pcs, n, sizeof *pcs, by_value);
		ok = count_sites(now, pcs, n);
	}
	free(pcs);
	if (ok)
		return now;
	growth_free(now);
	return NULL;
}

/* A member that is gone or has parked again was woken: its site starts anew. */
static void forget_woken(struct goro_growth *before, const struct goro_snapshot *snap)
{
	for (size_t i = 0; i < before->nmembers; i++) {
		const struct member *m = &before->members[i];
		const struct goro_info *g = goro_snapshot_find(snap, m->id);
		struct growth_site *site;

		if (g && g->state == GORO_STATE_WAITING && g->park_seq == m->park_seq)
			continue;
		site = find_site(before, m->spawn_pc);
		if (site)
			site->count = UINT64_MAX; /* nothing is more than that */
	}
}

bool growth_look(struct goro_growth **growth, const struct goro_snapshot *snap)
{
	struct goro_growth *before = *growth;
	struct goro_growth *now = count(snap);

	*growth = now;
	if (now && before)
		forget_woken(before, snap);
	for (size_t i = 0; now && i < now->nsites; i++) {
		struct growth_site *site = &now->sites[i];
		const struct growth_site *old = find_site(before, site->spawn_pc);

		if (old && site->count > old->count) {
			site->streak = old->streak + 1;
			site->first_count = old->first_count;
			site->since = old->since;
		} else {
			site->first_count = site->count;
			site->since = snap->time;
		}
	}
	growth_free(before);
	return now != NULL;
}
