/* SPDX-License-Identifier: MIT */
/*
 * test_snapshot.c - order, look-up and groups of snapshots.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <goro_introspect.h>
#include "order.h"
#include "snapshot.h"

static struct goro_snapshot *make(void)
{
	static const struct goro_info g[] = {
		{ .id = 9, .spawn_pc = 100, .stack_id = 2, .wait_ns = 50, .stack_resident = 1 },
		{ .id = 3, .spawn_pc = 200, .stack_id = 1, .wait_ns = 10, .stack_resident = 2 },
		{ .id = 0, .spawn_pc = 200 }, /* ended while it was read */
		{ .id = 7, .spawn_pc = 100, .stack_id = 2, .wait_ns = 30, .stack_resident = 4 },
		{ .id = 3, .spawn_pc = 300 }, /* a lie: ids are never used twice */
		{ .id = 1, .spawn_pc = 0, .stack_id = 1, .verdict = GORO_VERDICT_LEAKED },
		{ .id = 8, .spawn_pc = 100, .stack_id = 1, .wait_ns = 90, .stack_resident = 8 },
	};
	struct snapshot_builder b;
	struct goro_snapshot *snap;

	assert_true(snapshot_begin(&b, NULL));
	for (size_t i = 0; i < sizeof g / sizeof *g; i++) {
		uint32_t at = snapshot_add_g(&b, &g[i]);
		struct goro_wait w = { .object = 0x5000 - g[i].id / 2 * 0x100,
				       .wait_class = GORO_CLASS_CHAN };

		assert_int_equal(at, i);
		if (g[i].id > 1)
			snapshot_add_wait(&b, at, &w);
	}
	snapshot_sort(&b);
	snapshot_collect_objects(&b);
	snap = snapshot_freeze(&b);
	assert_non_null(snap);
	return snap;
}

static void test_order(void **state)
{
	static const uint64_t ids[] = { 1, 3, 7, 8, 9 };
	struct goro_snapshot *snap = make();

	(void)state;
	assert_int_equal(snap->ng, 5);
	for (size_t i = 0; i < snap->ng; i++) {
		assert_int_equal(snap->g[i].id, ids[i]);
		assert_ptr_equal(goro_snapshot_find(snap, ids[i]), &snap->g[i]);
	}
	assert_int_equal(snap->bad_records, 1);
	assert_int_equal(snap->g[1].spawn_pc, 200);
	assert_null(goro_snapshot_find(snap, 0));
	assert_null(goro_snapshot_find(snap, 2));
	assert_null(goro_snapshot_find(snap, 10));
	goro_snapshot_free(snap);
}

static void test_objects(void **state)
{
	struct goro_snapshot *snap = make();
	const struct goro_object *o = goro_snapshot_object(snap, 0x4c00);

	(void)state;
	assert_int_equal(snap->nobjects, 3);
	assert_non_null(o);
	assert_int_equal(o->nwaiters, 2); /* 8 and 9 */
	assert_null(goro_snapshot_object(snap, 0x4c01));
	for (size_t i = 1; i < snap->nobjects; i++)
		assert_true(snap->objects[i - 1].address < snap->objects[i].address);
	goro_snapshot_free(snap);
}

static void test_groups(void **state)
{
	struct goro_snapshot *snap = make();
	size_t n;
	uint32_t other;
	struct goro_group *groups = goro_groups(snap, GORO_BY_SPAWN, NULL, &n);

	(void)state;
	assert_int_equal(n, 3);
	assert_int_equal(groups[0].key, 100);
	assert_int_equal(groups[0].n, 3);
	assert_int_equal(snap->g[groups[0].members[0]].id, 7);
	assert_int_equal(groups[0].oldest_wait_ns, 90);
	assert_int_equal(groups[0].median_wait_ns, 50);
	assert_int_equal(groups[0].stack_resident, 13);
	assert_int_equal(groups[0].verdict, GORO_VERDICT_OK);
	assert_int_equal(groups[1].key, 0); /* main: the oldest of those with one member */
	assert_int_equal(groups[1].verdict, GORO_VERDICT_LEAKED);
	other = groups[2].members[0];
	goro_groups_free(groups, n);

	/* Two calls of one go statement. */
	snap->same = calloc(1, sizeof *snap->same);
	snap->same[snap->nsame++] = (struct goro_same_site){ snap->g[other].spawn_pc, 100 };
	groups = goro_groups(snap, GORO_BY_SPAWN, NULL, &n);
	assert_int_equal(n, 2);
	assert_int_equal(groups[0].key, 100);
	assert_int_equal(groups[0].n, 4);
	assert_int_equal(goro_group_key_of(snap, &snap->g[other], GORO_BY_SPAWN), 100);
	goro_groups_free(groups, n);

	groups = goro_groups(snap, GORO_BY_STACK, NULL, &n);
	assert_int_equal(n, 2);
	assert_int_equal(groups[0].n, 3);
	assert_int_equal(groups[1].n, 2);
	goro_groups_free(groups, n);

	groups = goro_groups(snap, GORO_BY_NONE, NULL, &n);
	assert_int_equal(n, 5);
	assert_int_equal(groups[0].key, 1);
	goro_groups_free(groups, n);
	goro_snapshot_free(snap);
}

static void test_nothing(void **state)
{
	struct snapshot_builder b;
	struct goro_snapshot *snap;
	struct goro_group *groups;
	size_t n;

	(void)state;
	assert_true(snapshot_begin(&b, NULL));
	snapshot_sort(&b);
	snapshot_collect_objects(&b);
	snap = snapshot_freeze(&b);
	groups = goro_groups(snap, GORO_BY_STATE, NULL, &n);
	assert_int_equal(n, 0);
	assert_null(goro_snapshot_find(snap, 1));
	goro_groups_free(groups, n);
	goro_snapshot_free(snap);
	goro_snapshot_free(NULL);
}

static uint64_t key_of(const void *keys, size_t i)
{
	return ((const uint64_t *)keys)[i];
}

/* Close together and far apart, with equal ones, that keep their order. */
static void test_order_by(void **state)
{
	enum { N = 5000 };
	static uint64_t keys[N];
	uint64_t x = 1;

	(void)state;
	for (unsigned bits = 1; bits <= 64; bits += 9) {
		uint32_t *order;

		for (size_t i = 0; i < N; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			keys[i] = 77 + (x & UINT64_MAX >> (64 - bits)) / 2;
		}
		order = order_by(N, key_of, keys);
		assert_non_null(order);
		for (size_t i = 1; i < N; i++)
			assert_true(
				keys[order[i - 1]] < keys[order[i]] ||
				(keys[order[i - 1]] == keys[order[i]] && order[i - 1] < order[i]));
		free(order);
	}
	free(order_by(0, key_of, keys));
}

static void test_names(void **state)
{
	struct goro_info g = { .state = GORO_STATE_WAITING, .reason = GORO_REASON_MUTEX };

	(void)state;
	assert_string_equal(goro_state_text(&g), "sync.Mutex.Lock");
	g.state = GORO_STATE_RUNNABLE;
	assert_string_equal(goro_state_text(&g), "runnable");
	g.state = 77;
	assert_string_equal(goro_state_text(&g), "unknown");
	assert_string_equal(goro_basename("/a/b.c"), "b.c");
	assert_string_equal(goro_basename("b.c"), "b.c");
	assert_string_equal(goro_basename("a/"), "a/");
	assert_string_equal(goro_basename(""), "");
	assert_string_equal(goro_basename(NULL), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),  cmocka_unit_test(test_objects),
		cmocka_unit_test(test_groups), cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_names),  cmocka_unit_test(test_order_by),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
