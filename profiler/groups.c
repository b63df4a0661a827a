/* SPDX-License-Identifier: MIT */
/*
 * groups.c - goroutines that share a spawn site, a stack or a state; which site one has.
 *
 * Those of a crowd share all three: who stands for them is sorted, and they are only counted.
 */
#include "goro_introspect.h"
#include "member.h"

#include <stdlib.h>
#include "order.h"

uint64_t goro_snapshot_site(const struct goro_snapshot *snap, uint64_t spawn_pc)
{
	size_t lo = 0, hi = snap->nsame;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (snap->same[mid].pc < spawn_pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < snap->nsame && snap->same[lo].pc == spawn_pc ? snap->same[lo].site : spawn_pc;
}

uint64_t goro_group_key_of(const struct goro_snapshot *snap, const struct goro_info *g,
			   enum goro_group_key by)
{
	switch (by) {
	case GORO_BY_SPAWN:
		/* Main and threads of the program's own: nobody started either. */
		return g->flags & GORO_FLAG_FOREIGN ? 1 : goro_snapshot_site(snap, g->spawn_pc);
	case GORO_BY_STACK:
		return g->stack_id;
	case GORO_BY_STATE:
		return (uint64_t)g->state << 8 | g->reason;
	default:
		return g->id;
	}
}

/* One of snap->g. */
struct head {
	uint64_t key;
	uint32_t index, weight;
};

struct grouping {
	const struct goro_snapshot *snap;
	const bool *keep;
	struct head *heads;
	size_t nheads;
	struct goro_group *groups;
	size_t n;
	uint32_t *group_of; /* by index in snap->g */
	uint64_t *waits;    /* group by group */
	size_t *waits_end;  /* by group: of those that are there so far */
};

static int by_key(const void *a, const void *b)
{
	const struct head *x = a, *y = b;

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

/* Those of whom anybody is kept, by key. */
static bool find_heads(struct grouping *s, enum goro_group_key key)
{
	const struct goro_snapshot *snap = s->snap;
	size_t n = 0;

	s->heads = calloc(snap->ng + 1, sizeof *s->heads);
	if (!s->heads)
		return false;
	for (size_t i = 0; i < snap->ng; i++) {
		bool unlisted = snap->g[i].crowd && !snap->nmembers;

		s->heads[i] = (struct head){ goro_group_key_of(snap, &snap->g[i], key), (uint32_t)i,
					     !s->keep || s->keep[i] };
		if (unlisted && s->heads[i].weight)
			s->heads[i].weight = snap->crowds[snap->g[i].crowd - 1].n;
	}
	for (size_t i = 0; i < snap->nmembers; i++) {
		if (!s->keep || s->keep[snap->ng + i])
			s->heads[snap->crowds[snap->members[i].crowd - 1].g].weight++;
	}
	for (size_t i = 0; i < snap->ng; i++) {
		if (s->heads[i].weight)
			s->heads[n++] = s->heads[i];
	}
	s->nheads = n;
	if (n)
		qsort(s->heads, n, sizeof *s->heads, by_key);
	return true;
}

static bool begin_group(struct grouping *s, const struct head *heads, size_t n)
{
	struct goro_group *g = &s->groups[s->n];

	*g = (struct goro_group){ .key = heads[0].key, .nmembers = n };
	g->members = calloc(n, sizeof *g->members);
	g->weights = calloc(n, sizeof *g->weights);
	s->n++;
	for (size_t i = 0; g->members && g->weights && i < n; i++) {
		g->members[i] = heads[i].index;
		g->weights[i] = heads[i].weight;
		g->n += heads[i].weight;
		s->group_of[heads[i].index] = (uint32_t)s->n - 1;
	}
	return g->members && g->weights;
}

static bool begin_groups(struct grouping *s)
{
	size_t count = 0, all = 0;
	bool ok;

	for (size_t i = 0; i < s->nheads; i++)
		count += i == 0 || s->heads[i].key != s->heads[i - 1].key;
	s->groups = calloc(count + 1, sizeof *s->groups);
	s->waits_end = calloc(count + 1, sizeof *s->waits_end);
	s->group_of = calloc(s->snap->ng + 1, sizeof *s->group_of);
	ok = s->groups && s->waits_end && s->group_of;
	for (size_t i = 0, j; ok && i < s->nheads; i = j) {
		for (j = i + 1; j < s->nheads && s->heads[j].key == s->heads[i].key; j++)
			;
		ok = begin_group(s, s->heads + i, j - i);
	}
	for (size_t i = 0; ok && i < s->n; i++) {
		s->waits_end[i] = all;
		all += s->snap->nmembers ? s->groups[i].n : s->groups[i].nmembers;
	}
	s->waits = ok ? calloc(all + 1, sizeof *s->waits) : NULL;
	return s->waits;
}

/* One goroutine, or one that stands for a crowd of which only the oldest is known. */
static void add(struct grouping *s, uint32_t index, const struct goro_info *g)
{
	uint32_t at = s->group_of[index];
	struct goro_group *group = &s->groups[at];
	const struct goro_crowd *crowd = s->snap->nmembers || !s->snap->g[index].crowd
						 ? NULL
						 : &s->snap->crowds[s->snap->g[index].crowd - 1];

	s->waits[s->waits_end[at]++] = crowd ? crowd->oldest_wait_ns : g->wait_ns;
	group->stack_resident += crowd ? crowd->stack_resident : g->stack_resident;
	if (s->snap->heap)
		goro_heap_add(&group->heap, &s->snap->heap[index]);
	if (g->verdict > group->verdict)
		group->verdict = g->verdict;
}

static void add_all(struct grouping *s)
{
	struct goro_walk w = { .snap = s->snap };
	const struct goro_info *g;

	while ((g = goro_snapshot_next(&w))) {
		uint32_t place = goro_walk_place(&w);

		if (!s->keep || s->keep[place])
			add(s, (uint32_t)(member_like(s->snap, place) - s->snap->g), g);
	}
}

static uint64_t itself(const void *ctx, const void *wait)
{
	(void)ctx;
	return *(const uint64_t *)wait;
}

static void end_groups(struct grouping *s)
{
	uint64_t *v = s->waits;

	for (size_t i = 0; i < s->n; i++) {
		size_t n = (size_t)(s->waits + s->waits_end[i] - v);

		order_in_place(v, sizeof *v, n, itself, NULL);
		s->groups[i].median_wait_ns = v[n / 2];
		s->groups[i].oldest_wait_ns = v[n - 1];
		v += n;
	}
	if (s->n)
		qsort(s->groups, s->n, sizeof *s->groups, by_size);
}

struct goro_group *goro_groups(const struct goro_snapshot *snap, enum goro_group_key key,
			       const bool *keep, size_t *n)
{
	struct grouping s = { .snap = snap, .keep = keep };
	bool ok = find_heads(&s, key) && begin_groups(&s);

	if (ok) {
		add_all(&s);
		end_groups(&s);
	}
	free(s.heads);
	free(s.group_of);
	free(s.waits);
	free(s.waits_end);
	*n = ok ? s.n : 0;
	if (ok)
		return s.groups;
	goro_groups_free(s.groups, s.n);
	return NULL;
}

void goro_groups_free(struct goro_group *groups, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(groups[i].members);
		free(groups[i].weights);
	}
	free(groups);
}
