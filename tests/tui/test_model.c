/* SPDX-License-Identifier: MIT */
/* From frames to rows: the selection follows its item, history and rates, groups, marks. */
#include "fake_scope.h"
#include "screen.h"
#include "util.h"
#include "view.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct goro_scope *scope;
static struct namer *namer;
static struct model m;

static void tick(void)
{
	const struct goro_verdict_options vo = { .suspect_age_ns = 1 };
	struct frame *f;
	struct goro_error *err = frame_take(namer, &vo, &f);

	if (err)
		fail_msg("%s", err->message);
	m.now = f->snap->time;
	frame_free(namer, model_frame(&m, f));
	model_rows(&m);
}

static int set_up(void **state)
{
	(void)state;
	fake_reset();
	goro_error_free(goro_scope_open(&scope, "shop"));
	namer = namer_new(scope);
	model_init(&m, true);
	m.view = VIEW_GROUPS;
	table_fit(&m.tables[VIEW_GROUPS], 10);
	table_fit(&m.tables[VIEW_LIST], 10);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	frame_free(namer, model_drop_frame(&m));
	namer_free(namer);
	goro_scope_close(scope);
	model_free(&m);
	assert_int_equal(fake.live_snapshots, 0);
	return 0;
}

static const char *selected_group(void)
{
	static char name[256];

	model_group_name(&m, model_selected_group(&m), name, sizeof(name));
	return name;
}

static void sort(struct table *t, const char *column, bool invert)
{
	t->sort = table_column(t, column);
	t->invert = invert;
	assert_true(t->sort >= 0);
	model_refresh(&m);
}

static void select_row(struct table *t, size_t row)
{
	t->selected = row;
	model_note_selection(&m);
}

static void test_group_selection_follows(void **state)
{
	(void)state;
	tick();
	assert_string_equal(selected_group(), "net.c:398 watch_session");
	select_row(&m.tables[VIEW_GROUPS], 2);
	assert_string_equal(selected_group(), "cache.c:201 shard_run");
	sort(&m.tables[VIEW_GROUPS], "oldest", false);
	assert_string_equal(selected_group(), "cache.c:201 shard_run");
	assert_int_equal(m.tables[VIEW_GROUPS].selected, 0);
	sort(&m.tables[VIEW_GROUPS], "oldest", true);
	assert_string_equal(selected_group(), "cache.c:201 shard_run");
	assert_int_equal(m.tables[VIEW_GROUPS].selected, m.tables[VIEW_GROUPS].n - 1);
	tick();
	assert_string_equal(selected_group(), "cache.c:201 shard_run");
}

/* As long as nobody has chosen a group, the first row is selected, whichever it is. */
static void test_unchosen_selection_stays_on_top(void **state)
{
	(void)state;
	fake.leaks = 5;
	tick();
	assert_string_equal(selected_group(), "cron.c:55 tick");
	tick();
	assert_string_equal(selected_group(), "net.c:398 watch_session");
}

static uint64_t selected_gid(void)
{
	return m.frame->snap->g[m.list[m.tables[VIEW_LIST].selected]].id;
}

static void test_goroutine_selection_follows(void **state)
{
	size_t row;

	(void)state;
	fake.leaks_per_tick = 0;
	tick();
	model_go(&m, VIEW_LIST);
	sort(&m.tables[VIEW_LIST], "for", false);
	for (row = 0; m.frame->snap->g[m.list[row]].id != FAKE_FIRST_LEAK + 7; row++)
		;
	select_row(&m.tables[VIEW_LIST], row);
	fake.reverse = 1;
	tick();
	assert_int_equal(selected_gid(), FAKE_FIRST_LEAK + 7);
	assert_true(m.tables[VIEW_LIST].selected != row);
	/* It is in the window that is drawn. */
	assert_true(m.tables[VIEW_LIST].selected >= m.tables[VIEW_LIST].top);
	assert_true(m.tables[VIEW_LIST].selected < m.tables[VIEW_LIST].top + 10);
}

static void test_goroutine_that_ends_leaves_the_row(void **state)
{
	(void)state;
	fake.leaks_per_tick = 0;
	tick();
	model_open_group(&m);
	assert_int_equal(selected_gid(), FAKE_FIRST_LEAK);
	assert_int_equal(m.tables[VIEW_LIST].n, 1000);
	fake.first_gone = 1;
	tick();
	assert_int_equal(m.tables[VIEW_LIST].n, 999);
	assert_int_equal(m.tables[VIEW_LIST].selected, 0);
	assert_int_equal(selected_gid(), FAKE_FIRST_LEAK + 1);
}

