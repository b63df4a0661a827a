/* SPDX-License-Identifier: MIT */
/*
 * reach_zones.h - from an address to what lies there, for addresses that mostly lie nowhere.
 *
 * Zones are ranges that do not overlap. The table has an entry for each 64 KiB of the address
 * space, in two levels, of which only the parts exist where there are zones: a look-up is two
 * loads and, where zones are small, a few steps more.
 */
#ifndef GORO_REACH_ZONES_H
#define GORO_REACH_ZONES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum zone_kind { ZONE_AREA, ZONE_BLOCK, ZONE_STACK, ZONE_FRAMES };

struct zone {
	uint64_t lo, hi;
	enum zone_kind kind;
	uint32_t index; /* of the area, the block, the goroutine, the frames */
};

struct zones {
	struct zone *v; /* sorted by zones_finish() */
	size_t n, cap;
	uint64_t lo, span; /* of all of them */
	uint32_t **tables; /* one for each 4 GiB from lo on */
	size_t ntables;
};

bool zones_add(struct zones *z, struct zone zone);
/* Call once after the last one was added. False: no memory. Zones that overlap are cut. */
bool zones_finish(struct zones *z);
void zones_free(struct zones *z);

static inline const struct zone *zones_find(const struct zones *z, uint64_t address)
{
	const uint32_t *table;
	uint32_t at;

	if (address - z->lo >= z->span)
		return NULL;
	table = z->tables[(address >> 32) - (z->lo >> 32)];
	if (!table)
		return NULL;
	at = table[address >> 16 & 0xffff];
	if (!at)
		return NULL;
	for (at--; at < z->n && z->v[at].lo <= address; at++) {
		if (address < z->v[at].hi)
			return &z->v[at];
	}
	return NULL;
}

#endif /* GORO_REACH_ZONES_H */
