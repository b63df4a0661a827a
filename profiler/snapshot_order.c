/* SPDX-License-Identifier: MIT */
/*
 * snapshot_order.c - the goroutines of a snapshot by rising id, each once.
 */
#include "snapshot.h"

#include <stdlib.h>
#include <string.h>
#include "order.h"

static bool in_order(const struct goro_snapshot *s)
{
	for (size_t i = 0; i < s->ng; i++) {
		if (s->g[i].id <= (i ? s->g[i - 1].id : 0))
			return false;
	}
	return true;
}

static uint64_t id_of(const void *g, size_t i)
{
	return ((const struct goro_info *)g)[i].id;
}

/*
 * Move what is to be dropped, id 0 and the later ones of an id, behind the others. Sets how many
 * stay; false: out of memory.
 */
static bool drop_some(struct goro_snapshot *s, uint32_t *order)
{
	uint32_t *drop = malloc((s->ng + 1) * sizeof *drop);
	size_t dropped = 0, kept = 0;
	uint64_t last = 0;

	for (size_t i = 0; drop && i < s->ng; i++) {
		uint64_t id = s->g[order[i]].id;

		if (id != last)
			order[kept++] = order[i];
		else
			drop[dropped++] = order[i];
		s->bad_records += id && id == last;
		last = id;
	}
	if (drop && dropped)
		memcpy(order + kept, drop, dropped * sizeof *order);
	if (drop)
		order_apply(s->g, sizeof *s->g, order, s->ng);
	s->ng = kept;
	free(drop);
	return drop;
}

void snapshot_sort(struct snapshot_builder *b)
{
	struct goro_snapshot *s = b->snap;
	uint32_t *order;

	if (b->no_memory || in_order(s))
		return;
	order = order_by(s->ng, id_of, s->g);
	if (!order || !drop_some(s, order))
		b->no_memory = true;
	free(order);
}

/* The goroutines from index `first` on in the order of their ids. to[] follows. */
static bool sort_from(struct goro_snapshot *s, size_t first, uint32_t *to)
{
	size_t n = s->ng - first;
	uint32_t *order = order_by(n, id_of, s->g + first);

	for (size_t i = 0; order && i < n; i++)
		to[first + order[i]] = (uint32_t)(first + i);
	if (order)
		order_apply(s->g + first, sizeof *s->g, order, n);
	free(order);
	return order;
}

/* Close the gaps in g[0..n), move the rest down behind them, and tell where all went. */
static size_t close_gaps(struct goro_snapshot *s, size_t n, uint32_t *to, bool *in_order)
{
	size_t kept = 0, at = 0;

	for (size_t i = 0; i < s->ng; i++) {
		to[i] = UINT32_MAX;
		if (!s->g[i].id)
			continue;
		*in_order &= i >= n || !at || s->g[i].id > s->g[at - 1].id;
		if (at != i)
			s->g[at] = s->g[i];
		to[i] = (uint32_t)at++;
		kept += i < n;
	}
	s->ng = at;
	return kept;
}

/*
 * Merge g[n..ng), which is in order, into g[0..n) from the end. to[i]: the new index of i. False:
 * two have one id; all are there even so.
 */
static bool merge_from(struct goro_snapshot *s, size_t n, uint32_t *to)
{
	size_t i = n, j = s->ng - n, at = s->ng;
	struct goro_info *late = malloc((j + 1) * sizeof *late);
	bool unique = late;

	if (late)
		memcpy(late, s->g + n, j * sizeof *late);
	while (late && j) {
		bool one = i && s->g[i - 1].id > late[j - 1].id;

		unique &= !i || s->g[i - 1].id != late[j - 1].id;
		at--;
		s->g[at] = one ? s->g[i - 1] : late[j - 1];
		to[one ? --i : n + --j] = (uint32_t)at;
	}
	while (late && i--)
		to[i] = (uint32_t)i;
	free(late);
	return unique;
}

static bool rises(const struct goro_snapshot *s, size_t from)
{
	for (size_t i = from + 1; i < s->ng; i++) {
		if (s->g[i].id <= s->g[i - 1].id)
			return false;
	}
	return true;
}

/* to[] after a second move: by[] of those from the index that they had in between. */
static void follow(uint32_t *to, size_t n, const uint32_t *by)
{
	for (size_t i = 0; i < n; i++) {
		if (to[i] != UINT32_MAX)
			to[i] = by[to[i]];
	}
}

static bool sort_late(struct goro_snapshot *s, size_t n, uint32_t *to, size_t nto)
{
	uint32_t *by = calloc(s->ng + 1, sizeof *by);
	bool ok = by;

	for (size_t i = 0; ok && i < n; i++)
		by[i] = (uint32_t)i;
	if (ok && !rises(s, n)) {
		ok = sort_from(s, n, by);
		if (ok)
			follow(to, nto, by);
		ok = ok && rises(s, n);
	}
	if (ok && n && n < s->ng && s->g[n].id <= s->g[n - 1].id) {
		ok = merge_from(s, n, by);
		if (ok)
			follow(to, nto, by);
	}
	free(by);
	return ok;
}

bool snapshot_merge(struct snapshot_builder *b, size_t n, uint32_t *to)
{
	struct goro_snapshot *s = b->snap;
	size_t nto = s->ng, kept;
	bool in_order = true;

	kept = close_gaps(s, n, to, &in_order);
	if (in_order && sort_late(s, kept, to, nto))
		return true;
	snapshot_sort(b);
	return false;
}
