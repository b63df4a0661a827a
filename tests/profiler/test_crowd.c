/* SPDX-License-Identifier: MIT */
/*
 * test_crowd.c - where members of crowds are kept, as in gotop and `goro metrics` of very many,
 * each of them is judged, counted, found and sampled as where all goroutines are whole.
 *
 *	test_crowd CROWDED	tests/cmd/progs/crowded.c
 */
#include <goro_introspect.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>
#include "fake.h"
#include "order.h"
#include "program.h"
#include "scope.h"

#define SECOND UINT64_C(1000000000)

static const char *program;

static void no_error(struct goro_error *err)
{
	assert_null(err);
}

static uint64_t monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
}

/* The i-th has waited for 10 i seconds and some; two are unlike all others. */
static struct fake *crowded(void)
{
	struct fake *f = fake_new();
	uint64_t now = monotonic();

	for (unsigned i = 0; i < FAKE_NG; i++)
		fake_set(f, i, GORO_FIELD_g_park_time, now - (10 * i + 1) * SECOND);
	fake_set(f, 3, GORO_FIELD_g_held_locks, 1);
	fake_set(f, 9, GORO_FIELD_g_status, GORO_STATE_RUNNING);
	return f;
}

static struct goro_verdicts *judge(struct goro_scope *scope, struct goro_snapshot *snap)
{
	const struct goro_verdict_options opt = { .suspect_age_ns = 75 * SECOND };
	struct goro_verdicts *v;

	no_error(goro_scope_judge(scope, snap, &opt, &v));
	return v;
}

static void same_verdicts(const struct goro_snapshot *whole, const struct goro_snapshot *list)
{
	struct goro_info room;

	for (size_t i = 0; i < whole->ng; i++) {
		const struct goro_info *g = &whole->g[i];
		const struct goro_info *h = goro_snapshot_get(list, g->id, &room);

		assert_non_null(h);
		assert_int_equal(h->id, g->id);
		assert_int_equal(h->verdict, g->verdict);
		assert_int_equal(h->proof, g->proof);
		assert_int_equal(h->finding == UINT32_MAX, g->finding == UINT32_MAX);
	}
	assert_null(goro_snapshot_get(list, 0, &room));
	assert_null(goro_snapshot_get(list, FAKE_NG + 1, &room));
}

/* Some suspected by age are in one crowd with others that are not. */
static void test_age(void **state)
{
	struct goro_scope *scope = fake_open(crowded());
	struct goro_snapshot *whole, *list;
	struct goro_verdicts *v, *w;

	(void)state;
	whole = fake_look(scope);
	v = judge(scope, whole);
	goro_scope_list(scope);
	list = fake_look(scope);
	w = judge(scope, list);
	assert_true(list->nmembers > FAKE_NG / 2);
	assert_true(v->suspect > 4 && v->suspect < FAKE_NG - 4);
	assert_int_equal(w->suspect, v->suspect);
	assert_int_equal(w->n, 1);
	assert_int_equal(w->findings[0].n, v->suspect);
	assert_string_equal(w->findings[0].evidence, v->findings[0].evidence);
	same_verdicts(whole, list);
	goro_verdicts_free(v);
	goro_verdicts_free(w);
	goro_snapshot_free(whole);
	goro_snapshot_free(list);
	goro_scope_close(scope);
}

/* keep[] by place: some ids of either. */
static bool *choose(const struct goro_snapshot *snap, uint64_t part)
{
	bool *keep = calloc(goro_snapshot_count(snap), sizeof *keep);
	struct goro_walk w = { .snap = snap };
	const struct goro_info *g;

	while ((g = goro_snapshot_next(&w)))
		keep[goro_walk_place(&w)] = g->id % part == 0;
	return keep;
}

static void same_groups(const struct goro_snapshot *whole, const struct goro_snapshot *list,
			enum goro_group_key key, uint64_t part)
{
	bool *keep = choose(whole, part), *keep_list = choose(list, part);
	size_t n, m, passed = (size_t)(list->time - whole->time);
	struct goro_group *a = goro_groups(whole, key, keep, &n),
			  *b = goro_groups(list, key, keep_list, &m);

	assert_int_equal(n, m);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(a[i].key, b[i].key);
		assert_int_equal(a[i].n, b[i].n);
		assert_int_equal(a[i].stack_resident, b[i].stack_resident);
		assert_int_equal(a[i].verdict, b[i].verdict);
		assert_int_equal(a[i].oldest_wait_ns ? a[i].oldest_wait_ns + passed : 0,
				 b[i].oldest_wait_ns);
		assert_int_equal(a[i].median_wait_ns ? a[i].median_wait_ns + passed : 0,
				 b[i].median_wait_ns);
	}
	goro_groups_free(a, n);
	goro_groups_free(b, m);
	free(keep);
	free(keep_list);
}

static void test_groups(void **state)
{
	static const enum goro_group_key keys[] = { GORO_BY_SPAWN, GORO_BY_STACK, GORO_BY_STATE };
	struct goro_scope *scope = fake_open(crowded());
	struct goro_snapshot *whole = fake_look(scope), *list;

	(void)state;
	goro_verdicts_free(judge(scope, whole));
	goro_scope_list(scope);
	list = fake_look(scope);
	goro_verdicts_free(judge(scope, list));
	for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
		for (uint64_t part = 1; part <= 4; part++)
			same_groups(whole, list, keys[k], part);
	goro_snapshot_free(whole);
	goro_snapshot_free(list);
	goro_scope_close(scope);
}

