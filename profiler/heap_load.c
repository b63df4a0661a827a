/* SPDX-License-Identifier: MIT */
/*
 * heap_load.c - copying memory of the target: only pages that it has made its own.
 */
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
