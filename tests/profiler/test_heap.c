/* SPDX-License-Identifier: MIT */
/*
 * test_heap.c - the heap of glibc, as heap_recorder wrote it down with several versions of it: what
 * is in use must be found, with its bounds, and what is free must be known to be.
 *
 *	test_heap RECORDING...
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "heap.h"

enum { LINE = 64, MOST_LINES = 65536, MOST_PIECES = 1024, MOST_MAPS = 256 };

struct line {
	uint64_t address;
	uint8_t bytes[LINE];
};

static struct recording {
	struct target target;
	struct target_maps maps;
	struct target_map map[MOST_MAPS];
	struct line line[MOST_LINES]; /* rising */
	size_t nlines;
	struct piece {
		uint64_t address;
		size_t size;
		bool freed;
	} piece[MOST_PIECES];
	size_t npieces;
} rec;

static struct goro_error *read_lines(struct target *t, struct target_read *v, size_t n)
{
	(void)t;
	for (size_t i = 0; i < n; i++) {
		const struct target_map *m = target_maps_find(&rec.maps, v[i].address);
		size_t lo = 0, hi = rec.nlines;

		v[i].ok = m && v[i].address + v[i].len <= m->hi;
		memset(v[i].to, 0, v[i].len);
		while (lo < hi) {
			size_t mid = (lo + hi) / 2;

			if (rec.line[mid].address + LINE <= v[i].address)
				lo = mid + 1;
			else
				hi = mid;
		}
		for (; lo < rec.nlines && rec.line[lo].address < v[i].address + v[i].len; lo++) {
			const struct line *l = &rec.line[lo];
			uint64_t from = l->address > v[i].address ? l->address : v[i].address;
			uint64_t end = v[i].address + v[i].len, to = l->address + LINE;

			to = to < end ? to : end;
			memcpy((char *)v[i].to + (from - v[i].address),
			       l->bytes + (from - l->address), to - from);
		}
	}
	return NULL;
}

static const struct target_ops ops = { .read = read_lines };

static void parse_data(const char *text)
{
	struct line *l = &rec.line[rec.nlines++];
	int at;

	assert_true(rec.nlines < MOST_LINES);
	assert_int_equal(sscanf(text, "data %lx %n", &l->address, &at), 1);
	for (size_t i = 0; i < LINE; i++) {
		unsigned byte;

		assert_int_equal(sscanf(text + at + 2 * i, "%2x", &byte), 1);
		l->bytes[i] = (uint8_t)byte;
	}
}

static void load(const char *path)
{
	static char text[512];
	FILE *f = fopen(path, "re");

	rec = (struct recording){ .target = { .ops = &ops }, .maps = { rec.map, 0 } };
	assert_non_null(f);
	while (fgets(text, sizeof text, f)) {
		struct target_map *m = &rec.map[rec.maps.n];
		struct piece *p = &rec.piece[rec.npieces];
		char flags[8];

		assert_true(rec.maps.n < MOST_MAPS && rec.npieces < MOST_PIECES);
		if (!strncmp(text, "data ", 5)) {
			parse_data(text);
		} else if (sscanf(text, "map %lx %lx %7s %lu", &m->lo, &m->hi, flags, &m->inode) ==
			   4) {
			m->readable = flags[0] == 'r';
			m->writable = flags[1] == 'w';
			m->shared = flags[3] == 's';
			rec.maps.n++;
		} else if (sscanf(text, "live %lx %zu", &p->address, &p->size) == 2) {
			rec.npieces++;
		} else if (sscanf(text, "freed %lx %zu", &p->address, &p->size) == 2) {
			p->freed = true;
			rec.npieces++;
		}
	}
	fclose(f);
}

static const struct heap_area *area_at(const struct heap *h, uint64_t address)
{
	for (size_t i = 0; i < h->nareas; i++)
		if (address >= h->areas[i].lo && address < h->areas[i].hi)
			return &h->areas[i];
	return NULL;
}

static bool is_block(const struct heap *h, const struct piece *p)
{
	for (size_t i = 0; i < h->nblocks; i++)
		if (h->blocks[i].lo == p->address - 16 && h->blocks[i].hi >= p->address + p->size)
			return true;
	return false;
}

static void check_live(const struct heap *h, const struct piece *p)
{
	const struct heap_area *a = area_at(h, p->address);
	uint32_t g = a ? heap_find(a, p->address) : 0;

	if (!a) {
		assert_true(is_block(h, p));
		return;
	}
	assert_int_equal(a->lo + (uint64_t)g * HEAP_GRANULE, p->address);
	assert_false(heap_bit(a->mark, g));
	assert_int_equal(heap_find(a, p->address + p->size - 1), g);
	assert_in_range(heap_size(a, g), p->size, p->size + 31);
}

/* Part of a bigger one perhaps, or behind the last. */
static void check_freed(const struct heap *h, const struct piece *p)
{
	const struct heap_area *a = area_at(h, p->address);
	uint32_t g = a ? heap_find(a, p->address) : UINT32_MAX;

	assert_true(!a || g == UINT32_MAX || heap_bit(a->mark, g));
}

static void test_recording(void **state)
{
	const struct heap_how how = { .most = UINT64_C(1) << 30 };
	struct goro_error *err;
	struct heap h;
	size_t freed = 0;

	load(*state);
	assert_true(rec.npieces > 100);
	err = heap_read(&h, &rec.target, &rec.maps, &how);
	assert_null(err);
	assert_string_equal(h.note, "");
	assert_false(h.busy);
	assert_int_equal(h.nareas, 2);
	assert_int_equal(h.nblocks, 2);
	for (size_t i = 0; i < rec.npieces; i++) {
		freed += rec.piece[i].freed;
		if (rec.piece[i].freed)
			check_freed(&h, &rec.piece[i]);
		else
			check_live(&h, &rec.piece[i]);
	}
	assert_true(freed > 50);
	heap_free(&h);
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++) {
		const struct CMUnitTest tests[] = {
			{ argv[i], test_recording, NULL, NULL, argv[i] },
		};

		failed += cmocka_run_group_tests(tests, NULL, NULL);
	}
	return failed || argc < 2;
}
