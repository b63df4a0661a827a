/* SPDX-License-Identifier: MIT */
/* fake_judge.c - who belongs together in the shop, and what is wrong with whom. */
#define _GNU_SOURCE
#include "fake_scope.h"

#include <stdlib.h>
#include <string.h>

static uint64_t key_of(const struct goro_info *g, enum goro_group_key key)
{
	return key == GORO_BY_SPAWN   ? g->spawn_pc
	       : key == GORO_BY_STACK ? g->stack_id
	       : key == GORO_BY_STATE ? ((uint64_t)g->state << 8 | g->reason)
				      : g->id;
}

static int by_wait(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

void goro_heap_add(struct goro_heap *sum, const struct goro_heap *h)
{
	sum->bytes += h->bytes;
	sum->objects += h->objects;
	sum->total_bytes += h->total_bytes;
	sum->total_objects += h->total_objects;
}

static void add_up(const struct goro_snapshot *s, struct goro_group *g)
{
	uint64_t *waits = calloc(g->n, sizeof(*waits));

	for (size_t i = 0; i < g->n; i++) {
		const struct goro_info *info = &s->g[g->members[i]];

		waits[i] = info->wait_ns;
		g->stack_resident += info->stack_resident;
		if (s->heap)
			goro_heap_add(&g->heap, &s->heap[g->members[i]]);
		if (info->verdict > g->verdict)
			g->verdict = info->verdict;
	}
	qsort(waits, g->n, sizeof(*waits), by_wait);
	g->oldest_wait_ns = waits[g->n - 1];
	g->median_wait_ns = waits[g->n / 2];
	free(waits);
}

static int biggest_first(const void *a, const void *b)
{
	const struct goro_group *x = a, *y = b;

	return (x->n < y->n) - (x->n > y->n);
}

struct goro_group *goro_groups(const struct goro_snapshot *s, enum goro_group_key key, size_t *n)
{
	struct goro_group *groups = calloc(s->ng + 1, sizeof(*groups));

	*n = 0;
	for (size_t i = 0; i < s->ng; i++) {
		uint64_t k = key_of(&s->g[i], key);
		size_t at = 0;

		while (at < *n && groups[at].key != k)
			at++;
		if (at == *n) {
			groups[at].key = k;
			groups[at].members = calloc(s->ng, sizeof(uint32_t));
			++*n;
		}
		groups[at].members[groups[at].n++] = (uint32_t)i;
	}
	for (size_t i = 0; i < *n; i++)
		add_up(s, &groups[i]);
	qsort(groups, *n, sizeof(*groups), biggest_first);
	return groups;
}

void goro_groups_free(struct goro_group *groups, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(groups[i].members);
	free(groups);
}

static void find(struct goro_snapshot *s, struct goro_verdicts *v, uint64_t from, uint64_t to,
		 enum goro_verdict verdict, enum goro_proof proof, const char *evidence)
{
	struct goro_finding *f = &v->findings[v->n];

	f->verdict = verdict;
	f->proof = proof;
	f->evidence = strdup(evidence);
	f->members = calloc(s->ng, sizeof(*f->members));
	for (size_t i = 0; i < s->ng; i++) {
		struct goro_info *g = &s->g[i];

		if (g->id < from || g->id >= to)
			continue;
		g->verdict = verdict;
		g->proof = proof;
		g->finding = (uint32_t)v->n;
		f->members[f->n++] = (uint32_t)i;
		v->leaked += verdict == GORO_VERDICT_LEAKED;
		v->likely += verdict == GORO_VERDICT_LIKELY;
		v->suspect += verdict == GORO_VERDICT_SUSPECT;
	}
	v->n++;
}

struct goro_error *goro_scope_judge(struct goro_scope *scope, struct goro_snapshot *s,
				    const struct goro_verdict_options *opt,
				    struct goro_verdicts **ret)
{
	struct goro_verdicts *v = calloc(1, sizeof(*v));

	(void)scope;
	v->findings = calloc(2, sizeof(*v->findings));
	find(s, v, 300, 302, GORO_VERDICT_LEAKED, GORO_PROOF_CYCLE,
	     "goroutine 300 waits in sync.Mutex.Lock at /srv/shop/src/cache.c:240 (lru_touch) for"
	     " the mutex at 0x7f40, held by goroutine 301\n"
	     "goroutine 301 waits in sync.Mutex.Lock at /srv/shop/src/cache.c:240 (lru_touch) for"
	     " the mutex at 0x7f20, held by goroutine 300");
	fake.proved |= opt->reach;
	v->reach.tried = opt->reach;
	v->reach.stops = opt->reach;
	v->reach.pause_ns = opt->reach ? 612000 : 0;
	if (fake.proved)
		find(s, v, FAKE_FIRST_LEAK, UINT64_MAX, GORO_VERDICT_LEAKED, GORO_PROOF_UNREACHABLE,
		     "nothing that can still run has a pointer to it");
	else if (fake.leaks_per_tick)
		find(s, v, FAKE_FIRST_LEAK, UINT64_MAX, GORO_VERDICT_LIKELY, GORO_PROOF_GROWTH,
		     "grew at every scan and none was woken");
	*ret = v;
	return NULL;
}

void goro_verdicts_free(struct goro_verdicts *v)
{
	if (!v)
		return;
	for (size_t i = 0; i < v->n; i++) {
		free(v->findings[i].members);
		free(v->findings[i].evidence);
	}
	free(v->findings);
	free(v);
}
