/* SPDX-License-Identifier: MIT */
/*
 * heap_blocks.c - objects that malloc gave a mapping of their own.
 */
#include <stdlib.h>
#include "heap_glibc.h"

static bool add_block(struct heap *h, uint64_t lo, uint64_t hi)
{
	if (!(h->nblocks & (h->nblocks - 1))) {
		size_t cap = h->nblocks ? h->nblocks * 2 : 1;
		struct heap_block *bigger = realloc(h->blocks, cap * sizeof *bigger);

		if (!bigger)
			return false;
		h->blocks = bigger;
	}
	h->blocks[h->nblocks++] = (struct heap_block){ lo, hi };
	return true;
}

/* The end of what there is no need to look at, if `at` lies in such memory; else 0. */
static uint64_t known_until(const struct heap_search *s, uint64_t at)
{
	for (size_t i = 0; i < s->h->nareas; i++) {
		if (at >= s->h->areas[i].lo && at < s->h->areas[i].hi)
			return s->h->areas[i].hi;
	}
	for (size_t i = 0; i < s->nskip; i++) {
		if (at >= s->skip[i].lo && at < s->skip[i].hi)
			return s->skip[i].hi;
	}
	return 0;
}

static bool all_found(const struct heap_search *s)
{
	return s->h->nblocks == s->n_mmaps && s->found == s->mmapped_mem;
}

/* One of them may begin at each page that is written. `at` is moved behind what was looked at. */
static struct goro_error *search_pages(struct heap_search *s, const struct target_map *m,
				       uint64_t *at)
{
	enum { BATCH = 512 };
	uint64_t heads[BATCH][2],
		end = m->hi - *at > BATCH * HEAP_PAGE ? *at + BATCH * HEAP_PAGE : m->hi;
	struct target_read reads[BATCH];
	struct goro_error *err;
	uint8_t own[BATCH];
	size_t n = 0;

	if (!s->t->ops->own_pages || !s->t->ops->own_pages(s->t, *at, end, own))
		memset(own, 1, sizeof own);
	for (uint64_t a = *at; a < end; a += HEAP_PAGE) {
		if (own[(a - *at) / HEAP_PAGE]) {
			reads[n] = (struct target_read){ .address = a,
							 .to = heads[n],
							 .len = sizeof heads[n] };
			n++;
		}
	}
	*at = end;
	err = s->t->ops->read(s->t, reads, n);
	for (size_t k = 0, skip = 0; !err && k < n; k++) {
		uint64_t a = reads[k].address, size = heads[k][1] & ~7ull;

		if (!reads[k].ok || a < skip || heads[k][0] ||
		    (heads[k][1] & FLAGS) != IS_MMAPPED || size < HEAP_PAGE || size % HEAP_PAGE ||
		    size > m->hi - a || known_until(s, a))
			continue;
		if (!add_block(s->h, a, a + size))
			return &goro_enomem;
		s->found += size;
		skip = a + size;
		if (skip > *at)
			*at = skip;
	}
	return err;
}

/*
 * They begin with a page, no list leads to them, and neighbours are shown as one map. But malloc
 * counts them: if as many as there must be are found, with as many bytes, they are all of them. All
 * memory is searched, though: what only looks like one would take the place of another.
 */
struct goro_error *heap_find_blocks(struct heap_search *s)
{
	struct goro_error *err = NULL;

	for (size_t i = 0; i < s->maps->n && !err && s->n_mmaps; i++) {
		const struct target_map *m = &s->maps->v[i];
		uint64_t at = m->lo;

		if (!m->readable || !m->writable || m->shared || m->inode || m->path)
			continue;
		while (at < m->hi && !err && s->h->nblocks <= s->n_mmaps) {
			uint64_t known = known_until(s, at);

			if (known)
				at = known;
			else
				err = search_pages(s, m, &at);
		}
	}
	if (!err && !all_found(s)) {
		/* Too few there may be for a moment only. */
		s->h->busy |= s->h->nblocks <= s->n_mmaps;
		s->h->nblocks = 0;
		s->lost = true;
	}
	return err;
}