static void test_history_and_rates(void **state)
{
	(void)state;
	tick();
	assert_int_equal(m.nhistory, 1);
	assert_true(m.rate == 0);
	for (int i = 0; i < 4; i++)
		tick();
	assert_int_equal(m.nhistory, 5);
	assert_int_equal(m.history[0], 1028);
	assert_int_equal(m.history[4], 1028 + 4 * 23);
	assert_true(m.rate > 22.99 && m.rate < 23.01);
	assert_true(m.groups[0].rate > 22.99 && m.groups[0].rate < 23.01);
	assert_true(m.groups[1].rate == 0);
	assert_true(m.switch_rates[0] > 40999 && m.switch_rates[0] < 41001);
	for (int i = 0; i < 2 * HISTORY; i++)
		tick();
	assert_int_equal(m.nhistory, HISTORY);
	assert_int_equal(m.history[HISTORY - 1], m.frame->snap->ng);
	assert_true(m.rate > 22.99 && m.rate < 23.01);
	assert_int_equal(m.groups[0].track->n, HISTORY);
}

static void test_mark(void **state)
{
	(void)state;
	tick();
	assert_int_equal(m.groups[0].since_mark, 0);
	tick();
	tick();
	assert_int_equal(m.groups[0].since_mark, 46);
	/* It counts by the key that holds now, and by the filter. */
	model_set_group_key(&m, GORO_BY_STACK);
	assert_int_equal(m.groups[0].since_mark, 46);
	model_mark(&m);
	assert_int_equal(m.groups[0].since_mark, 0);
	tick();
	assert_int_equal(m.groups[0].since_mark, 23);
}

static void set_filter(const char *text)
{
	char err[128];
	struct goro_filter *f = goro_filter_parse(text, err, sizeof(err));

	assert_non_null(f);
	model_set_filter(&m, f);
}

/* With a filter what is new counts from when that was set; without one again from the mark. */
static void test_mark_with_filter(void **state)
{
	(void)state;
	tick();
	tick();
	assert_int_equal(m.groups[0].since_mark, 23);
	set_filter("gid>0");
	assert_int_equal(m.groups[0].since_mark, 0);
	tick();
	assert_int_equal(m.groups[0].since_mark, 23);
	model_set_group_key(&m, GORO_BY_STATE);
	assert_int_equal(m.groups[0].since_mark, 23);
	model_set_filter(&m, NULL);
	assert_int_equal(m.groups[0].since_mark, 46);
	set_filter("gid>0");
	tick();
	model_mark(&m);
	assert_int_equal(m.groups[0].since_mark, 0);
	model_set_filter(&m, NULL);
	assert_int_equal(m.groups[0].since_mark, 0);
}

static void test_filter_thins_groups(void **state)
{
	(void)state;
	tick();
	set_filter("for>2h or gid in 1000..1009");
	assert_int_equal(m.nkept, 12);
	assert_int_equal(m.tables[VIEW_GROUPS].n, 2);
	assert_int_equal(m.groups[0].g->n, 10);
	assert_int_equal(m.groups[0].g->stack_resident, 10 * 8192);
	assert_int_equal(m.groups[1].g->n, 2);
	assert_int_equal(m.groups[1].g->verdict, GORO_VERDICT_LEAKED);
	assert_int_equal(m.groups[1].g->oldest_wait_ns, UINT64_C(8760000000000));
	assert_int_equal(m.groups[1].since_mark, 0);
	tick();
	assert_int_equal(m.tables[VIEW_GROUPS].n, 2);
	set_filter("gid=424242");
	assert_int_equal(m.tables[VIEW_GROUPS].n, 0);
	assert_null(model_selected_group(&m));
	assert_false(model_open_group(&m));
	tick();
	model_set_filter(&m, NULL);
	assert_int_equal(m.tables[VIEW_GROUPS].n, 5);
}

static void test_members_of_each_kind(void **state)
{
	static const enum goro_group_key keys[] = { GORO_BY_SPAWN, GORO_BY_STACK, GORO_BY_STATE };

	(void)state;
	tick();
	for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
		model_set_group_key(&m, keys[k]);
		for (size_t i = 0; i < m.tables[VIEW_GROUPS].n; i++) {
			size_t n = m.groups[i].g->n;
			uint32_t first = m.groups[i].g->members[0];

			select_row(&m.tables[VIEW_GROUPS], i);
			assert_true(model_open_group(&m));
			assert_int_equal(m.view, VIEW_LIST);
			assert_int_equal(m.tables[VIEW_LIST].n, n);
			assert_int_equal(m.list[0], first);
			assert_true(model_back(&m));
		}
	}
}