/* One goroutine more at each look, and one that is woken before one of them; or UINT_MAX. */
static size_t likely(bool list, unsigned woken_before)
{
	enum { FIRST = 6, LOOKS = 8 };
	struct fake *f = fake_new();
	struct goro_scope *scope = fake_open(f);
	size_t n = 0;

	if (list)
		goro_scope_list(scope);
	for (unsigned i = 0; i < FAKE_NG; i++)
		fake_set(f, i, GORO_FIELD_g_status, GORO_STATE_FREE);
	for (unsigned look = 0, i = 0; look < LOOKS; look++) {
		const struct goro_verdict_options none = { 0 };
		struct goro_snapshot *snap;
		struct goro_verdicts *v;

		for (; i < FIRST + look; i++)
			fake_set(f, i, GORO_FIELD_g_status,
				 GORO_STATE_WAITING | GORO_REASON_CHAN_RECV << 8);
		if (look == woken_before)
			fake_set(f, 2, GORO_FIELD_g_park_seq, 5);
		snap = fake_look(scope);
		assert_int_equal(goro_snapshot_count(snap), FIRST + look);
		no_error(goro_scope_judge(scope, snap, &none, &v));
		n = v->likely;
		assert_true(!n || n == FIRST + look);
		goro_verdicts_free(v);
		goro_snapshot_free(snap);
	}
	goro_scope_close(scope);
	return n;
}

static void test_growth(void **state)
{
	(void)state;
	for (int list = 0; list < 2; list++) {
		assert_int_equal(likely(list, 100), 6 + 7);
		assert_int_equal(likely(list, 2), 6 + 7);
		assert_int_equal(likely(list, 4), 0);
		assert_int_equal(likely(list, 7), 0);
	}
}

static uint64_t masked(const void *mask, const void *word)
{
	return *(const uint64_t *)word & *(const uint64_t *)mask;
}

static void test_order_in_place(void **state)
{
	static const uint64_t masks[] = { 1, 255, 256, 0xfff0, UINT32_MAX, UINT64_MAX, 0 };
	enum { MOST = 5000 };
	uint64_t *v = calloc(MOST, sizeof *v), seed = 1;

	(void)state;
	for (size_t m = 0; m < sizeof masks / sizeof *masks; m++) {
		for (size_t n = 0; n <= MOST; n = n * 3 + 1) {
			uint64_t sum = 0;

			for (size_t i = 0; i < n; i++) {
				seed = seed * 6364136223846793005u + 1442695040888963407u;
				v[i] = seed;
				sum += v[i];
			}
			order_in_place(v, sizeof *v, n, masked, &masks[m]);
			for (size_t i = 0; i < n; i++) {
				assert_true(!i || masked(&masks[m], &v[i - 1]) <=
							  masked(&masks[m], &v[i]));
				sum -= v[i];
			}
			assert_int_equal(sum, 0);
		}
	}
	free(v);
}

static bool all_wait(struct goro_scope *scope, const struct goro_snapshot *snap, void *arg)
{
	(void)scope, (void)arg;
	return snap->nmembers > 250 && goro_snapshot_count(snap) > 300;
}

/* What members wait for is known of as much as of others. */
static void test_objects(void **state)
{
	const char *argv[] = { program, NULL };
	pid_t pid = program_start(argv);
	struct goro_scope *scope = program_open(pid);
	struct goro_walk walk = { 0 };
	const struct goro_info *g;
	struct goro_snapshot *snap;
	size_t n = 0;

	(void)state;
	goro_scope_list_objects(scope);
	snap = program_snapshot(scope, all_wait, NULL);
	walk.snap = snap;
	while ((g = goro_snapshot_next(&walk))) {
		const struct goro_object *o = goro_snapshot_object(walk.snap, g->wait_object);

		if (!g->member || !g->wait_object)
			continue;
		assert_non_null(o);
		assert_true(o->valid);
		assert_int_equal(o->wait_class, GORO_CLASS_CHAN);
		assert_true(o->make_pc != 0);
		n++;
	}
	assert_true(n > 200);
	goro_snapshot_free(snap);
	goro_scope_close(scope);
	program_stop(pid);
}

/* Samples of all goroutines are of those in crowds, too. */
static void test_profile(void **state)
{
	const char *argv[] = { program, NULL };
	static const enum goro_profile_mode modes[] = { GORO_PROFILE_WALL, GORO_PROFILE_OFFCPU };
	pid_t pid = program_start(argv);
	struct goro_scope *scope = program_open(pid);

	(void)state;
	goro_scope_list(scope);
	goro_snapshot_free(program_snapshot(scope, all_wait, NULL));
	for (size_t i = 0; i < 2; i++) {
		const struct goro_profile_options o = { .mode = modes[i],
							.hz = 100,
							.duration_ns = SECOND / 5 };
		struct goro_profile_part *part;

		no_error(goro_scope_profile_part(scope, &o, &part));
		assert_true(part->taken > 0);
		assert_true(part->root->total / 300 >= part->ns);
		goro_profile_part_free(part);
	}
	goro_scope_close(scope);
	program_stop(pid);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_age),	cmocka_unit_test(test_groups),
		cmocka_unit_test(test_growth),	cmocka_unit_test(test_order_in_place),
		cmocka_unit_test(test_objects), cmocka_unit_test(test_profile),
	};

	if (argc != 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
