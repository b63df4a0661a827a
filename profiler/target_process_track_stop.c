/* SPDX-License-Identifier: MIT */
/*
 * target_process_track_stop.c - the keeper's part while the process stands, and afterwards; see
 * target_process_track.c.
 */
#include "target_process_keeper.h"
#include "target_process_track.h"

#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define AHEAD (UINT64_C(2) << 20) /* what one page of a page table maps */

/* ---- while it stands ------------------------------------------------------------- */

/* Its own: copy what was written to, or never copied. False: that cannot be done. */
static bool keep(struct keeper *k, const struct held *h, const struct page_run *run)
{
	uint8_t *state = track_state(k->track, h);
	const uint64_t hi = (run->hi - h->lo) / PAGE;

	for (uint64_t i = (run->lo - h->lo) / PAGE, end; i < hi; i = end) {
		bool stale = run->categories & IS_WRITTEN || state[i] != COPIED;

		for (end = i;
		     end < hi && (run->categories & IS_WRITTEN || state[end] != COPIED) == stale;
		     end++)
			state[end] = stale ? STALE : OWN;
		if (stale && !keeper_copy_range(k, h->lo + i * PAGE, h->lo + end * PAGE))
			return false;
	}
	return true;
}

/* Whatever was known of [lo, hi), it is something else now. */
static void forget(const struct process_track *t, uint64_t lo, uint64_t hi)
{
	for (size_t i = track_first(t, lo); i < t->n && t->v[i].lo < hi; i++) {
		const struct held *h = &t->v[i];
		uint64_t from = lo > h->lo ? lo : h->lo, to = hi < h->hi ? hi : h->hi;

		memset(track_state(t, h) + (from - h->lo) / PAGE, UNKNOWN, (to - from) / PAGE);
	}
}

/*
 * Nobody can read it now, but it counts whether there is anything in it. Guards of stacks lie close
 * together: what is behind the first is asked with it. (The process stands, so the answer holds.)
 */
static enum process_tracked note_unreadable(const struct process_track *t, const struct held *h,
					    const struct target_map *m)
{
	static struct page_run runs[RUNS], asked; /* [lo, hi), of maps without a file */
	static int n;

	forget(t, m->lo, m->hi);
	for (uint64_t at = m->lo, end; at < m->hi; at = end) {
		if (m->inode || at < asked.lo || at >= asked.hi) {
			const bool ahead = !m->inode && m->hi - at < AHEAD && !((at + AHEAD) >> 47);
			const struct page_run range = { at, ahead ? at + AHEAD : m->hi, 0 };

			n = track_scan(t, t->pagemap, &range, m->inode, 0, false, runs, &asked.hi);
			asked.lo = at;
		}
		if (n < 0)
			return TRACKED_LOST;
		end = asked.hi < m->hi ? asked.hi : m->hi;
		for (int k = 0; k < n; k++) {
			uint64_t lo = runs[k].lo > at ? runs[k].lo : at;
			uint64_t hi = runs[k].hi < end ? runs[k].hi : end;

			if (lo >= hi)
				continue;
			if (!h || m->hi > h->hi)
				return TRACKED_LOST;
			memset(track_state(t, h) + (lo - h->lo) / PAGE, OWN, (hi - lo) / PAGE);
		}
	}
	return TRACKED_ALL;
}

/* Of [lo, hi) what was copied is right: once the process runs again that is written down. */
static bool note_sure(struct process_track *t, uint64_t lo, uint64_t hi)
{
	struct page_run *bigger = realloc(t->sure, (t->nsure + 1) * sizeof *bigger);

	if (!bigger)
		return false;
	t->sure = bigger;
	bigger[t->nsure++] = (struct page_run){ lo, hi, 0 };
	return true;
}

void process_track_settle(struct process_track *t)
{
	for (size_t i = 0; i < t->nsure; i++) {
		const struct held *h = track_find(t, t->sure[i].lo);
		uint8_t *s = track_state(t, h) + (t->sure[i].lo - h->lo) / PAGE;
		uint8_t *end = s + (t->sure[i].hi - t->sure[i].lo) / PAGE;

		while ((s = memchr(s, COPIED, (size_t)(end - s))))
			*s++ = OWN;
	}
	free(t->sure);
	t->sure = NULL;
	t->nsure = 0;
}

enum process_tracked process_track_map(struct keeper *k, const struct target_map *m, uint64_t most)
{
	static struct page_run runs[RUNS];
	struct process_track *t = k->track;
	const struct held *h = track_find(t, m->lo);
	/* Another arena of cold stacks may have come since we asked where they are. */
	const bool exact = t->live->absent.n != 0;
	uint64_t done = m->lo;

	if (!track_holds(m))
		return TRACKED_NOT;
	if (!m->readable)
		return note_unreadable(t, h, m);
	if (!h || !h->registered || m->hi > h->hi) {
		forget(t, m->lo, m->hi);
		return TRACKED_NOT;
	}
	for (uint64_t at = m->lo, end; at < m->hi; at = end) {
		const struct page_run range = { at, m->hi, 0 };
		int n = track_scan(t, t->pagemap, &range, m->inode, SCAN_MARKED_ONLY, !exact, runs,
				   &end);

		if (n < 0) {
			forget(t, m->lo, m->hi);
			return TRACKED_NOT;
		}
		for (int i = 0; i < n; i++) {
			if (exact)
				track_drop(t, h, done, runs[i].lo);
			if (!keep(k, h, &runs[i]) || k->copied > most)
				return TRACKED_TOO_MUCH;
			done = runs[i].hi;
		}
	}
	if (exact)
		track_drop(t, h, done, m->hi);
	if (!exact && !note_sure(t, m->lo, m->hi))
		return TRACKED_TOO_MUCH;
	return TRACKED_ALL;
}

/* ---- afterwards -------------------------------------------------------------------
 */

/* Piece by piece: to give back all at once would hold up whoever wants memory meanwhile. */
void process_track_end(struct process_track *t)
{
	process_track_settle(t);
	for (size_t i = 0; i < t->n && t->uffd >= 0; i++) {
		const struct held *h = &t->v[i];

		for (uint64_t at = h->lo, end; h->registered && at < h->hi; at = end) {
			struct uffdio_range r = { .start = at };

			end = h->hi - at > PIECE * 8 ? at + PIECE * 8 : h->hi;
			r.len = end - at;
			ioctl(t->uffd, UFFDIO_UNREGISTER, &r);
		}
	}
	if (t->uffd >= 0)
		close(t->uffd);
	if (t->pagemap >= 0)
		close(t->pagemap);
	t->uffd = t->pagemap = -1;
}
