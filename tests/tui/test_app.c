/* SPDX-License-Identifier: MIT */
/* Keys and clicks through the real app loop and the real feed thread, over the fake target. */
#include "app.h"
#include "fake_scope.h"
#include "script_term.h"
#include "util.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static int64_t start_of_test;

/* A clock that goes on, 20 times too fast, while the target hangs. */
static int64_t moving_clock(void)
{
	static int64_t last, since;
	int64_t newest = fake_clock(), now = clock_now();

	if (newest != last) {
		last = newest;
		since = now;
	}
	return newest + 20 * (now - since);
}

/* A paused target is not read, but for a read that was under way. */
static void see_it_left_alone(void)
{
	int64_t start = clock_now();
	unsigned ticks = fake.ticks;

	while (clock_now() - start < 300 * NSEC_PER_MSEC)
		if (fake.ticks > ticks + 1)
			fail_msg("a paused target is read");
}

static void on_do(const char *name)
{
	if (strcmp(name, "hang") == 0)
		fake.hang = 1;
	else if (strcmp(name, "go on") == 0)
		fake.hang = 0;
	else if (strcmp(name, "fail") == 0)
		fake.fail = 1;
	else if (strcmp(name, "succeed") == 0)
		fake.fail = 0;
	else if (strcmp(name, "see it left alone") == 0)
		see_it_left_alone();
	else if (strcmp(name, "start one") == 0)
		fake.no_processes = 0;
	else if (strcmp(name, "end") == 0)
		fake.end_after = 1;
	else if (strcmp(name, "wait until detached") == 0)
		for (int64_t start = clock_now(); fake.open_scopes;)
			assert_true(clock_now() - start < 10 * NSEC_PER_SEC);
	else
		fail_msg("no such thing: %s", name);
}

static struct app_options defaults(void)
{
	return (struct app_options){
		.target = "shop",
		.interval_ns = 20 * NSEC_PER_MSEC,
		.mouse = true,
		.clock = fake_clock,
	};
}

static int run(struct app_options opt, const char *const *script)
{
	bool kill_child = false;
	int status;

	start_of_test = clock_now();
	script_set(script, on_do);
	status = app_run(&opt, &kill_child);
	assert_int_equal(fake.live_snapshots, 0);
	assert_int_equal(fake.open_scopes, 0);
	return status;
}

#define RUN(opt, ...) run(opt, (const char *const[]){ __VA_ARGS__, NULL })

static int reset(void **state)
{
	(void)state;
	fake_reset();
	return 0;
}

static void test_from_group_to_source(void **state)
{
	(void)state;
	assert_int_equal(RUN(defaults(), "see LIVE", "see net.c:398 watch_session", "key Enter",
			     "see [2 List]", "see in: net.c:398 watch_session", "key Enter",
			     "see g1,000  chan receive", "see >>  131     goro_chan_recv(done",
			     "key Down", "see >>   94     session_wait", "key H", "see goro_park",
			     "key H", "gone goro_park", "key >", "see g1,001  chan", "key <",
			     "see g1,000  chan", "key Esc", "see [2 List]", "key Esc",
			     "see [1 Groups]", "key q"),
			 0);
	assert_true(script_done());
}

static void test_chain(void **state)
{
	(void)state;
	RUN(defaults(), "see LIVE", "type :91", "see goroutine: 91", "key Enter",
	    "see WAIT-FOR CHAIN of 2, no cycle", "key w", "see g77  running", "see it is running",
	    "key w", "see it waits for no other", "key Esc", "see g77", "key Esc", "see [1 Groups]",
	    "type :424242", "key Enter", "see there is no goroutine 424242", "key Esc",
	    "gone there is no goroutine", "type :x", "key Enter", "see a goroutine id is a number",
	    "key ^C");
	assert_true(script_done());
}

