/* SPDX-License-Identifier: MIT */
/* Numbers, the grid, the table of keys. */
#define _GNU_SOURCE
#include "keys.h"
#include "screen.h"
#include "util.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "expect.h"

static void test_counts(void **state)
{
	struct text t;

	(void)state;
	assert_string_equal(fmt_count(&t, 0), "0");
	assert_string_equal(fmt_count(&t, 999), "999");
	assert_string_equal(fmt_count(&t, 1000), "1,000");
	assert_string_equal(fmt_count(&t, 104233), "104,233");
	assert_string_equal(fmt_count(&t, UINT64_MAX), "18,446,744,073,709,551,615");
	assert_string_equal(fmt_delta(&t, 16204), "+16,204");
	assert_string_equal(fmt_delta(&t, 0), "0");
	assert_string_equal(fmt_delta(&t, -3), "-3");
	assert_string_equal(fmt_delta(&t, INT64_MIN), "-9,223,372,036,854,775,808");
	assert_string_equal(fmt_rate(&t, 23.4), "+23");
	assert_string_equal(fmt_rate(&t, 0.46), "+0.5");
	assert_string_equal(fmt_rate(&t, -0.04), "0");
	assert_string_equal(fmt_rate(&t, -1200.6), "-1,201");
	assert_string_equal(fmt_rate(&t, 1e300), "+1,000,000,000,000,000");
	assert_string_equal(fmt_rate(&t, 0.0 / 0.0), "0");
}

static void test_durations(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {
		{ 0, "0ns" },
		{ 999, "999ns" },
		{ 1000, "1us" },
		{ 80000, "80us" },
		{ 999999, "999us" },
		{ 1900000, "1.9ms" },
		{ 9999999, "9.9ms" },
		{ 10000000, "10ms" },
		{ 211000000, "211ms" },
		{ 999999999, "999ms" },
		{ 8200000000, "8.2s" },
		{ 9999999999, "9.9s" },
		{ 45000000000, "45s" },
		{ 59999999999, "59s" },
		{ 542000000000, "9m02s" },
		{ 3599999999999, "59m59s" },
		{ 8760000000000, "2h26m" },
		{ 183600000000000, "2d03h" },
		{ 8640000000000000, "100d" },
		{ UINT64_MAX, "213503d" },
	};
	struct text t;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(fmt_duration(&t, cases[i].ns), cases[i].text);
}

static void test_sizes(void **state)
{
	struct text t;

	(void)state;
	assert_string_equal(fmt_size(&t, 0), "0");
	assert_string_equal(fmt_size(&t, 1023), "1023");
	assert_string_equal(fmt_size(&t, 1024), "1.0K");
	assert_string_equal(fmt_size(&t, 1229), "1.2K");
	assert_string_equal(fmt_size(&t, 10239), "9.9K");
	assert_string_equal(fmt_size(&t, 10240), "10K");
	assert_string_equal(fmt_size(&t, 1048575), "1023K");
	assert_string_equal(fmt_size(&t, 81u << 20), "81M");
	assert_string_equal(fmt_size(&t, UINT64_C(5900) << 20), "5.7G");
	assert_string_equal(fmt_size(&t, UINT64_MAX), "15E");
}

static void test_sparkline(void **state)
{
	static const uint32_t rising[] = { 0, 10, 20, 30, 40, 50, 60, 70 };
	static const uint32_t flat[] = { 1000, 1001, 999, 1000 };
	static const uint32_t zeros[] = { 0, 0, 0 };
	char buf[64];

	(void)state;
	fmt_sparkline(buf, sizeof(buf), rising, 8, 8, false);
	assert_string_equal(buf, "▁▂▃▄▅▆▇█");
	fmt_sparkline(buf, sizeof(buf), rising, 8, 8, true);
	assert_string_equal(buf, ".:-=+*#@");
	fmt_sparkline(buf, sizeof(buf), rising, 8, 3, true);
	assert_string_equal(buf, ".+@");
	/* Noise of one in a thousand is a flat line in the middle. */
	fmt_sparkline(buf, sizeof(buf), flat, 4, 8, true);
	assert_string_equal(buf, "====");
	fmt_sparkline(buf, sizeof(buf), zeros, 3, 8, true);
	assert_string_equal(buf, "...");
	fmt_sparkline(buf, sizeof(buf), zeros, 0, 8, true);
	assert_string_equal(buf, "");
	/* A buffer that is too small ends before a character, not in it. */
	fmt_sparkline(buf, 5, rising, 8, 8, false);
	assert_string_equal(buf, "▁");
}

