/* SPDX-License-Identifier: MIT */
/*
 * target.c - what all targets share.
 */
#include "target.h"

#include <stdlib.h>

void target_maps_free(struct target_maps *maps)
{
	for (size_t i = 0; i < maps->n; i++)
		free(maps->v[i].path);
	free(maps->v);
	maps->v = NULL;
	maps->n = 0;
}

const struct target_map *target_maps_find(const struct target_maps *maps, uint64_t address)
{
	size_t lo = 0, hi = maps->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (address < maps->v[mid].lo)
			hi = mid;
		else if (address >= maps->v[mid].hi)
			lo = mid + 1;
		else
			return &maps->v[mid];
	}
	return NULL;
}

struct goro_error *target_read_at(struct target *t, uint64_t address, void *to, size_t len,
				  bool *ok)
{
	struct target_read r = { .address = address, .to = to, .len = len };
	struct goro_error *err = t->ops->read(t, &r, 1);

	*ok = !err && r.ok;
	return err;
}
