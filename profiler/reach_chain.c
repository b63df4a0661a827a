/* SPDX-License-Identifier: MIT */
/*
 * reach_chain.c - why a goroutine can be woken: the chain from a root to what it waits for.
 */
#include "reach_run.h"

#include <stdlib.h>

static int by_origin(const void *a, const void *b)
{
	const struct origin *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

static bool has_origin(const struct run *r, uint64_t key)
{
	const struct origin o = { .key = key };

	return bsearch(&o, r->origins, r->norigins, sizeof o, by_origin);
}

/* What was being searched when `key` was marked from this link, under its own key; 0: a root. */
static uint64_t key_of(const struct run *r, const struct reach_link *from, uint64_t key)
{
	if (from->kind == REACH_OBJECT)
		return from->object;
	if (from->kind == REACH_STACK || from->kind == REACH_RECORD) {
		const struct goro_info *g = goro_snapshot_find(r->view->snap, from->id);
		size_t i = g ? (size_t)(g - r->view->snap->g) : 0;

		/* Of those that are not blocked the stack is a root. */
		if (!g || !r->candidate[i])
			return 0;
		/* A pointer into its stack came first. */
		if (key != r->from[i] && has_origin(r, r->from[i]))
			return r->from[i];
		for (size_t k = 0; k < r->nwatch; k++) {
			/* It was woken by the first of its objects that was marked. */
			if (r->watch[k].g == i && r->watch[k].key != key &&
			    has_origin(r, r->watch[k].key))
				return r->watch[k].key;
		}
	}
	return 0;
}

/* From what the goroutine waits for back to a root, then the other way round. */
bool reach_find_chain(struct run *r)
{
	enum { MOST = 64 };
	struct reach_link *v = calloc(MOST, sizeof *v);
	struct origin key = { .key = r->why_key };
	size_t n = 0;

	if (!v)
		return false;
	if (r->norigins)
		qsort(r->origins, r->norigins, sizeof *r->origins, by_origin);
	while (key.key && n < MOST) {
		const struct origin *o =
			bsearch(&key, r->origins, r->norigins, sizeof key, by_origin);

		if (!o)
			break;
		v[n++] = o->from;
		key.key = key_of(r, &o->from, key.key);
	}
	for (size_t i = 0; i < n / 2; i++) {
		struct reach_link swap = v[i];

		v[i] = v[n - 1 - i];
		v[n - 1 - i] = swap;
	}
	r->ret->chain = v;
	r->ret->nchain = n;
	return true;
}
