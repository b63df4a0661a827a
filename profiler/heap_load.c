/* SPDX-License-Identifier: MIT */
/*
 * heap_load.c - copying memory of the target: only pages that it has made its own.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "heap_glibc.h"
#include "two.h"

enum { LINE = 64 }; /* of the cache */

#define WORTH_TWO (UINT64_C(8) << 20) /* bytes to copy */

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

uint64_t *heap_bitmap(const struct heap_area *a)
{
	const size_t size = heap_bitmap_words(a) * sizeof(uint64_t);
	uint64_t *bits = aligned_alloc(LINE, (size + LINE - 1) / LINE * LINE);

	return bits ? memset(bits, 0, size) : NULL;
}

/* ---- what chunks are in ------------------------------------------------------------------------
 */

/* An area to copy; the pieces of it are taken by whoever comes first. */
struct load {
	struct target *t;
	struct heap_area *a;
	struct sparse_store *store;
	const struct heap_area *past; /* or NULL */
	const bool *stop;	      /* or NULL */
	uint64_t next;		      /* bytes from a->lo */
	struct goro_error *err;
};

/* What stays in the processor's cache: memory for all the zeros is never touched. */
enum { PIECE_PAGES = 128 };

/* [at, end) by way of the window. */
static struct goro_error *copy_pages(struct load *l, uint64_t at, uint64_t end, uint8_t *window)
{
	struct target_read r = { .address = at, .to = window, .len = end - at };
	struct goro_error *err = l->t->ops->read(l->t, &r, 1);

	if (!err && !r.ok) {
		memset(window, 0, end - at);
		err = heap_load_run(l->t, at, end, window);
	}
	for (uint64_t p = at; !err && p < end; p += HEAP_PAGE) {
		const uint64_t i = (p - l->a->lo) / HEAP_PAGE;

		l->a->pages[i] = l->past ? l->past->words.pages[i] : 0;
		if (!sparse_put(l->store, &l->a->pages[i], window + (p - at)))
			err = &goro_enomem;
	}
	return err;
}

static struct goro_error *copy_piece(struct load *l, uint64_t at, uint64_t end, uint8_t *window)
{
	struct goro_error *err = NULL;
	uint8_t own[PIECE_PAGES];

	if (!l->t->ops->own_pages || !l->t->ops->own_pages(l->t, at, end, own))
		memset(own, 1, sizeof own);
	for (uint64_t p = at, stop; p < end && !err; p = stop) {
		bool is = own[(p - at) / HEAP_PAGE];

		for (stop = p; stop < end && (own[(stop - at) / HEAP_PAGE] != 0) == is;)
			stop += HEAP_PAGE;
		if (is)
			err = copy_pages(l, p, stop, window);
	}
	return err;
}

static bool is_stopped(const struct load *l)
{
	return l->stop && __atomic_load_n(l->stop, __ATOMIC_RELAXED);
}

static void copy_pieces(void *load)
{
	const uint64_t size = PIECE_PAGES * HEAP_PAGE;
	struct load *l = load;
	const uint64_t all = l->a->hi - l->a->lo;
	uint8_t *window = malloc(all < size ? all : size);
	struct goro_error *err = window ? NULL : &goro_enomem, *none = NULL;

	while (!err && !__atomic_load_n(&l->err, __ATOMIC_RELAXED)) {
		uint64_t at = l->a->lo + __atomic_fetch_add(&l->next, size, __ATOMIC_RELAXED);

		if (at >= l->a->hi)
			break;
		if (is_stopped(l))
			err = goro_error_new(GORO_PARTIAL, "nobody wants to know it");
		else
			err = copy_piece(l, at, l->a->hi - at > size ? at + size : l->a->hi,
					 window);
	}
	free(window);
	if (err && !__atomic_compare_exchange_n(&l->err, &none, err, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
		goro_error_free(err);
}

static struct goro_error *copy_area(const struct heap_search *s, struct heap_area *a,
				    struct sparse_store *store)
{
	struct target *t = s->t;
	struct load l = { .t = t,
			  .a = a,
			  .store = store,
			  .past = s->how->store ? heap_past(s->how->past, a) : NULL,
			  .stop = s->how->stop };
	uint8_t own;

	if (t->ops->threads && a->hi - a->lo >= WORTH_TWO) {
		t->ops->own_pages(t, a->lo, a->lo + HEAP_PAGE, &own);
		two_work(copy_pieces, &l);
	} else {
		copy_pieces(&l);
	}
	return l.err;
}

void heap_area_free(struct heap_area *a)
{
	sparse_close(&a->own);
	free(a->pages);
	if (!a->borrowed) {
		free(a->start);
		free(a->covers);
	}
	free(a->mark);
	free(a->walked);
	*a = (struct heap_area){ 0 };
}

struct goro_error *heap_area_load(struct heap_search *s, struct heap_area *a, uint64_t lo,
				  uint64_t hi)
{
	struct sparse_store *store = s->how->store;

	*a = (struct heap_area){ .lo = lo, .hi = hi, .its = { lo, hi } };
	/* It is copied by pages; only a core file that lies has maps of other bounds. */
	if (lo % HEAP_PAGE || hi % HEAP_PAGE)
		return goro_error_new(GORO_PARTIAL,
				      "its heap is not in whole pages: 0x%llx to 0x%llx",
				      (unsigned long long)lo, (unsigned long long)hi);
	s->h->bytes += hi - lo;
	if (s->h->bytes > s->how->most)
		return goro_error_new(GORO_PARTIAL,
				      "its heap of more than %llu MiB does not fit in our memory",
				      (unsigned long long)(s->how->most >> 20));
	a->start = heap_bitmap(a);
	a->mark = heap_bitmap(a);
	a->covers = calloc((hi - lo) / HEAP_PAGE + 2, sizeof *a->covers);
	if (!a->start || !a->mark || !a->covers)
		return &goro_enomem;
	if (s->t->ops->sparse && s->t->ops->sparse(s->t, lo, hi, &a->words))
		return NULL;
	a->pages = calloc((hi - lo) / HEAP_PAGE + 1, sizeof *a->pages);
	if (!a->pages || (!store && !sparse_open(&a->own, hi - lo, 1)))
		return &goro_enomem;
	a->words = (struct sparse){ lo, hi, a->pages, store ? store->words : a->own.words };
	return copy_area(s, a, store ? store : &a->own);
}
