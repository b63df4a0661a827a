/* SPDX-License-Identifier: MIT */
/* The list widget: its window, its cursor, which stays on what it is on, and the order of rows. */
#include "table.h"
#include "util.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "expect.h"

static void numbered(const void *ctx, size_t row, int column, struct cell_text *out)
{
	(*(size_t *)ctx)++;
	snprintf(out->text, sizeof(out->text), column ? "row %zu" : "%zu", row);
}

static const struct column two[] = {
	{ "n", "N", 4, 0, true, true },
	{ NULL, "WIDE", 4, 50, false, false },
	{ "text", "TEXT", 0, 0, false, false },
};

static void test_table(void **state)
{
	struct table t = { .columns = two, .ncolumns = 3, .n = 100000 };
	struct screen s;
	size_t cells = 0;

	(void)state;
	screen_init(&s, 16, 4, true);
	table_fit(&t, 3);
	table_draw(&t, &s, 0, 4, numbered, &cells);
	expect(&s, "    N^ TEXT\n>    0 row 0\n     1 row 1\n     2 row 2\n");
	/* Only visible cells are asked for: 3 rows of 2 columns. */
	assert_int_equal(cells, 6);
	table_move(&t, 1000000);
	table_fit(&t, 3);
	assert_int_equal(t.selected, 99999);
	assert_int_equal(t.top, 99997);
	table_move(&t, -1);
	table_fit(&t, 3);
	assert_int_equal(t.top, 99997);
	t.n = 2;
	table_fit(&t, 3);
	assert_int_equal(t.selected, 1);
	assert_int_equal(t.top, 0);
	t.n = 0;
	table_move(&t, 1);
	table_move(&t, -1);
	table_fit(&t, 3);
	assert_int_equal(t.selected, 0);
	screen_free(&s);
}

static void test_sort_columns(void **state)
{
	struct table t = { .columns = two, .ncolumns = 3 };

	(void)state;
	assert_int_equal(table_next_sort(&t, 80, 1), 2);
	assert_int_equal(table_next_sort(&t, 80, -1), 2);
	assert_int_equal(table_column(&t, "text"), 2);
	assert_int_equal(table_column(&t, "TEXT"), -1);
	assert_true(table_rising(&t));
	t.invert = true;
	assert_false(table_rising(&t));
	t.sort = 2;
	assert_true(table_rising(&t));
}

/* ---- rows that come, go and change places --------------------------------------------------- */

struct thing {
	uint64_t id;
	int weight;
};

static uint64_t id_of(const void *ctx, size_t row)
{
	return ((const struct thing *)ctx)[row].id;
}

static int by_weight(const void *ctx, int column, const void *a, const void *b)
{
	const struct thing *x = a, *y = b;

	(void)ctx;
	assert_int_equal(column, 0);
	return (x->weight > y->weight) - (x->weight < y->weight);
}

static int by_id(const void *ctx, int column, const void *a, const void *b)
{
	const struct thing *x = a, *y = b;

	(void)ctx;
	(void)column;
	return compare_u64(x->id, y->id);
}

static void expect_ids(const struct thing *v, size_t n, const char *want)
{
	char got[64] = "";

	for (size_t i = 0; i < n; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%d ", (int)v[i].id);
	assert_string_equal(got, want);
}

static void test_order(void **state)
{
	struct thing v[] = { { 1, 5 }, { 2, 9 }, { 3, 5 }, { 4, 1 }, { 5, 5 } };
	struct table t = { .columns = two, .ncolumns = 3, .n = 5, .sort = 0 };

	(void)state;
	t.invert = table_rising(&t);
	table_sort(&t, v, sizeof(v[0]), by_weight, by_id, NULL);
	expect_ids(v, 5, "2 1 3 5 4 ");
	/* The order of equal ones does not turn. */
	t.invert = !t.invert;
	table_sort(&t, v, sizeof(v[0]), by_weight, by_id, NULL);
	expect_ids(v, 5, "4 1 3 5 2 ");
	/* None: they stay as they are. */
	t.sort = -1;
	table_sort(&t, v, sizeof(v[0]), by_weight, by_id, NULL);
	expect_ids(v, 5, "4 1 3 5 2 ");
	t.n = 0;
	t.sort = 0;
	table_sort(&t, NULL, sizeof(v[0]), by_weight, by_id, NULL);
}

static void test_cursor(void **state)
{
	struct thing v[] = { { 7, 0 }, { 8, 0 }, { 9, 0 }, { 10, 0 }, { 11, 0 } };
	struct thing turned[] = { { 11, 0 }, { 10, 0 }, { 9, 0 }, { 8, 0 }, { 7, 0 } };
	struct thing without[] = { { 11, 0 }, { 10, 0 }, { 9, 0 }, { 7, 0 } };
	struct table t = { .columns = two, .ncolumns = 3, .n = 5, .height = 2 };

	(void)state;
	/* The first row, until somebody chooses another. */
	table_follow(&t, id_of, v);
	assert_int_equal(t.key, 7);
	assert_false(t.chosen);
	table_move(&t, 1);
	table_choose(&t, id_of, v);
	assert_int_equal(t.key, 8);
	assert_true(t.chosen);
	/* It goes where its thing goes, and so does the window. */
	table_follow(&t, id_of, turned);
	assert_int_equal(t.selected, 3);
	assert_int_equal(t.top, 2);
	/* That is gone: the next one is in its place. */
	t.n = 4;
	table_follow(&t, id_of, without);
	assert_int_equal(t.selected, 3);
	assert_int_equal(t.key, 7);
	/* Nothing is there: what the cursor was on is remembered. */
	t.n = 0;
	table_choose(&t, id_of, NULL);
	table_follow(&t, id_of, NULL);
	t.n = 5;
	table_follow(&t, id_of, turned);
	assert_int_equal(t.selected, 4);
	table_home(&t);
	table_follow(&t, id_of, turned);
	assert_int_equal(t.key, 11);
	assert_false(t.chosen);
}

/* Of two rows that stand for the same, the cursor can be on either: it must not jump back. */
static void test_equal_keys(void **state)
{
	struct thing v[] = { { 1, 0 }, { 2, 0 }, { 2, 0 }, { 3, 0 } };
	struct table t = { .columns = two, .ncolumns = 3, .n = 4, .height = 4 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(t.selected, i);
		table_move(&t, 1);
		table_choose(&t, id_of, v);
		table_follow(&t, id_of, v);
	}
	for (size_t i = 4; i-- > 0;) {
		assert_int_equal(t.selected, i);
		table_move(&t, -1);
		table_choose(&t, id_of, v);
		table_follow(&t, id_of, v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),	   cmocka_unit_test(test_sort_columns),
		cmocka_unit_test(test_order),	   cmocka_unit_test(test_cursor),
		cmocka_unit_test(test_equal_keys),
	};

	setlocale(LC_ALL, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
