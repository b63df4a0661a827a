/* SPDX-License-Identifier: MIT */
/* The filter language: what it selects, what it refuses and in which words, what it cannot be made
 * to do. */
#define _GNU_SOURCE
#include "fake_scope.h"
#include "frame.h"
#include "util.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct goro_scope *scope;
static struct namer *namer;
static struct frame *frame;

/* Goroutines 1 and 77 carry something. */
static void name_two(struct goro_snapshot *snap)
{
	static const char text[] = "\0parser\0request=12\ncustomer=acme\n";

	free(snap->text);
	snap->text = xcalloc(sizeof(text), 1);
	memcpy(snap->text, text, sizeof(text));
	snap->ntext = sizeof(text);
	for (size_t i = 0; i < snap->ng; i++)
		if (snap->g[i].id == 77)
			snap->g[i].name = 1;
	for (size_t i = 0; i < snap->ng; i++)
		if (snap->g[i].id == 77 || snap->g[i].id == 1)
			snap->g[i].labels = 8;
}

static int set_up(void **state)
{
	const struct goro_verdict_options vo = { .suspect_age_ns = 1 };

	(void)state;
	fake_reset();
	goro_error_free(goro_scope_open(&scope, "shop"));
	namer = namer_new(scope);
	goro_error_free(frame_take(namer, &vo, &frame));
	name_two(frame->snap);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	frame_free(namer, frame);
	namer_free(namer);
	goro_scope_close(scope);
	return 0;
}

/* How many of the shop's 1,028 goroutines it keeps. */
static size_t kept(const char *text)
{
	char err[256];
	struct goro_filter *f = goro_filter_parse(text, err, sizeof(err));
	bool *keep = xcalloc(frame->snap->ng, sizeof(*keep));
	size_t n, counted = 0;

	if (!f)
		fail_msg("'%s': %s", text, err);
	n = goro_filter_apply(f, frame->names, keep);
	for (size_t i = 0; i < frame->snap->ng; i++)
		counted += keep[i];
	assert_int_equal(n, counted);
	free(keep);
	goro_filter_free(f);
	return n;
}

static void test_selects(void **state)
{
	static const struct {
		const char *text;
		size_t n;
	} cases[] = {
		{ "gid=77", 1 },
		{ "GID = 1,000", 1 },
		{ "gid!=77", 1027 },
		{ "gid in 10..21", 12 },
		{ "gid in 1000..1,009", 10 },
		{ "gid>=1990", 10 },
		{ "gid<2", 1 },
		{ "gid<=10", 2 },
		{ "state=lock", 10 },
		{ "state=LOCK", 10 },
		{ "state=\"chan receive\"", 1002 },
		{ "state~^sync", 10 },
		{ "state!~^(sync|chan|sleep)", 4 },
		{ "state!=chan", 26 },
		{ "for>2h", 2 },
		{ "for>=8760", 2 },
		{ "for<1ms and for>0", 1 },
		{ "for>3ms and for<4ms", 1 },
		{ "held>0", 3 },
		{ "mem>=8K", 1000 },
		{ "mem<4096", 1 },
		{ "verdict=leaked", 2 },
		{ "verdict>=likely", 1002 },
		{ "verdict<likely", 26 },
		{ "verdict=ok", 26 },
		{ "parent=1", 1027 },
		{ "name=Parser", 1 },
		{ "name=\"\"", 1027 },
		{ "label~request=1", 2 },
		{ "label~acme$ and not name~.", 1 },
		{ "label~request=13", 0 },
		{ "worker=W0", 1028 },
		{ "on~\"held by g77\"", 8 },
		{ "on~mutex", 10 },
		{ "where~cache.c:240", 10 },
		{ "where~CACHE.c:240", 10 },
		{ "spawn~watch", 1000 },
		{ "not spawn~watch", 28 },
		{ "! spawn~watch", 28 },
		{ "not not spawn~watch", 1000 },
		{ "stack~shard_put", 10 },
		{ "session_wait", 1000 },
		{ "cron", 15 },
		{ "\"net.c:398 watch\"", 1000 },
		{ "cron state=sleep", 12 },
		{ "cron and state=sleep", 12 },
		{ "state=sleep or state=lock", 22 },
		{ "gid=77 or gid=91 and state=lock", 2 },
		{ "(gid=77 or gid=91) and state=lock", 1 },
		{ "state=lock and for>5s and on~mutex and not spawn~\"^net\"", 10 },
		{ "where~(lru|session)", 1010 },
		{ "state=nonsense", 0 },
		{ "where~a\\{b", 0 },
		{ "order", 0 }, /* begins like a keyword */
		{ "android", 0 },
		{ "\"or\"", 1025 }, /* a word: of goro_park */
	};

	(void)state;
	assert_int_equal(frame->snap->ng, 1028);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n = kept(cases[i].text);

		if (n != cases[i].n)
			fail_msg("'%s' keeps %zu, not %zu", cases[i].text, n, cases[i].n);
	}
}

