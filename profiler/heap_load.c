/* SPDX-License-Identifier: MIT */
/*
 * heap_load.c - copying memory of the target: only pages that it has made its own.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "heap_glibc.h"

struct goro_error *heap_load_run(struct target *t, uint64_t lo, uint64_t hi, uint8_t *to)
{
	struct target_read r = { .address = lo, .to = to, .len = hi - lo };
	struct goro_error *err = t->ops->read(t, &r, 1);

	/* A page in it that faults: leave that one out. */
	if (err || r.ok || lo / HEAP_PAGE == (hi - 1) / HEAP_PAGE)
		return err;
	for (uint64_t a = lo, end; !err && a < hi; a = end) {
		end = (a / HEAP_PAGE + 1) * HEAP_PAGE;
		end = end < hi ? end : hi;
		err = heap_load_run(t, a, end, to + (a - lo));
	}
	return err;
}

struct goro_error *heap_load(struct target *t, uint64_t lo, uint64_t hi, uint8_t *to)
{
	enum { PAGES = 4096 };
	uint8_t own[PAGES];
	struct goro_error *err = NULL;

	for (uint64_t at = lo, end; at < hi && !err; at = end) {
		uint64_t run = 0;

		end = hi - at > PAGES * HEAP_PAGE ? at + PAGES * HEAP_PAGE : hi;
		if (!t->ops->own_pages || !t->ops->own_pages(t, at, end, own))
			memset(own, 1, sizeof own);
		for (uint64_t a = at; a < end && !err; a += HEAP_PAGE) {
			bool is = own[(a - at) / HEAP_PAGE];

			if (is && !run)
				run = a;
			if (!is && run) {
				err = heap_load_run(t, run, a, to + (run - lo));
				run = 0;
			}
		}
		if (run && !err)
			err = heap_load_run(t, run, end, to + (run - lo));
	}
	return err;
}

void *heap_map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* ---- what chunks are in ------------------------------------------------------------------------
 */

/* [at, end) by way of the window, which is zero before and afterwards. */
static struct goro_error *copy_pages(struct target *t, struct heap_area *a, uint64_t at,
				     uint64_t end, uint8_t *window)
{
	struct goro_error *err = heap_load_run(t, at, end, window);

	for (uint64_t p = at; !err && p < end; p += HEAP_PAGE) {
		if (!sparse_put(&a->own, &a->pages[(p - a->lo) / HEAP_PAGE], window + (p - at)))
			err = &goro_enomem;
	}
	memset(window, 0, end - at);
	return err;
}

/* A window that stays in the processor's cache, so memory for all the zeros is never touched. */
static struct goro_error *copy_area(struct target *t, struct heap_area *a)
{
	enum { PAGES = 128 };
	uint8_t own[PAGES], *window = calloc(PAGES, HEAP_PAGE);
	struct goro_error *err = window ? NULL : &goro_enomem;

	for (uint64_t at = a->lo, end; at < a->hi && !err; at = end) {
		end = a->hi - at > PAGES * HEAP_PAGE ? at + PAGES * HEAP_PAGE : a->hi;
		if (!t->ops->own_pages || !t->ops->own_pages(t, at, end, own))
			memset(own, 1, sizeof own);
		for (uint64_t p = at, stop; p < end && !err; p = stop) {
			bool is = own[(p - at) / HEAP_PAGE];

			for (stop = p; stop < end && (own[(stop - at) / HEAP_PAGE] != 0) == is;)
				stop += HEAP_PAGE;
			if (is)
				err = copy_pages(t, a, p, stop, window);
		}
	}
	free(window);
	return err;
}

void heap_area_free(struct heap_area *a)
{
	if (a->own.words)
		munmap(a->own.words, a->own.room * sizeof *a->own.words);
	free(a->pages);
	free(a->start);
	free(a->mark);
	free(a->covers);
	*a = (struct heap_area){ 0 };
}

struct goro_error *heap_area_load(struct heap_search *s, struct heap_area *a, uint64_t lo,
				  uint64_t hi)
{
	uint64_t bits = (hi - lo) / HEAP_GRANULE + 64;

	*a = (struct heap_area){ .lo = lo, .hi = hi, .its = { lo, hi } };
	s->h->bytes += hi - lo;
	if (s->h->bytes > s->most)
		return goro_error_new(GORO_PARTIAL,
				      "its heap of more than %llu MiB does not fit in our memory",
				      (unsigned long long)(s->most >> 20));
	a->start = calloc(bits / 64 + 1, sizeof *a->start);
	a->mark = calloc(bits / 64 + 1, sizeof *a->mark);
	a->covers = calloc((hi - lo) / HEAP_PAGE + 2, sizeof *a->covers);
	if (!a->start || !a->mark || !a->covers)
		return &goro_enomem;
	if (s->t->ops->sparse && s->t->ops->sparse(s->t, lo, hi, &a->words))
		return NULL;
	a->own.room = sparse_room(hi - lo);
	a->own.words = heap_map(a->own.room * sizeof *a->own.words);
	a->pages = calloc((hi - lo) / HEAP_PAGE + 1, sizeof *a->pages);
	if (!a->own.words || !a->pages)
		return &goro_enomem;
	a->words = (struct sparse){ lo, hi, a->pages, a->own.words };
	return copy_area(s->t, a);
}
