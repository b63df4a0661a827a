/* SPDX-License-Identifier: MIT */
/*
 * fuzz_heap.c - glibc's heap, damaged: an arena that lies, chunks of no size, lists that lead in a
 * circle, maps that are not what they were.
 *
 * It begins as one of the recordings of tests/profiler/heaps: the first byte says which, and by its
 * top bit that it is read twice. What follows are changes, each of something that the recording
 * has: kind (1 byte), line of 64 bytes (2), offset in it (1), and then of
 *	kind 0	how many bytes (1 byte, up to 16), the bytes
 *	kind 1	what to add to the word there (2 bytes, signed)
 *	kind 2	line and offset (3 bytes) of the word to put there, and what to add to it (2)
 *	kind 3	nothing: of map number `line`, the offset says what becomes of it
 *
 * Whatever it is, what is found must be possible: no object outside of memory that can be the
 * heap's, none in two places, none without end; and found again when looked for once more.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "heap.h"
#include "heap_recording.h"

enum { NRECORDINGS = 3, CHANGE = 4, MOST = 64 << 20, BIG = 8 << 20, STACK = 64 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool it_is)
{
	if (!it_is)
		abort();
}

/* ---- the damage ------------------------------------------------------------------------------ */

static const struct heap_recording *sound(unsigned i)
{
	static const char *const paths[NRECORDINGS] = {
		HEAPS "/glibc-2.31.txt",
		HEAPS "/glibc-2.36.txt",
		HEAPS "/glibc-2.41.txt",
	};
	static struct heap_recording all[NRECORDINGS];

	if (all[i].nlines)
		return &all[i];
	must(heap_recording_load(&all[i], paths[i]));
	/* A thread's stack is big, empty, and searched each time. */
	for (size_t k = 0; k < all[i].maps.n; k++) {
		struct target_map *m = &all[i].map[k];

		if (m->writable && m->hi - m->lo >= BIG)
			m->lo = m->hi - STACK;
	}
	return &all[i];
}

static void copy(struct heap_recording *to, const struct heap_recording *from)
{
	to->target = from->target;
	to->maps = (struct target_maps){ to->map, from->maps.n };
	memcpy(to->map, from->map, from->maps.n * sizeof *to->map);
	memcpy(to->line, from->line, from->nlines * sizeof *to->line);
	to->nlines = from->nlines;
}

static uint8_t *word_at(struct heap_recording *r, const uint8_t *where)
{
	return r->line[(where[0] | (size_t)where[1] << 8) % r->nlines].bytes + where[2] / 8 % 8 * 8;
}

static void add_to(uint8_t *word, uint64_t v, const uint8_t *delta)
{
	v += (uint64_t)(int64_t)(int16_t)(delta[0] | delta[1] << 8);
	memcpy(word, &v, sizeof v);
}

static void change_map(struct heap_recording *r, unsigned i, unsigned how)
{
	struct target_map *m = &r->map[i % r->maps.n];

	m->readable ^= how & 1;
	m->writable ^= how >> 1 & 1;
	m->shared ^= how >> 2 & 1;
	m->inode = how & 8 ? !m->inode : m->inode;
	if (how & 16 && m->hi - m->lo > (uint64_t)(how >> 5) * HEAP_PAGE)
		m->hi -= (uint64_t)(how >> 5) * HEAP_PAGE;
}

/* One change; how many bytes of the input it took. */
static size_t change(struct heap_recording *r, const uint8_t *data, size_t size)
{
	uint8_t *word = word_at(r, data + 1), *end;
	const uint8_t *more = data + CHANGE;
	uint64_t v;
	size_t n;

	size -= CHANGE;
	switch (data[0] % 4) {
	case 0:
		n = size ? more[0] % 17 : 0;
		n = n < size ? n : size ? size - 1 : 0;
		end = r->line[(data[1] | (size_t)data[2] << 8) % r->nlines].bytes + RECORDING_LINE;
		memcpy(word, more + 1, n < (size_t)(end - word) ? n : (size_t)(end - word));
		return CHANGE + n + (size != 0);
	case 1:
		if (size < 2)
			return CHANGE + size;
		memcpy(&v, word, sizeof v);
		add_to(word, v, more);
		return CHANGE + 2;
	case 2:
		if (size < 5)
			return CHANGE + size;
		memcpy(&v, word_at(r, more), sizeof v);
		add_to(word, v, more + 3);
		return CHANGE + 5;
	default:
		change_map(r, data[1], data[3]);
		return CHANGE;
	}
}

/* ---- what must be true of any heap ----------------------------------------------------------- */

