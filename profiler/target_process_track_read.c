/* SPDX-License-Identifier: MIT */
/*
 * target_process_track_read.c - what was copied, for whoever asked for it; see
 * target_process_track.c.
 */
#include "target_process_track.h"

static struct sparse sparse_of(const struct process_track *t, const struct held *h)
{
	return (struct sparse){ h->lo, h->hi, track_pages(t, h), t->store->words };
}

static void get(const struct process_track *t, const struct held *h, uint64_t at, size_t len,
		void *to)
{
	const struct sparse all = sparse_of(t, h);

	sparse_get(&all, at, len, to);
}

bool process_track_fill(const struct process_track *t, const struct target_read *r)
{
	uint64_t at = r->address, hi = at + r->len, end;
	bool all = true;

	for (; at < hi; at = end) {
		const struct held *h = track_find(t, at);
		uint8_t *to = (uint8_t *)r->to + (at - r->address), state;

		end = (at / PAGE + 1) * PAGE;
		end = end < hi ? end : hi;
		state = h ? track_state(t, h)[(at - h->lo) / PAGE] : UNKNOWN;
		if (h && h->readable && state == OWN)
			get(t, h, at, end - at, to);
		else if (h && h->readable && state == NONE && !h->file)
			memset(to, 0, end - at);
		else
			all = false;
	}
	return all;
}

void process_track_own(const struct process_track *t, uint64_t lo, uint64_t hi, uint8_t *own)
{
	for (uint64_t at = lo, end; at < hi; at = end) {
		const struct held *h = track_find(t, at);

		end = h && h->hi < hi ? h->hi : hi;
		if (!h) {
			end = at + PAGE;
			continue;
		}
		for (; at < end; at += PAGE)
			own[(at - lo) / PAGE] = track_state(t, h)[(at - h->lo) / PAGE] == OWN;
	}
}

bool process_track_sparse(const struct process_track *t, uint64_t lo, uint64_t hi,
			  struct sparse *ret)
{
	const struct held *h = track_find(t, lo);
	const uint8_t *state;

	if (!h || hi > h->hi || h->file || !h->readable)
		return false;
	state = track_state(t, h) + (lo - h->lo) / PAGE;
	if (memchr(state, UNKNOWN, (hi - lo) / PAGE) || memchr(state, COPIED, (hi - lo) / PAGE) ||
	    memchr(state, STALE, (hi - lo) / PAGE))
		return false;
	*ret = sparse_of(t, h);
	return true;
}
