/* SPDX-License-Identifier: MIT */
/*
 * test_sparse.c - a copy without its zeros gives every byte back, and knows when it is full.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "sparse.h"
#include "sparse_pack.h"
#include "two.h"

enum { PAGES = 40, LO = 0x10000 };

static uint8_t memory[PAGES * SPARSE_PAGE];
static uint32_t pages[PAGES];
static uint64_t words[(PAGES + 1) * (SPARSE_PAGE / 8 + 16)];

/* From no word at all to all of them, with some that have one byte only. */
static void fill(unsigned page, unsigned seed)
{
	uint64_t random = 88172645463325252 + seed;

	memset(memory + page * SPARSE_PAGE, 0, SPARSE_PAGE);
	for (size_t i = 0; i < SPARSE_PAGE / 8; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		if (random % PAGES >= page + (page == PAGES - 1))
			continue;
		memcpy(memory + page * SPARSE_PAGE + i * 8, &random, i % 7 ? 8 : 1);
	}
}

static void check(const struct sparse *s)
{
	static uint8_t copy[sizeof memory];

	sparse_get(s, LO, sizeof copy, copy);
	assert_memory_equal(copy, memory, sizeof memory);
	for (size_t i = 0; i < sizeof memory; i += 8) {
		uint64_t v;

		memcpy(&v, memory + i, 8);
		assert_true(sparse_word(s, LO + i) == v);
	}
	for (size_t i = 0; i + 700 < sizeof memory; i += 389) {
		uint8_t some[700];
		size_t len = i % 701;

		sparse_get(s, LO + i, len, some);
		assert_memory_equal(some, memory + i, len);
	}
}

static void test_all(void **state)
{
	struct sparse_store store = { words, 0, sparse_room(sizeof memory), 0 };
	const struct sparse s = { LO, LO + sizeof memory, pages, words };

	(void)state;
	assert_true(store.room <= sizeof words / sizeof *words);
	for (unsigned i = 0; i < PAGES; i++) {
		fill(i, i);
		assert_true(sparse_put(&store, &pages[i], memory + i * SPARSE_PAGE));
	}
	assert_int_equal(pages[0], 0);
	check(&s);
	/* Another content in the same place: fewer words, none, and as many. */
	fill(3, 99);
	memset(memory + 7 * SPARSE_PAGE, 0, SPARSE_PAGE);
	memset(memory + 9 * SPARSE_PAGE + 8, 0, SPARSE_PAGE - 8);
	fill(PAGES - 1, 100);
	for (unsigned i = 0; i < PAGES; i++)
		assert_true(sparse_put(&store, &pages[i], memory + i * SPARSE_PAGE));
	assert_int_equal(pages[7], 0);
	check(&s);
}

/* Two threads, each with its pages, and one store. */
struct shared {
	struct sparse_store store;
	unsigned next, refused;
};

static void put_pages(void *shared)
{
	struct shared *s = shared;
	unsigned i;

	while ((i = __atomic_fetch_add(&s->next, 1, __ATOMIC_RELAXED)) < PAGES)
		if (!sparse_put(&s->store, &pages[i], memory + i * SPARSE_PAGE))
			__atomic_fetch_add(&s->refused, 1, __ATOMIC_RELAXED);
}

static void test_two(void **state)
{
	const struct sparse s = { LO, LO + sizeof memory, pages, words };

	(void)state;
	for (unsigned seed = 0; seed < 200; seed++) {
		struct shared shared = {
			.store = { words, 0, sparse_room(sizeof memory), 0 },
		};

		memset(pages, 0, sizeof pages);
		for (unsigned i = 0; i < PAGES; i++)
			fill(i, seed + i);
		two_work(put_pages, &shared);
		assert_int_equal(shared.refused, 0);
		check(&s);
	}
}

static void test_room(void **state)
{
	struct sparse_store store = { words, 0, 600, 0 };
	uint32_t first = 0, second = 0;

	(void)state;
	memset(memory, 1, SPARSE_PAGE);
	assert_true(sparse_put(&store, &first, memory));
	assert_false(sparse_put(&store, &second, memory));
	assert_int_equal(second, 0);
	/* In its own place there is still room. */
	assert_true(sparse_put(&store, &first, memory));
}

/* What was kept is there still when the page has become another, and is its copy if it has not. */
static void test_kept(void **state)
{
	struct sparse_store store;
	uint32_t page = 0, then;
	uint64_t first;

	(void)state;
	assert_true(sparse_open(&store, SPARSE_PAGE, 2));
	memset(memory, 1, SPARSE_PAGE);
	assert_true(sparse_put(&store, &page, memory));
	then = page;
	store.kept = store.used;
	assert_true(sparse_put(&store, &page, memory));
	assert_int_equal(page, then);
	assert_int_equal(store.used, store.kept);
	memset(memory + 8, 0, SPARSE_PAGE - 8);
	assert_true(sparse_put(&store, &page, memory));
	assert_true(page > store.kept);
	memcpy(&first, memory, sizeof first);
	{
		const struct sparse was = { LO, LO + SPARSE_PAGE, &then, store.words };
		const struct sparse is = { LO, LO + SPARSE_PAGE, &page, store.words };

		assert_true(sparse_word(&was, LO + 8) == first);
		assert_true(sparse_word(&is, LO + 8) == 0 && sparse_word(&is, LO) == first);
	}
	sparse_close(&store);
}

/* The machine's own way to do it comes to the same. */
static void test_pack(void **state)
{
	sparse_pack_fn *best = sparse_pack_best();

	(void)state;
	if (!best)
		skip();
	for (unsigned seed = 0; seed < 100 * PAGES; seed++) {
		uint64_t theirs[SPARSE_PAGE / 8 + SPARSE_SPILL],
			ours[SPARSE_PAGE / 8 + SPARSE_SPILL];
		struct sparse_block head, is;
		const uint8_t *page = memory + seed % PAGES * SPARSE_PAGE;
		size_t n;

		fill(seed % PAGES, seed);
		n = sparse_pack_any(page, &head, ours);
		assert_int_equal(best(page, &is, theirs), n);
		assert_memory_equal(&is, &head, sizeof head);
		assert_memory_equal(theirs, ours, n * 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),  cmocka_unit_test(test_two),
		cmocka_unit_test(test_room), cmocka_unit_test(test_kept),
		cmocka_unit_test(test_pack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
