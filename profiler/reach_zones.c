/* SPDX-License-Identifier: MIT */
/*
 * reach_zones.c - see reach_zones.h.
 */
#include "reach_zones.h"

#include <stdlib.h>

#include "order.h"

bool zones_add(struct zones *z, struct zone zone)
{
	if (zone.lo >= zone.hi)
		return true;
	if (z->n == z->cap) {
		size_t cap = z->cap ? z->cap * 2 : 256;
		struct zone *bigger = realloc(z->v, cap * sizeof *bigger);

		if (!bigger)
			return false;
		z->v = bigger;
		z->cap = cap;
	}
	z->v[z->n++] = zone;
	return true;
}

static uint64_t begin_of(const void *zones, size_t i)
{
	const struct zone *v = zones;

	return v[i].lo;
}

/* Enter zone i in the table, for each 64 KiB that it touches and that has none yet. */
static bool enter(struct zones *z, size_t i)
{
	for (uint64_t page = z->v[i].lo >> 16; page <= (z->v[i].hi - 1) >> 16; page++) {
		uint32_t **table = &z->tables[(page >> 16) - (z->lo >> 32)];

		if (!*table)
			*table = calloc(65536, sizeof **table);
		if (!*table)
			return false;
		if (!(*table)[page & 0xffff])
			(*table)[page & 0xffff] = (uint32_t)i + 1;
	}
	return true;
}

bool zones_finish(struct zones *z)
{
	uint64_t hi;

	if (!z->n)
		return true;
	if (!order_things(z->v, sizeof *z->v, z->n, begin_of))
		return false;
	for (size_t i = 0; i + 1 < z->n; i++) {
		if (z->v[i].hi > z->v[i + 1].lo)
			z->v[i].hi = z->v[i + 1].lo;
	}
	z->lo = z->v[0].lo;
	hi = z->v[z->n - 1].hi;
	/* Beyond 47 bits there is no user memory on any machine that we know. */
	if (hi >> 48 || z->n >= UINT32_MAX)
		return false;
	z->span = hi - z->lo;
	z->ntables = (size_t)((hi >> 32) - (z->lo >> 32) + 1);
	z->tables = calloc(z->ntables, sizeof *z->tables);
	if (!z->tables)
		return false;
	for (size_t i = 0; i < z->n; i++) {
		if (z->v[i].lo < z->v[i].hi && !enter(z, i))
			return false;
	}
	return true;
}

void zones_free(struct zones *z)
{
	for (size_t i = 0; i < z->ntables; i++)
		free(z->tables[i]);
	free(z->tables);
	free(z->v);
	*z = (struct zones){ 0 };
}
