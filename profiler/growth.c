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

struct site {
	struct growth_site is;
	uint64_t now;  /* of it wait at this look */
	uint64_t kept; /* of these, were not woken since the last */
};

/*
 * Who waited at the last look, by rising id: how much further each id is than the one before, and
 * its park_seq, in 7 bits a byte, of which the last has the eighth. There may be a million; of most
 * it is two bytes.
 */
struct goro_growth {
	struct site *sites; /* by rising spawn_pc */
	size_t nsites;
	unsigned char *waited;
	size_t waited_len, waited_cap;
};

enum { WAITED_MOST = 10 + 5 }; /* bytes for one */

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

static size_t put_number(unsigned char *to, uint64_t value)
{
	size_t n = 0;

	for (; value >> 7; value >>= 7)
		to[n++] = value & 0x7f;
	to[n++] = (unsigned char)value | 0x80;
	return n;
}

static uint64_t get_number(const unsigned char **at)
{
	uint64_t value = 0, byte;
	unsigned shift = 0;

	do {
		byte = *(*at)++;
		value |= (byte & 0x7f) << shift;
		shift += 7;
	} while (!(byte & 0x80));
	return value;
}

/* One of those who waited, while they are gone through. */
struct waited {
	const unsigned char *at;
	size_t left; /* bytes */
	uint64_t id; /* 0: there are no more */
	uint32_t park_seq;
};

static void next_waited(struct waited *w)
{
	const unsigned char *at = w->at;

	if (!w->left) {
		w->id = 0;
		return;
	}
	w->id += get_number(&w->at);
	w->park_seq = (uint32_t)get_number(&w->at);
	w->left -= (size_t)(w->at - at);
}

/* Count who waits, and who of these did at the last look and was not woken since. */
static bool count(struct goro_growth *growth, const struct goro_snapshot *snap)
{
	struct goro_walk w = { .snap = snap };
	const struct goro_info *g;
	struct site *site = NULL;
	uint64_t last = 0;
	struct waited old = { .at = growth->waited, .left = growth->waited_len };

	next_waited(&old);
	while ((g = goro_snapshot_next(&w))) {
		if (!verdict_may_suspect(g))
			continue;
		while (old.id && old.id < g->id)
			next_waited(&old);
		if (!site || last != g->spawn_pc)
			site = site_of(growth, goro_snapshot_site(snap, g->spawn_pc));
		if (!site)
			return false;
		last = g->spawn_pc;
		site->now++;
		site->kept += old.id == g->id && old.park_seq == g->park_seq;
	}
	return true;
}

/* What was counted, in the place of what was. A site of which nobody waits is forgotten. */
static void conclude(struct goro_growth *growth, const struct goro_snapshot *snap)
{
	size_t kept = 0;

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
		if (is->count)
			growth->sites[kept++] = s;
	}
	growth->nsites = kept;
}

static bool remember_one(struct goro_growth *growth, uint64_t further, uint32_t park_seq)
{
	if (growth->waited_cap - growth->waited_len < WAITED_MOST) {
		size_t cap = growth->waited_cap ? growth->waited_cap * 2 : 1024;
		unsigned char *bigger = realloc(growth->waited, cap);

		if (!bigger)
			return false;
		growth->waited = bigger;
		growth->waited_cap = cap;
	}
	growth->waited_len += put_number(growth->waited + growth->waited_len, further);
	growth->waited_len += put_number(growth->waited + growth->waited_len, park_seq);
	return true;
}

static bool remember(struct goro_growth *growth, const struct goro_snapshot *snap)
{
	struct goro_walk w = { .snap = snap };
	const struct goro_info *g;
	uint64_t last = 0;

	growth->waited_len = 0;
	while ((g = goro_snapshot_next(&w))) {
		if (!verdict_may_suspect(g))
			continue;
		if (!remember_one(growth, g->id - last, g->park_seq))
			return false;
		last = g->id;
	}
	return true;
}

bool growth_look(struct goro_growth **growth, const struct goro_snapshot *snap)
{
	struct goro_growth *g = *growth ? *growth : calloc(1, sizeof *g);

	*growth = g;
	if (g && count(g, snap)) {
		conclude(g, snap);
		if (remember(g, snap))
			return true;
	}
	growth_free(g);
	*growth = NULL;
	return false;
}
