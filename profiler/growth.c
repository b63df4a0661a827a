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

/*
 * Who waited at the last look: id and park_seq in a word, by rising id, for there may be a million.
 * What is too long for that is cut: after that many parks one may be taken for not woken.
 */
#define PARK_BITS 24

struct site {
	struct growth_site is;
	uint64_t now;  /* of it wait at this look */
	uint64_t kept; /* of these, were not woken since the last */
};

struct goro_growth {
	struct site *sites; /* by rising spawn_pc */
	size_t nsites;
	uint64_t *waited;
	size_t nwaited;
};

void growth_free(struct goro_growth *growth)
{
	if (!growth)
		return;
	free(growth->sites);
	free(growth->waited);
	free(growth);
}

/* The first site of a pc that is not less. */
static size_t place_of(const struct goro_growth *growth, uint64_t spawn_pc)
{
	size_t lo = 0, hi = growth->nsites;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (growth->sites[mid].is.spawn_pc < spawn_pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct growth_site *growth_site(const struct goro_growth *growth, uint64_t spawn_pc)
{
	size_t at = growth ? place_of(growth, spawn_pc) : 0;

	return growth && at < growth->nsites && growth->sites[at].is.spawn_pc == spawn_pc
		       ? &growth->sites[at].is
		       : NULL;
}

/* The site of a goroutine that waits; NULL: out of memory. */
static struct site *site_of(struct goro_growth *growth, uint64_t spawn_pc)
{
	size_t at = place_of(growth, spawn_pc);
	struct site *more;

	if (at < growth->nsites && growth->sites[at].is.spawn_pc == spawn_pc)
		return &growth->sites[at];
	more = reallocarray(growth->sites, growth->nsites + 1, sizeof *more);
	if (!more)
		return NULL;
	growth->sites = more;
	for (size_t i = growth->nsites++; i > at; i--)
		more[i] = more[i - 1];
	more[at] = (struct site){ .is.spawn_pc = spawn_pc };
	return &more[at];
}

static uint64_t word_of(const struct goro_info *g)
{
	return g->id << PARK_BITS | (g->park_seq & ((1u << PARK_BITS) - 1));
}

/* Count who waits, and who of these did at the last look and was not woken since. */
static bool count(struct goro_growth *growth, const struct goro_snapshot *snap)
{
	struct goro_walk w = { .snap = snap };
	const struct goro_info *g;
	struct site *site = NULL;
	size_t at = 0;

	while ((g = goro_snapshot_next(&w))) {
		uint64_t word = word_of(g);

		if (!verdict_may_suspect(g))
			continue;
		while (at < growth->nwaited && growth->waited[at] < word)
			at++;
		if (!site || site->is.spawn_pc != g->spawn_pc)
			site = site_of(growth, g->spawn_pc);
		if (!site)
			return false;
		site->now++;
		site->kept += at < growth->nwaited && growth->waited[at] == word;
	}
	return true;
}

/* What was counted, in the place of what was. A site of which nobody waits is forgotten. */
static size_t conclude(struct goro_growth *growth, const struct goro_snapshot *snap)
{
	size_t kept = 0, all = 0;

	for (size_t i = 0; i < growth->nsites; i++) {
		struct site s = growth->sites[i];
		struct growth_site *is = &s.is;

		/* Of those that waited before, none was woken, and there are more. */
		if (is->count && s.kept == is->count && s.now > is->count) {
			is->streak++;
		} else {
			is->streak = 0;
			is->first_count = s.now;
			is->since = snap->time;
		}
		is->count = s.now;
		s.now = s.kept = 0;
		all += is->count;
		if (is->count)
			growth->sites[kept++] = s;
	}
	growth->nsites = kept;
	return all;
}

static bool remember(struct goro_growth *growth, const struct goro_snapshot *snap, size_t n)
{
	uint64_t *v = reallocarray(growth->waited, n + 1, sizeof *v);
	struct goro_walk w = { .snap = snap };
	const struct goro_info *g;

	if (!v)
		return false;
	growth->waited = v;
	growth->nwaited = 0;
	while ((g = goro_snapshot_next(&w)))
		if (verdict_may_suspect(g))
			v[growth->nwaited++] = word_of(g);
	return true;
}

bool growth_look(struct goro_growth **growth, const struct goro_snapshot *snap)
{
	struct goro_growth *g = *growth ? *growth : calloc(1, sizeof *g);

	*growth = g;
	if (g && count(g, snap) && remember(g, snap, conclude(g, snap)))
		return true;
	growth_free(g);
	*growth = NULL;
	return false;
}