static void test_grid(void **state)
{
	struct screen s;

	(void)state;
	screen_init(&s, 8, 2, false);
	assert_int_equal(screen_put(&s, 0, 0, 8, ROLE_TEXT, "abc"), 3);
	assert_int_equal(screen_put(&s, 1, 5, 99, ROLE_TEXT, "xyzuv"), 3);
	expect(&s, "abc\n     xy…\n");
	/* What the target's names may hold: control characters, broken UTF-8, wide letters. */
	screen_clear(&s);
	screen_put(&s, 0, 0, 8, ROLE_TEXT, "\x1b[2J\r\n\t");
	screen_put(&s, 1, 0, 8, ROLE_TEXT, "\xff\xc0\x80\xe4\xbd\xa0\xf8");
	expect(&s, "?[2J???\n???你?\n");
	assert_int_equal(screen_width(&s, "你好"), 4);
	screen_clear(&s);
	assert_int_equal(screen_put(&s, 0, 0, 4, ROLE_TEXT, "a你你"), 4);
	assert_int_equal(screen_put(&s, 1, 0, 4, ROLE_TEXT, "你你你"), 4);
	expect(&s, "a你…\n你 …\n");
	screen_clear(&s);
	assert_int_equal(screen_put_right(&s, 0, 0, 6, ROLE_TEXT, "42"), 6);
	/* Outside the grid nothing happens. */
	screen_put(&s, -1, 0, 8, ROLE_TEXT, "x");
	screen_put(&s, 2, 0, 8, ROLE_TEXT, "x");
	screen_put(&s, 0, 8, 8, ROLE_TEXT, "x");
	screen_put(&s, 0, -3, 8, ROLE_TEXT, "x");
	screen_box(&s, 0, 0, 9, 30, "title");
	screen_reverse(&s, 5, -4, 100);
	screen_free(&s);

	screen_init(&s, 6, 1, true);
	screen_put(&s, 0, 0, 6, ROLE_TEXT, "é你abcde");
	expect(&s, "??abc~\n");
	screen_free(&s);
}

static void test_segments(void **state)
{
	static const struct segment seg[] = {
		{ "first", ROLE_TEXT, 0 },
		{ "least", ROLE_TEXT, 9 },
		{ "", ROLE_TEXT, 0 },
		{ "last", ROLE_TEXT, 1 },
	};
	struct screen s;

	(void)state;
	screen_init(&s, 20, 1, true);
	screen_segments(&s, 0, 0, 20, seg, 4);
	expect(&s, "first  least  last\n");
	screen_clear(&s);
	screen_segments(&s, 0, 0, 17, seg, 4);
	expect(&s, "first  last\n");
	screen_clear(&s);
	screen_segments(&s, 0, 0, 8, seg, 4);
	expect(&s, "first\n");
	screen_clear(&s);
	screen_segments(&s, 0, 0, 3, seg, 4);
	expect(&s, "fi~\n");
	screen_free(&s);
}

static void test_wrapping(void **state)
{
	static const char *const lines[] = { "one two", "three", "", "abcdefgh", "ijk é é", "é é" };
	const char *p = "one two three\n\nabcdefghijk é é é é";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		size_t n = text_line(p, 8);

		if (n != strlen(lines[i]) || strncmp(p, lines[i], n) != 0)
			fail_msg("line %zu is \"%.*s\", not \"%s\"", i, (int)n, p, lines[i]);
		p = text_after(p, n);
	}
	assert_string_equal(p, "");
	assert_int_equal(text_line("", 8), 0);
}

static void test_hots(void **state)
{
	struct screen s;

	(void)state;
	screen_init(&s, 10, 4, true);
	for (int i = 0; i < 200; i++)
		screen_hot(&s, 1, 2, 3, 5, i);
	assert_null(screen_hit(&s, 1, 1));
	assert_null(screen_hit(&s, 1, 5));
	assert_null(screen_hit(&s, 0, 3));
	/* What was drawn last is on top. */
	assert_int_equal(screen_hit(&s, 1, 4)->arg, 199);
	screen_clear(&s);
	assert_null(screen_hit(&s, 1, 3));
	screen_free(&s);
}

/* A key does one thing on a screen, and everything is explained. */
static void test_bindings(void **state)
{
	char list[64], name[16];

	(void)state;
	for (size_t i = 0; i < nbindings; i++) {
		const struct binding *b = &bindings[i];

		assert_true(b->help && b->help[0] && b->keys[0] && b->where);
		keys_list(b, list, sizeof(list));
		assert_true(strlen(list) < 19);
		for (size_t k = 0; k < ARRAY_LEN(b->keys) && b->keys[k]; k++)
			for (unsigned bit = 1; bit & IN_ALL; bit <<= 1)
				if ((b->where & bit) && keys_command(b->keys[k], bit) != b->command)
					fail_msg("%s means two things",
						 keys_name(b->keys[k], name));
		if (b->bar)
			assert_in_range(b->keys[0], KEY_F1_, KEY_F10_);
	}
	assert_int_equal(keys_command(KEY_NONE, IN_ALL), CMD_NONE);
	assert_string_equal(keys_name(KEY_CTRL('B'), name), "^B");
	assert_string_equal(keys_name(KEY_F10_, name), "F10");
	assert_string_equal(keys_name(' ', name), "Space");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),	 cmocka_unit_test(test_durations),
		cmocka_unit_test(test_sizes),	 cmocka_unit_test(test_sparkline),
		cmocka_unit_test(test_grid),	 cmocka_unit_test(test_segments),
		cmocka_unit_test(test_wrapping), cmocka_unit_test(test_hots),
		cmocka_unit_test(test_bindings),
	};

	setlocale(LC_ALL, "C.UTF-8");
	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