static void test_tabs_and_help(void **state)
{
	(void)state;
	RUN(defaults(), "see LIVE", "key 2", "see [2 List]", "see net.c:398 accept_loop", "key Tab",
	    "see [3 Waits]", "key Tab", "see [4 Leaks]", "key 1", "see [1 Groups]", "key S-Tab",
	    "gone [1 Groups]", "key Tab", "see [1 Groups]", "click 3 Waits", "see [3 Waits]",
	    "key 9", "see [3 Waits]", "key 2", "see [2 List]", "key h", "see EVERYWHERE",
	    "see this help", "key End", "see lines", "gone EVERYWHERE", "key Home",
	    "see EVERYWHERE", "key Esc", "see [2 List]", "key F1", "see EVERYWHERE", "key F10");
	assert_true(script_done());
}

static void test_waits(void **state)
{
	(void)state;
	RUN(defaults(), "see LIVE", "key 3", "see [3 Waits]", "see WAITERSv",
	    "see held by goroutine 77", "see held by  g77 run", "key /", "type 0x7f40", "key Enter",
	    "see CYCLE", "see held by  g301 lock", "see for      g300 lock",
	    "see they can never go on", "key Enter", "see [2 List]",
	    "see in: mutex 0x7f40, held by goroutine 301", "see 1 of ", "key Esc", "see [3 Waits]",
	    "see held by  g301", "key >", "see OLDESTv", "click OBJECT", "see OBJECT^", "type f",
	    "type state=sleep", "key Enter", "see no goroutine that matches the filter waits",
	    "key \\", "see held by", "key q");
	assert_true(script_done());
}

static void test_leaks(void **state)
{
	(void)state;
	fake.leaks_per_tick = 0;
	RUN(defaults(), "see LIVE", "key 4", "see [4 Leaks]", "see cycle",
	    "see LEAKED 2  LIKELY 0  SUSPECT 0 G", "gone unreachable", "key F8",
	    "see 1,002 goroutines are LEAKED; it was stopped for 612us", "see unreachable",
	    "key Down", "see LEAKED 1,002", "key >", "see PROOF^", "key >", "see COUNTv",
	    "key Home", "see watch_session: 1,000 G LEAKED, unreachable",
	    "see nothing that can still run has a pointer to it", "key Enter", "see [2 List]",
	    "see in: net.c:398 watch_session", "see 1,000 of 1,028 G", "key Esc", "see [4 Leaks]",
	    "key q");
	assert_true(script_done());
}

static void test_sched(void **state)
{
	(void)state;
	RUN(defaults(), "see LIVE", "click 6 Sched", "see [6 Sched]", "see P^", "see running",
	    "see g77 cache.c:201 shard_run", "see 41,000", "gone wait to run, all",
	    "gone p99 2.0ms", "key T", "see wait to run, all", "see p99 2.0ms", "key T",
	    "gone p99 2.0ms", "key Enter", "see g77  running", "key Esc", "see [6 Sched]",
	    "key Down", "key Enter", "see P 1 runs no goroutine", "key >", "key >", "see QUEUEv",
	    "key /", "type shard_run", "key Enter", "key Enter", "see g77  running", "key q");
	assert_true(script_done());
}

static void test_profile(void **state)
{
	(void)state;
	RUN(defaults(), "see LIVE", "key 5", "see [5 Profile]", "see wall by function",
	    "see SELF%v", "see 99.0    99.0   1000.00 sess.c:131               session_wait",
	    /* Its own calls of itself count once. */
	    "see 0.9     0.9      9.00 cache.c:240              lru_touch", "see looks in",
	    "gone chan receive", "key F5", "see wall by tree", "see └─ watch_session",
	    "see └─ session_wait", "see └─ [chan receive]", "key Down", "key Enter",
	    "see └─ watch_session ...", "gone session_wait", "key Enter", "see └─ session_wait",
	    "key g", "see wall by spawn site", "see accept_loop at net.c:398", "key g", "key >",
	    "see TOTAL%v", "key /", "type shard_run", "key Enter", "see shard_run", "key Enter",
	    "see F5 shows the tree", "key c", "see cpu by function", "see samples in",
	    "see by perf events", "key o", "see offcpu by function", "see looks in", "key Z",
	    "see PAUSED", "see session_wait", "key q");
	assert_true(script_done());
}

