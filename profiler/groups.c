/* SPDX-License-Identifier: MIT */
/*
 * groups.c - goroutines that share a spawn site, a stack or a state.
 */
#include "goro_introspect.h"
#include "profiler.h"

#include <stdlib.h>

struct member {
	uint64_t key;
	uint32_t index;
};

static uint64_t key_of(const struct goro_info *g, enum goro_group_key by)
{
	switch (by) {
	case GORO_BY_SPAWN:
		/* Main and threads of the program's own: nobody started either. */
		return g->flags & GORO_FLAG_FOREIGN ? 1 : g->spawn_pc;
	case GORO_BY_STACK:
		return g->stack_id;
	case GORO_BY_STATE:
		return (uint64_t)g->state << 8 | g->reason;
	default:
		return g->id;
	}
}

static int by_key(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

/* The biggest first; of equal ones the one whose first goroutine is older. */
static int by_size(const void *a, const void *b)
{
	const struct goro_group *x = a, *y = b;

	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	return (x->members[0] > y->members[0]) - (x->members[0] < y->members[0]);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* What damaged memory claims does not become a small number. */
static uint64_t plus(uint64_t a, uint64_t b)
{
	return a + b < INT64_MAX && a + b >= a ? a + b : INT64_MAX;
}

void goro_heap_add(struct goro_heap *sum, const struct goro_heap *h)
{
	sum->bytes = plus(sum->bytes, h->bytes);
	sum->objects = plus(sum->objects, h->objects);
	sum->total_bytes = plus(sum->total_bytes, h->total_bytes);
	sum->total_objects = plus(sum->total_objects, h->total_objects);
}

static bool fill(struct goro_group *group, const struct goro_snapshot *snap,
		 const struct member *members, size_t n, uint64_t *waits)
{
	*group = (struct goro_group){ .key = members[0].key, .nmembers = n };
	group->members = calloc(n, sizeof *group->members);
	if (!group->members)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct goro_info *g = &snap->g[members[i].index];
		const struct goro_crowd *crowd = g->crowd ? &snap->crowds[g->crowd - 1] : NULL;

		group->members[i] = members[i].index;
		group->n += crowd ? crowd->n : 1;
		group->stack_resident += crowd ? crowd->stack_resident : g->stack_resident;
		if (snap->heap)
			goro_heap_add(&group->heap, &snap->heap[members[i].index]);
		if (g->verdict > group->verdict)
			group->verdict = g->verdict;
		waits[i] = crowd ? crowd->oldest_wait_ns : g->wait_ns;
	}
	qsort(waits, n, sizeof *waits, by_value);
	group->median_wait_ns = waits[n / 2];
	group->oldest_wait_ns = waits[n - 1];
	return true;
}

struct goro_group *goro_groups(const struct goro_snapshot *snap, enum goro_group_key key, size_t *n)
{
	struct member *members = calloc(snap->ng + 1, sizeof *members);
	uint64_t *waits = calloc(snap->ng + 1, sizeof *waits);
	struct goro_group *groups = NULL;
	size_t count = 0, made = 0;
	bool ok = members && waits;

	*n = 0;
	for (size_t i = 0; ok && i < snap->ng; i++)
		members[i] = (struct member){ key_of(&snap->g[i], key), (uint32_t)i };
	if (ok && snap->ng)
		qsort(members, snap->ng, sizeof *members, by_key);
	for (size_t i = 0; ok && i < snap->ng; i++)
		count += i == 0 || members[i].key != members[i - 1].key;
	if (ok)
		groups = calloc(count + 1, sizeof *groups);
	ok = groups != NULL;
	for (size_t i = 0, j; ok && i < snap->ng; i = j) {
		for (j = i + 1; j < snap->ng && members[j].key == members[i].key; j++)
			;
		ok = fill(&groups[made], snap, members + i, j - i, waits);
		made += ok;
	}
	free(members);
	free(waits);
	if (!ok) {
		goro_groups_free(groups, made);
		return NULL;
	}
	qsort(groups, made, sizeof *groups, by_size);
	*n = made;
	return groups;
}

void goro_groups_free(struct goro_group *groups, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(groups[i].members);
	free(groups);
}