static void test_activity_counts(void **state)
{
	const struct frame *f;

	(void)state;
	tick();
	f = m.frame;
	assert_int_equal(f->counts[GORO_ACT_RUN], 1);
	assert_int_equal(f->counts[GORO_ACT_READY], 1);
	assert_int_equal(f->counts[GORO_ACT_CHAN], 1002);
	assert_int_equal(f->counts[GORO_ACT_LOCK], 10);
	assert_int_equal(f->counts[GORO_ACT_SLEEP], 12);
	assert_int_equal(f->counts[GORO_ACT_NEW], 1);
	assert_int_equal(f->counts[GORO_ACT_SELECT], 1);
	assert_int_equal(f->counts[GORO_ACT_OTHER], 0);
	assert_int_equal(goro_activity_of('%'), GORO_ACT_OTHER);
}

/* One goroutine among a thousand that does something else is still seen in the bar. */
static void test_states_bar(void **state)
{
	static const struct {
		uint32_t chan, run, lock;
		const char *bar;
	} cases[] = {
		{ 1000, 1, 0, "cccccccr" }, { 1000, 0, 0, "cccccccc" }, { 1, 0, 0, "cccccccc" },
		{ 50, 50, 0, "rrrrcccc" },  { 30, 1, 70, "lllllccr" },	{ 0, 0, 3, "llllllll" },
	};
	int column;

	(void)state;
	tick();
	for (column = 0; strcmp(m.tables[VIEW_GROUPS].columns[column].title, "STATES") != 0;
	     column++)
		;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cell_text cell;

		memset(m.groups[0].counts, 0, sizeof(m.groups[0].counts));
		m.groups[0].counts[GORO_ACT_CHAN] = cases[i].chan;
		m.groups[0].counts[GORO_ACT_RUN] = cases[i].run;
		m.groups[0].counts[GORO_ACT_LOCK] = cases[i].lock;
		view_ops(VIEW_GROUPS)->cell(&m, 0, column, &cell);
		assert_string_equal(cell.text, cases[i].bar);
		assert_int_equal(cell.roles[7] == ROLE_RUN, cell.text[7] == 'r');
	}
}

static void test_search_wraps(void **state)
{
	(void)state;
	tick();
	model_go(&m, VIEW_LIST);
	strcpy(m.search, "SHARD_RUN");
	assert_true(model_search(&m, 0, 1));
	assert_int_equal(selected_gid(), FAKE_HOG);
	assert_true(model_search(&m, m.tables[VIEW_LIST].selected + 1, 1));
	assert_int_equal(selected_gid(), FAKE_WAITER);
	assert_true(model_search(&m, m.tables[VIEW_LIST].selected + m.tables[VIEW_LIST].n - 1, -1));
	assert_int_equal(selected_gid(), FAKE_HOG);
	assert_true(model_search(&m, m.tables[VIEW_LIST].n - 1, -1));
	assert_int_equal(selected_gid(), 301);
	strcpy(m.search, "nowhere at all");
	assert_false(model_search(&m, 0, 1));
	assert_int_equal(selected_gid(), 301);
}

static void test_back(void **state)
{
	(void)state;
	tick();
	assert_false(model_back(&m));
	for (int i = 0; i < 100; i++)
		model_go(&m, i % 2 ? VIEW_LIST : VIEW_HELP);
	for (int i = 0; i < 8; i++)
		assert_true(model_back(&m));
	assert_false(model_back(&m));
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_group_selection_follows),
		TEST(test_unchosen_selection_stays_on_top),
		TEST(test_goroutine_selection_follows),
		TEST(test_goroutine_that_ends_leaves_the_row),
		TEST(test_history_and_rates),
		TEST(test_mark),
		TEST(test_mark_with_filter),
		TEST(test_filter_thins_groups),
		TEST(test_members_of_each_kind),
		TEST(test_activity_counts),
		TEST(test_states_bar),
		TEST(test_search_wraps),
		TEST(test_back),
	};

	setlocale(LC_ALL, "C.UTF-8");
	return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
