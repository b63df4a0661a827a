/* SPDX-License-Identifier: MIT */
/* fake_judge.c - what is wrong with whom in the shop. */
#define _GNU_SOURCE
#include "fake_scope.h"

#include <stdlib.h>
#include <string.h>

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
		f->members[f->nmembers++] = (uint32_t)i;
		f->n++;
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
