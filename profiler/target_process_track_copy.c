/* SPDX-License-Identifier: MIT */
/*
 * target_process_track_copy.c - which pages of a process are its own, and what is in them; see
 * target_process_track.c.
 */
#include "target_process_track.h"

#include <sys/ioctl.h>

int track_scan(const struct process_track *t, int pagemap, const struct page_run *range, bool file,
	       uint64_t flags, bool written, struct page_run *v, uint64_t *end)
{
	const uint64_t not = t->not_own | (file ? IS_FILE : 0u);
	struct scan_pages s = {
		.size = sizeof s,
		.flags = flags,
		.start = range->lo,
		.end = range->hi,
		.vec = (uintptr_t)v,
		.vec_len = RUNS,
		.inverted = not,
		.mask = not | (written ? IS_WRITTEN : 0u),
		.any_of = IS_PRESENT | IS_SWAPPED,
		.report = IS_WRITTEN,
	};
	int n = ioctl(pagemap, SCAN_PAGES, &s);

	/* Not walk_end: that is where the kernel emptied a buffer of
	 * its own, which may be before. */
	*end = n < RUNS ? range->hi : v[n - 1].hi;
	return n < 0 ? -1 : n;
}

void track_drop(const struct process_track *t, const struct held *h, uint64_t lo, uint64_t hi)
{
	uint8_t *state = track_state(t, h) + (lo - h->lo) / PAGE, *end = state + (hi - lo) / PAGE;

	for (uint8_t *s = state; s < end && (s = memchr(s, COPIED, (size_t)(end - s))); s++) {
		track_pages(t, h)[(lo - h->lo) / PAGE + (uint64_t)(s - state)] = 0;
		*s = NONE;
	}
}

/* What its owner cannot read either holds nothing that counts. */
static void lose(const struct process_track *t, const struct held *h, uint64_t address)
{
	track_pages(t, h)[(address - h->lo) / PAGE] = 0;
	track_state(t, h)[(address - h->lo) / PAGE] = NONE;
}

/* One page that could not be read with others: it, or one of them, is the reason. */
static bool read_page(const struct process_track *t, uint64_t address, void *to)
{
	struct target_read page = { .address = address, .to = to, .len = PAGE };

	goro_error_free(process_read_pid(t->live, t->pid, &page, 1));
	return page.ok;
}

/* What was copied of this page before. */
static uint32_t draft_of(const struct process_track *t, uint64_t address)
{
	for (size_t i = 0; i < t->ndrafts; i++) {
		const struct sparse *d = &t->drafts[i];

		if (address >= d->lo && address < d->hi)
			return d->pages[(address - d->lo) / PAGE];
	}
	return 0;
}

bool track_put(struct process_track *t, const struct held *h, uint64_t address,
	       const uint8_t *bytes)
{
	uint32_t *page = &track_pages(t, h)[(address - h->lo) / PAGE];

	if (!*page)
		*page = draft_of(t, address);
	return sparse_put(t->store, page, bytes);
}

void track_flush(struct copier *c)
{
	struct goro_error *err = c->full ? NULL
					 : process_read_pid(c->t->live, c->t->pid, c->v, c->n);

	/* An error and not a piece that cannot be read: it is gone, and each call would wait for
	 * that. */
	c->full |= err != NULL;
	goro_error_free(err);
	for (size_t i = 0; i < c->n && !c->full; i++) {
		const struct held *h = track_find(c->t, c->v[i].address);
		uint8_t *bytes = c->v[i].to;

		for (size_t at = 0; h && at < c->v[i].len; at += PAGE) {
			uint64_t address = c->v[i].address + at;

			if (!c->v[i].ok && !read_page(c->t, address, bytes + at))
				lose(c->t, h, address);
			else
				c->full |= !track_put(c->t, h, address, bytes + at);
		}
	}
	c->n = c->used = 0;
}

void track_copy(struct copier *c, uint64_t lo, uint64_t hi)
{
	c->bytes += hi - lo;
	for (uint64_t end; lo < hi; lo = end) {
		end = hi - lo > WINDOW - c->used ? lo + (WINDOW - c->used) : hi;
		c->v[c->n++] = (struct target_read){ .address = lo,
						     .to = c->window + c->used,
						     .len = end - lo };
		c->used += end - lo;
		if (c->n == BATCH || c->used == WINDOW)
			track_flush(c);
	}
}
