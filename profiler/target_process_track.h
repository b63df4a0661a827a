/* SPDX-License-Identifier: MIT */
/*
 * target_process_track.h - what the files target_process_track*.c share; the first of them says how
 * it works.
 */
#ifndef GORO_TARGET_PROCESS_TRACK_H
#define GORO_TARGET_PROCESS_TRACK_H

#include "sparse.h"
#include "target_process.h"
#include "target_process_pages.h"

#include <string.h>

/* Of each page. */
enum {
	UNKNOWN = 0,
	OWN = 1,
	NONE = 2,
	COPIED = 3, /* while it ran */
	STALE = 4   /* its own, and what was copied while it stood is right */
};

enum { RUNS = 8192, BATCH = 512, PAGE = 4096, ROUNDS = 5 };

#define PIECE	   (UINT64_C(4) << 20)	/* for which the process's memory map is held */
#define SHARE	   (UINT64_C(16) << 20) /* that one thread copies */
#define WINDOW	   (UINT64_C(1) << 19)	/* stays in the processor's cache */
#define MOST_SPACE (UINT64_C(64) << 30) /* of its address space */
#define FEW_BYTES  (UINT64_C(256) << 10)

/* A private map. */
struct held {
	uint64_t lo, hi;
	uint64_t pages, state; /* offsets: of what sparse.h says of each page, of a byte of state */
	bool file;	       /* what is not its own is the file's, else zeroes */
	bool readable;
	bool registered;
};

/* All of it lies in shared memory between keeper and us. */
struct process_track {
	size_t size, n;
	struct target *live;
	int pid;
	uint64_t not_own; /* what the kernel can tell of pages that hold nothing of its own */

	/* The keeper's. */
	int uffd, pagemap;
	struct page_run *sure; /* what is right unless it was said to be written to */
	size_t nsure;

	/* Ours. */
	struct sparse_store *store;
	const struct sparse *drafts;
	size_t ndrafts;

	struct held v[];
};

static inline uint32_t *track_pages(const struct process_track *t, const struct held *h)
{
	return (void *)((uint8_t *)t + h->pages);
}

static inline uint8_t *track_state(const struct process_track *t, const struct held *h)
{
	return (uint8_t *)t + h->state;
}

/* Is it held at all? */
static inline bool track_holds(const struct target_map *m)
{
	/* The kernel's own have no pages, and user memory ends at 2^47. */
	return !m->shared && m->lo >> 47 == 0 && !(m->path && !strncmp(m->path, "[v", 2));
}

/* The first that ends behind address. */
static inline size_t track_first(const struct process_track *t, uint64_t address)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (t->v[mid].hi <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Which one address lies in, or NULL. */
static inline const struct held *track_find(const struct process_track *t, uint64_t address)
{
	size_t i = track_first(t, address);

	return i < t->n && t->v[i].lo <= address ? &t->v[i] : NULL;
}

/* ---- target_process_track_copy.c --------------------------------------------------------------
 */

/* Many pieces at once, by way of a window of WINDOW bytes. Each thread has its own. */
struct copier {
	struct process_track *t;
	int pagemap;
	uint8_t *window;
	struct target_read v[BATCH];
	size_t n, used; /* of the window */
	uint64_t bytes;
	bool full; /* there is no room for some */
};

/* Copy [lo, hi), which is its own; the second once there is no more of it. */
void track_copy(struct copier *c, uint64_t lo, uint64_t hi);
void track_flush(struct copier *c);
/* Put one page into the copy; false: there is no room. */
bool track_put(struct process_track *t, const struct held *h, uint64_t address,
	       const uint8_t *bytes);
/* What was copied of it is not there any more. */
void track_drop(const struct process_track *t, const struct held *h, uint64_t lo, uint64_t hi);

/*
 * The runs of its own pages in [lo, hi), up to where *end says. -1: not possible. Whether a page is
 * a file's is not asked where there is none: that takes ten times as long.
 */
int track_scan(const struct process_track *t, int pagemap, const struct page_run *range, bool file,
	       uint64_t flags, bool written, struct page_run *v, uint64_t *end);

#endif /* GORO_TARGET_PROCESS_TRACK_H */
