/* SPDX-License-Identifier: MIT */
/*
 * target_process_pages.h - asking the kernel which pages of a process are what: PAGEMAP_SCAN, which
 * Linux has since 6.7, and the C library's headers not yet.
 */
#ifndef GORO_TARGET_PROCESS_PAGES_H
#define GORO_TARGET_PROCESS_PAGES_H

#include <stdint.h>
#include <sys/ioctl.h>

/* Pages in a row, in the answer. */
struct page_run {
	uint64_t lo, hi, categories;
};

struct scan_pages {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t inverted, mask, any_of, report;
};

#define SCAN_PAGES	 _IOWR('f', 16, struct scan_pages)
#define SCAN_AND_MARK	 (UINT64_C(1) << 0)
#define SCAN_MARKED_ONLY (UINT64_C(1) << 1) /* fail where marks are not kept */

enum {
	IS_WRITTEN = 1 << 1,
	IS_FILE = 1 << 2,
	IS_PRESENT = 1 << 3,
	IS_SWAPPED = 1 << 4,
	IS_ZERO = 1 << 5,
	IS_GUARD = 1 << 8, /* since 6.15; nothing is there, and nobody may read it */
};

#endif /* GORO_TARGET_PROCESS_PAGES_H */