static void test_refuses(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "", "column 1: a condition is missing" },
		{ "   ", "a condition is missing" },
		{ "sate=lock", "column 1: no field 'sate'; there are: gid state for on held mem" },
		{ "state=", "column 7: a value is missing" },
		{ "state=lock and", "column 15: a condition is missing" },
		{ "and state=lock", "column 1: a condition is missing before this" },
		{ "state=lock or or x", "column 15: a condition is missing before this" },
		{ "(state=lock", "column 12: ')' is missing for the '(' in column 1" },
		{ "state=lock)", "column 11: ')' does not belong here" },
		{ "=5", "column 1: '=' does not belong here" },
		{ "for>soon", "column 5: for needs a time such as 300us, 5s, 2m or 1h" },
		{ "for>5kg", "needs a time" },
		{ "for>1.2.3s", "needs a time" },
		{ "mem>5s", "mem needs a size such as 512, 64K or 1M" },
		{ "gid>5s", "gid needs a number" },
		{ "gid>-5", "gid needs a number" },
		{ "gid>99999999999999999999999", "gid needs a number" },
		{ "state>lock", "state is text: use = != ~ !~" },
		{ "verdict=bad", "verdict is one of ok suspect likely leaked, not 'bad'" },
		{ "gid in 5", "column 8: 'in' needs a range such as 1..100" },
		{ "where in 1..5", "'in' needs a field that is a number, where is text" },
		{ "where~[", "bad regular expression '['" },
		{ "where~*(", "bad regular expression '*('" },
		{ "where~\"x", "column 7: the quote is not closed" },
		{ "where~a{2,255}", "{..} is not allowed" },
		{ "where~[[:alpha:]]{9}", "{..} is not allowed" },
		{ "where~a+++++++++++++++++++++++++++++++++++", "more than 6 + in" },
		{ "where~came+*++++++++", "more than 6 + in" },
		{ "where~((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+", "more than 6 + in" },
		{ "where~\"(a*)\\1\"", "a back-reference such as \\1 is not allowed" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char err[256] = "";
		struct goro_filter *f = goro_filter_parse(cases[i].text, err, sizeof(err));

		if (f)
			fail_msg("'%s' was taken", cases[i].text);
		if (!strstr(err, cases[i].says))
			fail_msg("'%s': \"%s\" does not say \"%s\"", cases[i].text, err,
				 cases[i].says);
	}
}

static char *repeat(const char *part, size_t n)
{
	size_t len = strlen(part);
	char *text = xcalloc(n * len + 1, 1), *end = text;

	while (n--)
		end = stpcpy(end, part);
	return text;
}

/* Refused or taken, but at once, with a short text of error and no crash. */
static void test_bounded(void **state)
{
	static const char *const parts[] = { "(",  "!",	  "not ",    "a ",	"a or ",
					     "\"", "gid", "=",	     "where~(", "where~((a*)*)* ",
					     "..", "\\",  "\xff\xfe" };
	static const size_t times[] = { 1, 30, 63, 64, 65, 200, 1024, 1025, 100000 };
	int64_t start = clock_now();
	char err[64];

	(void)state;
	for (size_t p = 0; p < ARRAY_LEN(parts); p++)
		for (size_t t = 0; t < ARRAY_LEN(times); t++) {
			char *text = repeat(parts[p], times[t]);
			struct goro_filter *f = goro_filter_parse(text, err, sizeof(err));

			assert_true(strlen(err) < sizeof(err));
			assert_int_equal(f == NULL, err[0] != '\0');
			goro_filter_free(f);
			free(text);
		}
	char *deep = repeat("(", 66);
	assert_null(goro_filter_parse(deep, err, sizeof(err)));
	assert_non_null(strstr(err, "nested deeper than 64"));
	free(deep);
	assert_true(kept("where~((((a*)*)*)*)*$ or stack~(x+x+)+y") > 0);
	assert_true(clock_now() - start < 20 * NSEC_PER_SEC);
}

static void test_search_text(void **state)
{
	(void)state;
	assert_true(goro_text_contains("Cache.c:240 LRU_touch", "lru"));
	assert_true(goro_text_contains("anything", ""));
	assert_false(goro_text_contains("cache.c", "cache_c"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_selects),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_search_text),
	};

	setlocale(LC_ALL, "C.UTF-8");
	return cmocka_run_group_tests_name("filter", tests, set_up, tear_down);
}