static void test_profile_is_forbidden(void **state)
{
	(void)state;
	fake.no_cpu_profile = 1;
	RUN(defaults(), "see LIVE", "key 5", "see session_wait", "key c",
	    "see process 48213 may not be sampled: EPERM (1)", "gone session_wait", "key w",
	    "see session_wait", "gone EPERM", "key 1", "see [1 Groups]", "key q");
	assert_true(script_done());
}

static void test_grouping_and_sorting(void **state)
{
	(void)state;
	RUN(defaults(), "see by: spawn", "see COUNTv", "key g", "see by: stack", "see STACK AT",
	    "key F5", "see by: state", "see sync.Mutex.Lock", "key g", "see by: spawn", "key >",
	    "see +MARKv", "key <", "see COUNTv", "key I", "see COUNT^", "see sort: count ^",
	    "key F6", "see +MARKv", "click WAIT50", "see WAIT50v", "click WAIT50", "see WAIT50^",
	    "key q");
	assert_true(script_done());
}

static void test_filter(void **state)
{
	(void)state;
	RUN(defaults(), "see LIVE", "key f", "see filter:", "type state=lock and",
	    "see a condition is missing", "key Enter", "see filter: state=lock and",
	    "type  verdict=leaked", "gone a condition is missing", "key Enter",
	    "see filter: state=lock and verdict=leaked", "see 1 group, 2 of", "gone net.c:398",
	    "key Enter", "see 2 of", "key Esc", "see [1 Groups]", "key \\",
	    "gone filter:", "see net.c:398", "key F4", "type zzz", "key Enter",
	    "see no goroutine matches", "key F4", "see \nfilter: zzz", "key ^U", "key Enter",
	    "see net.c:398", "key q");
	assert_true(script_done());
}

static void test_help_is_left(void **state)
{
	(void)state;
	RUN(defaults(), "see LIVE", "key h", "see EVERYWHERE", "key q", "see [1 Groups]",
	    "gone EVERYWHERE", "key 2", "key h", "see EVERYWHERE", "key h", "see [2 List]",
	    "key q");
	assert_true(script_done());
}

static void test_search(void **state)
{
	(void)state;
	RUN(defaults(), "see LIVE", "key n", "see nothing to search for yet", "key /", "type cron",
	    "see search: cron", "see ─ cron.c:55 tick", "key Enter", "key 2", "see [2 List]",
	    "key /", "type lru", "key Enter", "see >         91", "key n", "see >         92",
	    "key N", "see >         91", "key /", "type nowhere", "see no row has this", "key Esc",
	    "see [2 List]", "key q");
	assert_true(script_done());
}

static void test_pause(void **state)
{
	struct app_options opt = defaults();

	(void)state;
	opt.clock = moving_clock;
	RUN(opt, "see LIVE", "key Z", "see PAUSED", "key Down", "see PAUSED",
	    "do see it left alone", "key g", "see by: stack", "key Z", "see LIVE", "key Space",
	    "see PAUSED", "do see it left alone", "key q");
	assert_true(script_done());
}

/* The one key that disturbs the target says so, and what it found stays found. */
static void test_prove(void **state)
{
	struct app_options opt = defaults();

	(void)state;
	opt.clock = moving_clock;
	RUN(opt, "see pause 0", "see LIKELY", "key L",
	    "see goroutines are LEAKED; it was stopped for 612us", "see pause 612us", "key -",
	    "see LEAKED   net.c:398 watch_session", "key Z", "see PAUSED", "key L",
	    "see paused: Z goes on", "key Z", "see LIVE", "do end", "see ENDED", "key L",
	    "see it has ended", "key q");
	assert_true(script_done());
}

static void test_target_ends(void **state)
{
	(void)state;
	assert_int_equal(RUN(defaults(), "see LIVE", "see net.c:398 watch_session", "do end",
			     "see ENDED", "see it has ended: Esc leads",
			     "see net.c:398 watch_session", "key Enter", "see [2 List]",
			     "key Enter", "see >>  131", "key Esc", "see [2 List]", "key Esc",
			     "see [1 Groups]", "key q"),
			 0);
	assert_true(script_done());
}

