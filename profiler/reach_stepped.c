/* SPDX-License-Identifier: MIT */
/*
 * reach_stepped.c - pointers that lie beside what they lead to.
 *
 * C has none, but compilers make some. Of
 *
 *	for (i = 0; i < n; i++) {
 *		goro_chan_recv(t[i].answer, &v);
 *		goro_chan_recv(t[i].log, &v);
 *	}
 *
 * gcc makes a loop that has stepped on when it waits for the answer, and finds the log behind it.
 * Of an array that nobody uses afterwards, what is left at the last element lies behind its end, in
 * the next object; or before its begin, if the loop goes down. How far depends on the struct: by as
 * much as the field lies behind its begin that the loop goes by.
 *
 * So of what lies up to STEPPED bytes beside a word of a stack or a register, the nearest part
 * counts as reachable: as much as a struct that a loop goes over may have. Not so channels: only
 * the runtime knows what is in one, and steps over none. What is missing are structs in which that
 * field lies further in.
 *
 * Rejected: to do so with all words (the end of a buffer of stdio's lies in the header of the next
 * object, which nothing would then prove leaked); to mark those objects as a whole; 24 bytes and
 * more, by which neighbours in the heap keep what is leaked (tests/reclaim sees it).
 */
#include "reach_run.h"

#include <string.h>

#include "goro_introspect.h"
#include "reach_skip.h"

enum {
	STEPPED = 16, /* bytes beside an object */
	PART = 48,    /* of it, counted from there */
	DEEP = 16384, /* of a thread's stack */
};

/* Whoever waits for what begins there waits for channels: that is what it is. */
static bool is_channel(const struct run *r, uint32_t area, uint32_t granule)
{
	const uint64_t key = r->heap.areas[area].lo + (uint64_t)granule * HEAP_GRANULE;
	const struct goro_info *g;
	size_t lo = 0, hi = r->nwatch;

	if (!heap_bit(r->watched[area], granule))
		return false;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (r->watch[mid].key < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == r->nwatch || r->watch[lo].key != key)
		return false;
	g = &r->view->snap->g[r->watch[lo].g];
	return g->wait_class == GORO_CLASS_CHAN || g->wait_class == GORO_CLASS_SELECT;
}

/* The words of [from, to) of an object, and who waits for anything in it. */
static void search_part(struct run *r, uint32_t area, uint32_t granule, uint64_t from, uint64_t to,
			uint64_t at)
{
	const struct heap_area *a = &r->heap.areas[area];

	if (heap_bit(a->mark, granule) || is_channel(r, area, granule))
		return;
	if (heap_bit(r->watched[area], granule))
		reach_visit(r, a->lo + (uint64_t)granule * HEAP_GRANULE, at);
	for (uint64_t v = from; v < to; v += 8)
		reach_word(r, heap_word_at(a, v), at);
}

static void search_before(struct run *r, uint32_t area, uint64_t v, uint64_t at)
{
	const struct heap_area *a = &r->heap.areas[area];
	uint32_t granule;

	for (uint64_t p = v; p > a->lo + HEAP_GRANULE && p + STEPPED > v; p -= HEAP_GRANULE) {
		uint64_t begin, end;

		granule = heap_find(a, p);
		if (granule == UINT32_MAX)
			continue;
		begin = a->lo + (uint64_t)granule * HEAP_GRANULE;
		end = begin + heap_size(a, granule);
		if (end + STEPPED <= v)
			return;
		if (end <= v)
			search_part(r, area, granule, end - begin > PART ? end - PART : begin, end,
				    at);
		p = begin;
	}
}

/* Bits of the granules from that one on, as many as lie STEPPED bytes behind each other. */
static uint64_t next_starts(const struct heap_area *a, uint64_t granule)
{
	const uint64_t at = granule / 64, shift = granule % 64;
	uint64_t bits = a->start[at] >> shift;

	if (shift && (at + 1) * 64 * HEAP_GRANULE < a->hi - a->lo)
		bits |= a->start[at + 1] << (64 - shift);
	return bits & ((1ull << STEPPED / HEAP_GRANULE) - 1);
}

static void search_behind(struct run *r, uint32_t area, uint64_t v, uint64_t at)
{
	const struct heap_area *a = &r->heap.areas[area];
	const uint64_t first = (v - a->lo) / HEAP_GRANULE + 1;
	uint64_t bits;

	if (a->lo + first * HEAP_GRANULE >= a->hi)
		return;
	for (bits = next_starts(a, first); bits; bits &= bits - 1) {
		const uint64_t granule = first + (unsigned)__builtin_ctzll(bits);
		const uint64_t begin = a->lo + granule * HEAP_GRANULE;
		const size_t size = heap_size(a, (uint32_t)granule);

		search_part(r, area, (uint32_t)granule, begin, begin + (size < PART ? size : PART),
			    at);
	}
}

static void search_beside(struct run *r, uint64_t v, uint64_t at)
{
	const struct zone *z = zones_find(&r->zones, v);

	if (!z)
		z = zones_find(&r->zones, v - STEPPED);
	if (!z || z->kind != ZONE_AREA)
		return;
	search_before(r, z->index, v, at);
	if (v < z->hi)
		search_behind(r, z->index, v, at);
}

void reach_search_stepped(struct run *r, const uint8_t *bytes, size_t size, uint64_t at)
{
	if (r->retaining || reach_skips("stepped"))
		return;
	for (size_t i = 0; i + 8 <= size; i += 8) {
		uint64_t v;

		memcpy(&v, bytes + i, sizeof v);
		if (v - r->zones.lo < r->zones.span + STEPPED)
			search_beside(r, v, at + i);
	}
}

void reach_search_stepped_at(struct run *r, uint64_t lo, uint64_t hi)
{
	uint64_t end = lo + DEEP < hi ? lo + DEEP : hi, next;
	uint8_t page[HEAP_PAGE];

	for (uint64_t at = (lo + 7) & ~7ull; at < end; at = next) {
		bool ok = false;

		next = (at | (HEAP_PAGE - 1)) + 1;
		next = next < end ? next : end;
		goro_error_free(target_read_at(r->view->t, at, page, next - at, &ok));
		if (!ok)
			return;
		reach_search_stepped(r, page, next - at, at);
	}
}
