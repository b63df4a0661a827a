/* SPDX-License-Identifier: MIT */
/*
 * reader_goro_resident.c - what of the stacks is in RAM.
 */
#include "reader_goro_scan.h"

#include <stdlib.h>

#include "order.h"

#define MAX_RESIDENT (1ull << 40) /* address space to ask the page map about */

/* Goroutines of a snapshot, by index. */
struct some {
	const struct goro_info *g;
	uint32_t *v;
	size_t n;
};

static uint64_t lo_of(const void *some, size_t i)
{
	return ((const struct some *)some)->g[((const struct some *)some)->v[i]].stack_lo;
}

static void ask_resident(struct scan *s, struct target_range *v, const uint32_t *of, size_t n)
{
	s->t->ops->resident(s->t, v, n);
	for (size_t i = 0; i < n; i++)
		s->b->snap->g[of[i]].stack_resident = v[i].resident;
}

static bool has_pages(const struct goro_info *g)
{
	return g->id && !g->crowd && g->stack_lo < g->stack_hi;
}

void scan_add_resident(struct scan *s, uint32_t *v, size_t n)
{
	struct goro_snapshot *snap = s->b->snap;
	struct some some = { .g = snap->g, .v = v };
	struct target_range ranges[BATCH];
	uint32_t *order, of[BATCH];
	uint64_t end = 0;
	size_t m = 0;

	if (!s->t->ops->resident)
		return;
	for (size_t i = 0; i < n; i++) {
		if (has_pages(&snap->g[v[i]]))
			v[some.n++] = v[i];
	}
	order = order_by(some.n, lo_of, &some);
	if (!order)
		s->b->no_memory = true;
	for (size_t i = 0; order && i < some.n; i++) {
		uint32_t at = some.v[order[i]];
		const struct goro_info *g = &snap->g[at];
		uint64_t size = g->stack_hi - g->stack_lo;

		if (g->stack_lo < end || size > MAX_RESIDENT - s->address_space)
			continue;
		s->address_space += size;
		end = g->stack_hi;
		of[m] = at;
		ranges[m++] = (struct target_range){ .lo = g->stack_lo, .hi = end };
		if (m == BATCH) {
			ask_resident(s, ranges, of, m);
			m = 0;
		}
	}
	ask_resident(s, ranges, of, m);
	free(order);
}

void scan_ask_resident(struct scan *s, size_t first)
{
	size_t n = s->b->snap->ng - first;
	uint32_t *v = malloc((n + 1) * sizeof *v);

	if (!v) {
		s->b->no_memory = true;
		return;
	}
	for (size_t i = 0; i < n; i++)
		v[i] = (uint32_t)(first + i);
	scan_add_resident(s, v, n);
	free(v);
}