/* It may run again by then, under another number. */
static void test_another_after_the_end(void **state)
{
	(void)state;
	RUN(defaults(), "see LIVE", "key Esc", "see LIVE", "do end", "see ENDED", "key Esc",
	    "see choose a target", "do wait until detached", "key q");
	assert_true(script_done());
}

static void test_no_such_target(void **state)
{
	struct app_options opt = defaults();

	(void)state;
	opt.target = "4";
	assert_int_equal(RUN(opt, "see never drawn"), GORO_NO_TARGET);
	opt.target = "39777";
	assert_int_equal(RUN(opt, "see never drawn"), GORO_PERMISSION);
}

static void test_picker(void **state)
{
	struct app_options opt = defaults();

	(void)state;
	opt.target = NULL;
	RUN(opt, "see choose a target", "see logship", "gone vault", "key a", "see vault",
	    "key End", "key e", "see why 39777 cannot be attached", "see EPERM",
	    "see sudo gotop 39777", "key Esc", "gone why 39777", "key Enter", "see why 39777",
	    "key Home", "key Enter", "see net.c:398 watch_session", "see LIVE", "key Esc",
	    "see choose a target", "do wait until detached", "see choose a target",
	    "gone attaching", "key Enter", "see LIVE", "gone attaching", "key q");
	assert_true(script_done());
}

static void test_picker_keeps_looking(void **state)
{
	struct app_options opt = defaults();

	(void)state;
	opt.target = NULL;
	opt.clock = moving_clock;
	fake.no_processes = 1;
	RUN(opt, "see No process with a goro runtime", "do start one", "see logship", "key ^C");
	assert_true(script_done());
}

static void test_hanging_read(void **state)
{
	struct app_options opt = defaults();

	(void)state;
	opt.clock = moving_clock;
	RUN(opt, "see LIVE", "do hang", "see STALE", "key g", "see by: stack", "key 2",
	    "see [2 List]", "key Enter", "see g1 ", "do go on", "see LIVE", "key q");
	assert_true(script_done());
}

static void test_quit_while_reading_hangs(void **state)
{
	struct app_options opt = defaults();
	bool kill_child;

	(void)state;
	start_of_test = clock_now();
	opt.clock = moving_clock;
	script_set((const char *const[]){ "see LIVE", "do hang", "see STALE", "key q", NULL },
		   on_do);
	assert_int_equal(app_run(&opt, &kill_child), 0);
	assert_true(clock_now() - start_of_test < 8 * NSEC_PER_SEC);
	/* The thread is still there, as it is when the process exits. Let it end for the others. */
	fake.hang = 0;
	while (fake.open_scopes)
		;
}

static void test_failing_read(void **state)
{
	(void)state;
	RUN(defaults(), "see LIVE", "do fail", "see last read failed: cannot read 8 bytes",
	    "see net.c:398", "do succeed", "gone last read failed", "key q");
	assert_true(script_done());
}

static void test_mouse(void **state)
{
	(void)state;
	RUN(defaults(), "see LIVE", "click cron.c:55", "see ─ cron.c:55 tick", "click cron.c:55",
	    "see in: cron.c:55 tick", "wheel 3", "see >         13", "wheel -3", "see >         10",
	    "click 1 Groups", "see [1 Groups]", "click Help", "see EVERYWHERE", "wheel 3",
	    "gone EVERYWHERE", "key Esc", "key q");
	assert_true(script_done());
}

static void test_bar_click(void **state)
{
	(void)state;
	RUN(defaults(), "see LIVE", "click F5Group", "see by: stack", "click 2 List",
	    "see [2 List]", "click F4Filter", "see filter:", "key Esc", "click F10Quit");
	assert_true(script_done());
}

static void test_resize(void **state)
{
	(void)state;
	RUN(defaults(), "see STATES", "size 60 12", "gone STATES", "see net.c:398", "size 40 5",
	    "see 40x5 is too small", "size 1 1", "gone too small", "size 200 60", "see TREND",
	    "key Enter", "key Enter", "size 60 12", "see >>  131", "size 100 30", "see WAITS FOR",
	    "key q");
	assert_true(script_done());
}

