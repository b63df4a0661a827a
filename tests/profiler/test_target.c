/* SPDX-License-Identifier: MIT */
/*
 * test_target.c - a live process as a target: ourselves, since we know our own memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "elf.h"
#include "target.h"

static struct target *open_self(void)
{
	struct target *t;
	struct goro_error *err = target_open_process(&t, getpid());

	if (err)
		fail_msg("%s", err->message);
	return t;
}

static void test_maps(void **state)
{
	struct target *t = open_self();
	struct target_maps maps;
	const struct target_map *m;

	(void)state;
	assert_string_equal(t->name, "test_target");
	assert_null(t->ops->maps(t, &maps));
	for (size_t i = 1; i < maps.n; i++)
		assert_true(maps.v[i - 1].hi <= maps.v[i].lo);
	m = target_maps_find(&maps, (uint64_t)(uintptr_t)test_maps);
	assert_non_null(m);
	assert_true(m->readable && m->executable && !m->writable);
	assert_string_equal(goro_basename(m->path), "test_target");
	m = target_maps_find(&maps, (uint64_t)(uintptr_t)&maps);
	assert_non_null(m);
	assert_true(m->readable && m->writable && m->inode == 0);
	assert_null(target_maps_find(&maps, 0));
	assert_null(target_maps_find(&maps, UINT64_MAX));
	target_maps_free(&maps);
	t->ops->close(t);
}

/* More pieces than one system call takes, and holes in all kinds of places. */
static void test_reads_around_holes(void **state)
{
	enum { N = 3000 };
	static uint64_t from[N], to[N];
	static struct target_read v[N];
	struct target *t = open_self();

	(void)state;
	for (int i = 0; i < N; i++) {
		from[i] = (uint64_t)i * 3 + 1;
		v[i] = (struct target_read){ (uint64_t)(uintptr_t)&from[i], &to[i], 8, false };
		if (i % 7 == 3 || i == 0 || i == 1023 || i == 1024 || i == N - 1)
			v[i].address = i % 2 ? 8 : UINT64_MAX - 100;
	}
	assert_null(t->ops->read(t, v, N));
	for (int i = 0; i < N; i++) {
		bool hole = v[i].address != (uint64_t)(uintptr_t)&from[i];

		assert_int_equal(v[i].ok, !hole);
		assert_int_equal(to[i], hole ? 0 : from[i]);
	}
	t->ops->close(t);
}

static void test_resident(void **state)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 1000;
	char *a = mmap(NULL, n * page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t lo = (uint64_t)(uintptr_t)a;
	struct target *t = open_self();
	struct target_range v[] = {
		{ .lo = lo, .hi = lo + 10 * page },
		{ .lo = lo + 20 * page, .hi = lo + 30 * page },
		{ .lo = lo + 900 * page, .hi = lo + 1000 * page },
	};

	(void)state;
	assert_true(a != MAP_FAILED);
	madvise(a, n * page, MADV_NOHUGEPAGE);
	a[0] = a[3 * page] = a[9 * page] = 1;
	a[15 * page] = 1; /* between the ranges */
	a[900 * page] = a[999 * page] = 1;
	t->ops->resident(t, v, 3);
	if (v[0].resident == 0) {
		t->ops->close(t);
		skip(); /* not allowed to ask here */
	}
	assert_int_equal(v[0].resident, 3 * page);
	assert_int_equal(v[1].resident, 0);
	assert_int_equal(v[2].resident, 2 * page);
	munmap(a, n * page);
	t->ops->close(t);
}

/* Modules: where they are, their symbols, and that they keep their address over a refresh. */
int test_target_symbol = 42;

static void test_modules(void **state)
{
	struct target *t = open_self();
	struct modules ms = { 0 };
	uint64_t here = (uint64_t)(uintptr_t)test_modules;
	struct module *m;
	unsigned generation;

	(void)state;
	assert_null(modules_refresh(&ms, t));
	m = modules_find(&ms, here);
	assert_non_null(m);
	assert_ptr_equal(modules_find_text(&ms, here)->module, m);
	assert_int_equal(module_symbol(m, "test_target_symbol"),
			 (uint64_t)(uintptr_t)&test_target_symbol);
	assert_int_equal(module_symbol(m, "there_is_no_such_symbol"), 0);
	assert_int_equal(strlen(m->build_id), 40);
	assert_null(modules_find_text(&ms, (uint64_t)(uintptr_t)&test_target_symbol));
	generation = ms.generation;
	assert_null(modules_refresh(&ms, t));
	assert_int_equal(ms.generation, generation);
	assert_ptr_equal(modules_find(&ms, here), m);
	modules_free(&ms);
	t->ops->close(t);
}

static void test_usage(void **state)
{
	struct target *t = open_self();
	struct target_usage usage;
	volatile uint64_t busy = 1;

	(void)state;
	do {
		for (int i = 0; i < 1000000; i++)
			busy = busy * 3 + 1;
		assert_null(t->ops->usage(t, &usage));
	} while (usage.cpu_ns == 0);
	assert_true(usage.rss > 100000);
	t->ops->close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_maps),	 cmocka_unit_test(test_reads_around_holes),
		cmocka_unit_test(test_resident), cmocka_unit_test(test_modules),
		cmocka_unit_test(test_usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
