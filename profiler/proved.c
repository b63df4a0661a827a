/* SPDX-License-Identifier: MIT */
/*
 * proved.c - what was proved unreachable stays so.
 *
 * Nobody gets a pointer back that nobody has. So a goroutine that was LEAKED is LEAKED at every
 * later look at which it has not run, and a monitor need not stop its target again to say so.
 */
#include "proved.h"

#include <stdlib.h>

#include "goro_introspect.h"

struct proved_g {
	uint64_t id, record, park_seq;
	uint64_t retains; /* bytes of heap */
};

struct proved {
	struct goro_reach reach; /* but for its arrays */
	size_t n;
	struct proved_g g[]; /* by rising id, as in the snapshot */
};

struct proved *proved_keep(struct proved *old, const struct goro_snapshot *snap,
			   const struct stuck *stuck, const struct goro_reach *reach)
{
	struct proved *p;
	size_t n = 0;

	proved_free(old);
	for (size_t i = 0; i < snap->ng; i++)
		n += stuck[i].proof == GORO_PROOF_UNREACHABLE;
	p = n ? malloc(sizeof *p + n * sizeof p->g[0]) : NULL;
	if (!p)
		return NULL;
	p->reach = *reach;
	p->reach.retains = NULL;
	p->reach.chain = NULL;
	p->reach.nchain = 0;
	p->n = 0;
	for (size_t i = 0; i < snap->ng; i++) {
		const struct goro_info *g = &snap->g[i];

		if (stuck[i].proof == GORO_PROOF_UNREACHABLE)
			p->g[p->n++] = (struct proved_g){ g->id, g->record, g->park_seq,
							  reach->retains ? reach->retains[i] : 0 };
	}
	return p;
}

static int by_id(const void *key, const void *element)
{
	const struct goro_info *g = key;
	const struct proved_g *p = element;

	return (g->id > p->id) - (g->id < p->id);
}

bool proved_recall(const struct proved *p, const struct goro_snapshot *snap, struct stuck *stuck,
		   struct goro_reach *reach)
{
	if (!p)
		return true;
	*reach = p->reach;
	reach->retains = calloc(snap->ng + 1, sizeof *reach->retains);
	if (!reach->retains)
		return false;
	for (size_t i = 0; i < snap->ng; i++) {
		const struct goro_info *g = &snap->g[i];
		const struct proved_g *was = bsearch(g, p->g, p->n, sizeof p->g[0], by_id);

		if (!was || g->state != GORO_STATE_WAITING || g->torn || g->record != was->record ||
		    g->park_seq != was->park_seq)
			continue;
		reach->retains[i] = was->retains;
		if (stuck[i].proof == GORO_PROOF_NONE) {
			stuck[i].proof = GORO_PROOF_UNREACHABLE;
			stuck[i].cause = WAIT_NONE;
		}
	}
	return true;
}

bool proved_has(const struct proved *p, uint64_t id)
{
	const struct goro_info g = { .id = id };

	return p && bsearch(&g, p->g, p->n, sizeof p->g[0], by_id);
}

void proved_free(struct proved *p)
{
	free(p);
}
