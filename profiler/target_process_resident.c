/* SPDX-License-Identifier: MIT */
/*
 * target_process_resident.c - what of many stacks is in RAM.
 *
 * Stacks lie close to each other, so the kernel is asked for many at once: from the first to the
 * last one that is not too far behind. It lists runs of pages that are there, where it can; else
 * the page map has a word for every page.
 */
#include "target_process.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "target_process_pages.h"

#define PAGE_PRESENT (1ull << 63) /* in an entry of pagemap */

enum {
	WINDOW = 8192,	 /* pages to ask for at a time */
	SCAN_GAP = 512,	 /* so many pages are cheaper to scan than to ask once more */
	WORDS_GAP = 128, /* likewise to read about */
	RUNS = 1024,
};

/* The end of those from v[0] on that are asked for together. */
static uint64_t end_of_window(const struct target_range *v, size_t n, uint64_t from, uint64_t page,
			      uint64_t gap)
{
	const uint64_t limit = from + WINDOW * page;
	uint64_t end = from;

	for (size_t i = 0; i < n && v[i].lo < limit && (!i || v[i].lo < end + gap * page); i++)
		end = v[i].hi;
	end = (end + page - 1) & ~(page - 1);
	return end < limit ? end : limit;
}

/* Of pages at the ends of a range, all counts. */
static void add_run(struct target_range *v, size_t n, size_t *first, const struct page_run *run,
		    uint64_t page)
{
	while (*first < n && v[*first].hi <= run->lo)
		(*first)++;
	for (size_t i = *first; i < n && v[i].lo < run->hi; i++) {
		uint64_t begin = v[i].lo & ~(page - 1), end = (v[i].hi + page - 1) & ~(page - 1);
		uint64_t lo = begin > run->lo ? begin : run->lo;
		uint64_t hi = end < run->hi ? end : run->hi;

		v[i].resident += hi - lo;
	}
}

/* False: this kernel cannot. */
static bool by_scanning(struct process *p, struct target_range *v, size_t n, uint64_t page)
{
	struct page_run runs[RUNS];
	uint64_t at = 0;

	for (size_t i = 0; i < n;) {
		uint64_t from = v[i].lo & ~(page - 1);
		struct scan_pages s = {
			.size = sizeof s,
			.start = at > from ? at : from,
			.vec = (uintptr_t)runs,
			.vec_len = RUNS,
			.mask = IS_PRESENT,
			.report = IS_PRESENT,
		};
		size_t first = i;
		int got;

		s.end = end_of_window(v + i, n - i, s.start, page, SCAN_GAP);
		got = ioctl(p->pagemap, SCAN_PAGES, &s);
		if (got < 0)
			return false;
		for (int k = 0; k < got; k++)
			add_run(v, n, &first, &runs[k], page);
		at = got < RUNS ? s.end : runs[got - 1].hi;
		while (i < n && v[i].hi <= at)
			i++;
	}
	return true;
}

static void by_words(struct process *p, struct target_range *v, size_t n, uint64_t page)
{
	uint64_t entries[WINDOW], at = 0, end = 0; /* addresses that entries[] describes now */

	for (size_t i = 0; i < n; i++) {
		uint64_t a = v[i].lo & ~(page - 1);

		while (a < v[i].hi) {
			if (a < at || a >= end) {
				uint64_t last = end_of_window(v + i, n - i, a, page, WORDS_GAP);
				ssize_t got = pread(p->pagemap, entries, (last - a) / page * 8,
						    (off_t)(a / page * 8));

				if (got < 8)
					break;
				at = a;
				end = a + (uint64_t)got / 8 * page;
			}
			for (; a < v[i].hi && a < end; a += page)
				v[i].resident += entries[(a - at) / page] & PAGE_PRESENT ? page : 0;
		}
	}
}

static void clear(struct target_range *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		v[i].resident = 0;
}

void process_resident(struct target *t, struct target_range *v, size_t n)
{
	struct process *p = (struct process *)t;
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	clear(v, n);
	if (p->pagemap == -1) {
		p->pagemap = openat(p->dir, "pagemap", O_RDONLY | O_CLOEXEC);
		if (p->pagemap < 0)
			p->pagemap = -2;
	}
	if (p->pagemap < 0)
		return;
	if (!p->no_scan && by_scanning(p, v, n, page))
		return;
	p->no_scan = true;
	clear(v, n);
	by_words(p, v, n, page);
}
