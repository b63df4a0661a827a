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

/*
 * Pieces that lie close to each other are read together: each is as if it were alone, whatever
 * pages between them cannot be read, and not a byte beside it is written.
 */
static void test_reads_of_neighbours(void **state)
{
	enum { PAGES = 400, MOST = 6000, GUARD = 0x5a };
	const size_t page = (size_t)sysconf(_SC_PAGESIZE), size = PAGES * page;
	uint8_t *from =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *to = malloc(size * 2);
	struct target_read *v = calloc(size / 2, sizeof *v);
	struct target *t = open_self();
	uint64_t random = 88172645463325252, bytes = 0, before = t->bytes_read;
	size_t n = 0;

	(void)state;
	assert_true(from != MAP_FAILED && to && v);
	for (size_t i = 0; i < size; i++)
		from[i] = (uint8_t)(i * 7 + i / 251);
	memset(to, GUARD, size * 2);
	for (size_t at = 0, out = 0; at + MOST < size; n++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		/* Mostly small and side by side, some over pages, some of nothing, some back. */
		v[n] = (struct target_read){ .address = (uint64_t)(uintptr_t)(from + at),
					     .to = to + out,
					     .len = random % 50 ? random % 97 : random % MOST };
		at += v[n].len + (random >> 20) % 5 * (random >> 30) % 300;
		if ((random >> 40) % 200 == 0 && at > 100)
			at -= 100;
		out += v[n].len + 1;
		assert_true(out < size * 2);
	}
	for (size_t i = 3; i < PAGES; i += 5 + i % 7)
		assert_return_code(mprotect(from + i * page, page, PROT_NONE), 0);
	assert_null(t->ops->read(t, v, n));
	mprotect(from, size, PROT_READ);
	for (size_t k = 0; k < n; k++) {
		const size_t at = (size_t)(v[k].address - (uint64_t)(uintptr_t)from);
		bool hole = false;

		for (size_t i = 3; i < PAGES; i += 5 + i % 7)
			hole |= v[k].len && at < (i + 1) * page && at + v[k].len > i * page;
		assert_int_equal(v[k].ok, !hole);
		assert_int_equal(((uint8_t *)v[k].to)[v[k].len], GUARD);
		if (!hole)
			assert_memory_equal(v[k].to, from + at, v[k].len);
		bytes += hole ? 0 : v[k].len;
	}
	assert_true(t->bytes_read - before == bytes);
	free(v);
	free(to);
	munmap(from, size);
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
		cmocka_unit_test(test_maps),
		cmocka_unit_test(test_reads_around_holes),
		cmocka_unit_test(test_reads_of_neighbours),
		cmocka_unit_test(test_resident),
		cmocka_unit_test(test_modules),
		cmocka_unit_test(test_usage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