static void test_refresh_and_mark(void **state)
{
	(void)state;
	RUN(defaults(), "see LIVE 20ms", "key -", "see refresh every 100ms", "key +",
	    "see refresh every 200ms", "key +", "see refresh every 500ms", "key -", "key -",
	    "key -", "see refresh every 100ms", "key m", "see mark:", "key Q");
	assert_true(script_done());
}

static void test_options(void **state)
{
	struct app_options opt = defaults();
	char err[128];

	(void)state;
	opt.sort = "site";
	opt.group_key = GORO_BY_STATE;
	opt.filter = goro_filter_parse("not state=chan", err, sizeof(err));
	RUN(opt, "see by: state", "see filter: not state=chan", "see sort: site ^", "key q");
	opt.sort = "for";
	opt.group_key = GORO_BY_NONE;
	opt.filter = NULL;
	RUN(opt, "see [2 List]", "see FORv", "key q");
	assert_true(script_done());
}

static void test_hangup(void **state)
{
	(void)state;
	assert_int_equal(RUN(defaults(), "see LIVE", "hangup"), 0);
	assert_true(script_done());
}

/* Every key on every screen, with data and without: nothing may crash. */
static void test_every_key(void **state)
{
	static const char *const views[] = { "key 1", "key 2", "type :91\n", "key h" };
	static char steps[600][16];
	static const char *script[700];
	size_t n = 0, s = 0;

	(void)state;
	script[n++] = "see LIVE";
	for (size_t v = 0; v < ARRAY_LEN(views); v++) {
		script[n++] = views[v];
		for (int key = ' '; key < 127; key++) {
			if (strchr("qQ", key))
				continue;
			snprintf(steps[s], sizeof(steps[s]), "key %c", key);
			if (key == ' ')
				strcpy(steps[s], "key Space");
			script[n++] = steps[s++];
			/* Out of a line that it may have opened. */
			if (strchr(":/f", key))
				script[n++] = "key Esc";
		}
		script[n++] = "key Home";
		script[n++] = "key Esc";
	}
	script[n++] = "key ^C";
	script[n] = NULL;
	assert_int_equal(run(defaults(), script), 0);
	assert_true(script_done());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_from_group_to_source, reset),
		cmocka_unit_test_setup(test_chain, reset),
		cmocka_unit_test_setup(test_tabs_and_help, reset),
		cmocka_unit_test_setup(test_waits, reset),
		cmocka_unit_test_setup(test_leaks, reset),
		cmocka_unit_test_setup(test_sched, reset),
		cmocka_unit_test_setup(test_profile, reset),
		cmocka_unit_test_setup(test_profile_is_forbidden, reset),
		cmocka_unit_test_setup(test_grouping_and_sorting, reset),
		cmocka_unit_test_setup(test_filter, reset),
		cmocka_unit_test_setup(test_search, reset),
		cmocka_unit_test_setup(test_pause, reset),
		cmocka_unit_test_setup(test_prove, reset),
		cmocka_unit_test_setup(test_target_ends, reset),
		cmocka_unit_test_setup(test_help_is_left, reset),
		cmocka_unit_test_setup(test_another_after_the_end, reset),
		cmocka_unit_test_setup(test_no_such_target, reset),
		cmocka_unit_test_setup(test_picker, reset),
		cmocka_unit_test_setup(test_picker_keeps_looking, reset),
		cmocka_unit_test_setup(test_hanging_read, reset),
		cmocka_unit_test_setup(test_failing_read, reset),
		cmocka_unit_test_setup(test_mouse, reset),
		cmocka_unit_test_setup(test_bar_click, reset),
		cmocka_unit_test_setup(test_resize, reset),
		cmocka_unit_test_setup(test_refresh_and_mark, reset),
		cmocka_unit_test_setup(test_options, reset),
		cmocka_unit_test_setup(test_hangup, reset),
		cmocka_unit_test_setup(test_every_key, reset),
		cmocka_unit_test_setup(test_quit_while_reading_hangs, reset),
	};

	setlocale(LC_ALL, "C.UTF-8");
	return cmocka_run_group_tests_name("app", tests, NULL, NULL);
}