static bool is_heaps(const struct target_map *m)
{
	return m && m->readable && m->writable && !m->shared && !m->inode;
}

/* Is all of [lo, hi) memory that malloc could have? */
static void must_be_heaps(const struct heap_recording *r, uint64_t lo, uint64_t hi)
{
	must(lo < hi);
	while (lo < hi) {
		const struct target_map *m = target_maps_find(&r->maps, lo);

		must(is_heaps(m));
		lo = m->hi;
	}
}

/* From one chunk to the next, without a gap, until where the last must end. */
static void check_chunks(const struct heap_area *a)
{
	uint64_t at = a->first + 16, last = a->top + 16;
	size_t n = 0, nfree = 0, starts = 0, marks = 0;

	while (at < last) {
		uint32_t g = (uint32_t)((at - a->lo) / HEAP_GRANULE);
		uint64_t size = heap_size(a, g) + 8;

		must(heap_bit(a->start, g) && size >= 32 && size % 16 == 0 && size <= last - at);
		must(heap_find(a, at) == g && heap_find(a, at + size - 9) == g);
		for (uint64_t p = at & ~(uint64_t)(HEAP_PAGE - 1); p < at + size - 8;
		     p += HEAP_PAGE)
			must(p < at || heap_find(a, p) == g);
		n++;
		nfree += heap_bit(a->mark, g);
		at += size;
	}
	must(at == last && n == a->nchunks && nfree == a->nfree);
	for (size_t w = 0; w < heap_bitmap_words(a); w++) {
		must(!(a->mark[w] & ~a->start[w]));
		starts += (size_t)__builtin_popcountll(a->start[w]);
		marks += (size_t)__builtin_popcountll(a->mark[w]);
	}
	/* One more stands behind the last. */
	n = starts - n;
	must(n <= 1 && marks - nfree == n);
}

/* Pages may be of two: what malloc has in them may not. */
static void check_apart(const struct heap *h, size_t areas, size_t blocks)
{
	for (size_t i = 0; i < areas; i++)
		must(h->areas[areas].its.hi <= h->areas[i].its.lo ||
		     h->areas[areas].its.lo >= h->areas[i].its.hi);
	for (size_t i = 0; i < blocks; i++)
		must(h->blocks[blocks].hi <= h->blocks[i].lo ||
		     h->blocks[blocks].lo >= h->blocks[i].hi);
}

static void check(const struct heap_recording *r, const struct heap *h)
{
	for (size_t i = 0; i < h->nareas; i++) {
		const struct heap_area *a = &h->areas[i];

		must_be_heaps(r, a->lo, a->hi);
		must(a->its.lo >= a->lo && a->its.hi <= a->hi && a->first >= a->its.lo &&
		     a->first <= a->top && a->top < a->its.hi);
		check_apart(h, i, 0);
		check_chunks(a);
	}
	for (size_t i = 0; i < h->nblocks; i++) {
		must_be_heaps(r, h->blocks[i].lo, h->blocks[i].hi);
		check_apart(h, 0, i);
	}
	for (size_t i = 0; i < h->nreserves; i++)
		must(h->reserves[i].lo < h->reserves[i].hi);
	must(strlen(h->note) < sizeof h->note);
}

static void check_same(const struct heap *a, const struct heap *b)
{
	must(a->nareas == b->nareas && a->nblocks == b->nblocks && a->nreserves == b->nreserves &&
	     a->busy == b->busy && !strcmp(a->note, b->note));
	for (size_t i = 0; i < a->nareas; i++) {
		size_t bytes = heap_bitmap_words(&a->areas[i]) * 8;

		must(a->areas[i].lo == b->areas[i].lo && a->areas[i].hi == b->areas[i].hi &&
		     !memcmp(a->areas[i].start, b->areas[i].start, bytes) &&
		     !memcmp(a->areas[i].mark, b->areas[i].mark, bytes));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct heap_how how = { .most = MOST };
	static struct heap_recording r;
	struct heap h, again;
	struct goro_error *err;
	bool twice = false;

	copy(&r, sound(size ? (data[0] & 0x7f) % NRECORDINGS : 0));
	if (size) {
		twice = data[0] & 0x80;
		data++;
		size--;
	}
	for (size_t n; size >= CHANGE; data += n, size -= n)
		n = change(&r, data, size);
	err = heap_recording_read(&h, &r, &how);
	if (err) {
		goro_error_free(err);
		return 0;
	}
	check(&r, &h);
	if (twice) {
		err = heap_recording_read(&again, &r, &how);
		must(!err);
		check_same(&h, &again);
		heap_free(&again);
	}
	heap_free(&h);
	return 0;
}
