/* SPDX-License-Identifier: MIT */
/*
 * test_heap.c - the heap of glibc, as heap_recorder wrote it down with several versions of it: what
 * is in use must be found, with its bounds, and what is free must be known to be.
 *
 *	test_heap RECORDING...
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "heap.h"
#include "heap_recording.h"

static struct heap_recording rec;

static const struct heap_area *area_at(const struct heap *h, uint64_t address)
{
	for (size_t i = 0; i < h->nareas; i++)
		if (address >= h->areas[i].lo && address < h->areas[i].hi)
			return &h->areas[i];
	return NULL;
}

static bool is_block(const struct heap *h, const struct recorded_piece *p)
{
	for (size_t i = 0; i < h->nblocks; i++)
		if (h->blocks[i].lo == p->address - 16 && h->blocks[i].hi >= p->address + p->size)
			return true;
	return false;
}

static void check_live(const struct heap *h, const struct recorded_piece *p)
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
static void check_freed(const struct heap *h, const struct recorded_piece *p)
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

	assert_true(heap_recording_load(&rec, *state));
	assert_true(rec.npieces > 100);
	err = heap_recording_read(&h, &rec, &how);
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

/* As a core file may claim: what is copied page by page does not fit into what it was given. */
static void test_uneven(void **state)
{
	const struct heap_how how = { .most = UINT64_C(1) << 30 };
	struct goro_error *err;
	struct heap h;

	assert_true(heap_recording_load(&rec, *state));
	for (size_t i = 0; i < rec.maps.n; i++)
		if (rec.map[i].writable)
			rec.map[i].hi += 100;
	err = heap_recording_read(&h, &rec, &how);
	assert_non_null(err);
	assert_int_equal(err->code, GORO_PARTIAL);
	assert_non_null(strstr(err->message, "not in whole pages"));
	goro_error_free(err);
	heap_free(&h);
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++) {
		const struct CMUnitTest tests[] = {
			{ argv[i], test_recording, NULL, NULL, argv[i] },
			{ "uneven", test_uneven, NULL, NULL, argv[i] },
		};

		failed += cmocka_run_group_tests(tests, NULL, NULL);
	}
	return failed || argc < 2;
}
