/* SPDX-License-Identifier: MIT */
/*
 * verdict_test.c - the ladder of verdicts: age, growth, grouping, and the words of the evidence.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fake.h"
#include "goro_introspect.h"
#include "verdict.h"

enum { A = 0xa000, B = 0xb000, C = 0xc000 };

static struct stuck stuck[FAKE_MAX];

static const struct goro_reach no_reach;
static const struct goro_verdict_options five_minutes = { .suspect_age_ns =
								  UINT64_C(300000000000) };

/* Names as of a program with two functions; see the stacks in fake.c. */
static struct goro_frame *names_frames(void *scope, const struct goro_snapshot *snap,
				       uint32_t stack_id, size_t *n, size_t *user)
{
	struct goro_frame *f = calloc(2, sizeof *f);

	(void)scope;
	(void)snap;
	f[0] = (struct goro_frame){ .function = "goro_mutex_lock", .runtime = true };
	f[1] = (struct goro_frame){ .function = stack_id ? "right" : "left",
				    .file = "/src/prog.c",
				    .line = stack_id ? 20 : 10 };
	*n = 2;
	*user = 1;
	return f;
}

static bool names_spawn_site(void *scope, const struct goro_info *g, struct goro_frame *ret)
{
	(void)scope;
	(void)g;
	*ret = (struct goro_frame){ .function = "main", .file = "/src/prog.c", .line = 30 };
	return true;
}

static const struct evidence_names names = { NULL, names_frames, names_spawn_site, NULL };

/* Freeze, prove, judge. */
static struct goro_verdicts *judge(const struct fake *f, const struct goro_growth *growth,
				   struct goro_snapshot **snap)
{
	struct goro_verdicts *v;

	*snap = fake_freeze(f);
	assert_true(waitgraph_prove(*snap, *snap, stuck) >= 0);
	verdict_set(*snap, stuck, growth, &five_minutes);
	v = verdict_group(*snap, stuck);
	assert_non_null(v);
	return v;
}

static void expect_evidence(const struct fake *f, size_t finding, const char *text)
{
	struct goro_snapshot *snap;
	struct goro_verdicts *v = judge(f, NULL, &snap);
	char *got = evidence_text(snap, &v->findings[finding], stuck, NULL, &five_minutes,
				  &no_reach, &names);

	assert_string_equal(got, text);
	free(got);
	goro_verdicts_free(v);
	goro_snapshot_free(snap);
}

static void age(void **state)
{
	struct fake f = { 0 };
	struct goro_snapshot *snap;
	struct goro_verdicts *v;

	(void)state;
	fake_wait(&f, 1, GORO_REASON_CHAN_RECV, A)->wait_ns = five_minutes.suspect_age_ns * 2;
	fake_wait(&f, 2, GORO_REASON_CHAN_RECV, A)->wait_ns = five_minutes.suspect_age_ns + 1;
	fake_wait(&f, 3, GORO_REASON_CHAN_RECV, A)->wait_ns = five_minutes.suspect_age_ns;
	fake_wait(&f, 4, GORO_REASON_SLEEP, 0)->wait_ns = five_minutes.suspect_age_ns * 2;
	fake_wait(&f, 5, GORO_REASON_IO, 0)->wait_ns = five_minutes.suspect_age_ns * 2;
	fake_wait(&f, 6, GORO_REASON_CHAN_RECV, A)->wait_ns = five_minutes.suspect_age_ns * 2;
	fake_find(&f, 6)->flags = GORO_FLAG_SYSTEM;
	fake_g(&f, 7)->wait_ns = five_minutes.suspect_age_ns * 2;
	fake_chan(&f, A);
	v = judge(&f, NULL, &snap);
	assert_int_equal(v->n, 1);
	assert_int_equal(v->suspect, 1);
	assert_int_equal(v->findings[0].verdict, GORO_VERDICT_SUSPECT);
	assert_int_equal(v->findings[0].proof, GORO_PROOF_AGE);
	assert_int_equal(snap->g[v->findings[0].members[0]].id, 2);
	assert_int_equal(snap->g[1].finding, 0);
	assert_int_equal(snap->g[2].finding, UINT32_MAX);
	goro_verdicts_free(v);
	goro_snapshot_free(snap);
	expect_evidence(&f, 0, "has not moved for 5m0s (the threshold is 5m0s)\n");
}

/* One more goroutine of a site at each look. */
static void look(struct goro_growth **growth, const struct fake *f, int64_t time)
{
	struct goro_snapshot *snap = fake_freeze(f);

	snap->time = time * 1000000000;
	assert_true(growth_look(growth, snap));
	goro_snapshot_free(snap);
}

static uint32_t streak_after(int looks, int woken_at, int gone_at, int same_at, unsigned reason)
{
	struct goro_growth *growth = NULL;
	struct fake f = { 0 };
	uint32_t streak;

	for (int i = 0; i < looks; i++) {
		if (i == woken_at)
			f.g[0].park_seq++;
		if (i == gone_at)
			f.g[0] = f.g[--f.ng];
		if (i == gone_at)
			fake_wait(&f, 60, reason, A);
		if (i != same_at)
			fake_wait(&f, (uint64_t)i + 2, reason, A);
		look(&growth, &f, i);
	}
	streak = growth_site(growth, 0x5000) ? growth_site(growth, 0x5000)->streak : 0;
	growth_free(growth);
	return streak;
}

static void growth_needs_every_look(void **state)
{
	(void)state;
	assert_int_equal(streak_after(1, -1, -1, -1, GORO_REASON_CHAN_RECV), 0);
	assert_int_equal(streak_after(6, -1, -1, -1, GORO_REASON_CHAN_RECV), 5);
	assert_int_equal(streak_after(9, 5, -1, -1, GORO_REASON_CHAN_RECV), 3);
	assert_int_equal(streak_after(9, -1, 5, -1, GORO_REASON_CHAN_RECV), 3);
	assert_int_equal(streak_after(9, -1, -1, 5, GORO_REASON_CHAN_RECV), 3);
	assert_int_equal(streak_after(9, -1, -1, -1, GORO_REASON_SLEEP), 0);
}

static void growth_is_likely(void **state)
{
	struct goro_growth *growth = NULL;
	struct fake f = { 0 };
	struct goro_snapshot *snap;
	struct goro_verdicts *v;
	char *text;

	(void)state;
	fake_wait(&f, 1, GORO_REASON_WAITGROUP, B);
	for (int i = 0; i < 6; i++) {
		fake_wait(&f, (uint64_t)i + 2, GORO_REASON_CHAN_RECV, A);
		look(&growth, &f, i);
		v = judge(&f, growth, &snap);
		assert_int_equal(v->likely, i < 5 ? 0 : 6);
		if (i == 5) {
			snap->time = 5000000000;
			text = evidence_text(snap, &v->findings[0], stuck, growth, &five_minutes,
					     &no_reach, &names);
			assert_string_equal(
				text, "waiting goroutines of this spawn site grew from 1 to 6 "
				      "at each of the last 5 looks (5.0s), and none was "
				      "woken\n");
			free(text);
		}
		goro_verdicts_free(v);
		goro_snapshot_free(snap);
	}
	growth_free(growth);
}

static void groups_and_their_order(void **state)
{
	struct fake f = { 0 };
	struct goro_snapshot *snap;
	struct goro_verdicts *v;

	(void)state;
	fake_g(&f, 1);
	for (uint64_t id = 2; id <= 4; id++)
		fake_wait(&f, id, GORO_REASON_CHAN_RECV_NIL, 0);
	fake_wait(&f, 5, GORO_REASON_CHAN_RECV_NIL, 0)->spawn_pc = 0x6000;
	fake_wait(&f, 6, GORO_REASON_CHAN_RECV_NIL, 0)->stack_id = 1;
	fake_wait(&f, 7, GORO_REASON_CHAN_RECV, A)->wait_ns = five_minutes.suspect_age_ns * 2;
	fake_wait(&f, 8, GORO_REASON_CHAN_RECV_NIL, 0)->stack_id = 1;
	fake_chan(&f, A);
	v = judge(&f, NULL, &snap);
	assert_int_equal(v->n, 4);
	assert_int_equal(v->leaked, 6);
	assert_int_equal(v->findings[0].n, 3);
	assert_int_equal(v->findings[1].n, 2);
	assert_int_equal(snap->g[v->findings[1].members[1]].id, 8);
	assert_int_equal(v->findings[2].n, 1);
	assert_int_equal(v->findings[2].site, 0x6000);
	assert_int_equal(v->findings[3].verdict, GORO_VERDICT_SUSPECT);
	for (size_t i = 0; i < v->n; i++) {
		for (size_t k = 0; k < v->findings[i].n; k++)
			assert_int_equal(snap->g[v->findings[i].members[k]].finding, i);
	}
	goro_verdicts_free(v);
	goro_snapshot_free(snap);
}

/* `pairs` AB-BA deadlocks; the second of each pair stands on another line. */
static void make_pairs(struct fake *f, unsigned pairs)
{
	fake_g(f, 1);
	for (uint64_t i = 0; i < pairs; i++) {
		fake_wait(f, 2 + 2 * i, GORO_REASON_MUTEX, B + i);
		fake_wait(f, 3 + 2 * i, GORO_REASON_MUTEX, A + i)->stack_id = 1;
		fake_mutex(f, A + i, 2 + 2 * i);
		fake_mutex(f, B + i, 3 + 2 * i);
	}
}

static void cycles_of_one_shape_are_one_finding(void **state)
{
	struct fake f = { 0 };
	struct goro_snapshot *snap;
	struct goro_verdicts *v;

	(void)state;
	make_pairs(&f, 3);
	v = judge(&f, NULL, &snap);
	assert_int_equal(v->n, 1);
	assert_int_equal(v->findings[0].n, 6);
	goro_verdicts_free(v);
	goro_snapshot_free(snap);
	expect_evidence(&f, 0,
			"goroutine 2 waits in sync.Mutex.Lock at /src/prog.c:10 (left) for the "
			"lock 0xb000, which goroutine 3 holds\n"
			"goroutine 3 waits in sync.Mutex.Lock at /src/prog.c:20 (right) for the "
			"lock 0xa000, which goroutine 2 holds\n"
			"4 more goroutines stand in rings of the same shape\n");
}

static void evidence_of_locks(void **state)
{
	struct fake f = { 0 };

	(void)state;
	fake_g(&f, 1);
	fake_wait(&f, 2, GORO_REASON_MUTEX, A)->queued = true;
	fake_mutex(&f, A, 2);
	expect_evidence(&f, 0,
			"goroutine 2 waits in sync.Mutex.Lock at /src/prog.c:10 (left) for the "
			"lock 0xa000, which it holds itself\n");

	memset(&f, 0, sizeof f);
	fake_g(&f, 1);
	fake_wait(&f, 9, GORO_REASON_MUTEX, A);
	fake_mutex(&f, A, 3);
	f.tombs[f.ntombs++] =
		(struct goro_tomb){ .id = 3, .spawn_pc = 0x5000, .ago_ns = 3200000000, .locks = 1 };
	expect_evidence(&f, 0,
			"goroutine 9 waits in sync.Mutex.Lock at /src/prog.c:10 (left) for the "
			"lock 0xa000, whose owner, goroutine 3, has ended\n"
			"goroutine 3 was started at /src/prog.c:30 (main) and ended 3.2s ago "
			"while it held 1 lock\n");

	memset(&f, 0, sizeof f);
	fake_wait(&f, 2, GORO_REASON_RWMUTEX_R, A)->queued = true;
	fake_wait(&f, 3, GORO_REASON_RWMUTEX_W, A)->wait_ns = UINT64_C(100000000000);
	fake_rwmutex(&f, A, 0, 1);
	fake_rlock(&f, 2, A);
	expect_evidence(&f, 0,
			"goroutine 2 waits in sync.RWMutex.RLock at /src/prog.c:10 (left) for the "
			"lock 0xa000, behind goroutine 3, which waits to write\n"
			"goroutine 3 waits in sync.RWMutex.Lock at /src/prog.c:10 (left) for the "
			"lock 0xa000, which goroutine 2 holds for reading\n");
}

static void evidence_of_never_and_of_its_followers(void **state)
{
	struct fake f = { 0 };

	(void)state;
	fake_wait(&f, 2, GORO_REASON_SELECT_NONE, 0);
	fake_wait(&f, 3, GORO_REASON_MUTEX, A)->stack_id = 1;
	fake_mutex(&f, A, 2);
	expect_evidence(&f, 0,
			"goroutine 2 waits in select (no cases) at /src/prog.c:10 (left), which "
			"nothing can end\n");
	expect_evidence(&f, 1,
			"goroutine 3 waits in sync.Mutex.Lock at /src/prog.c:20 (right) for the "
			"lock 0xa000, which goroutine 2 holds\n"
			"goroutine 2 waits in select (no cases) at /src/prog.c:10 (left), and is "
			"LEAKED itself\n");
}

/* It waits there until the process is killed, and is meant to. */
static void main_in_an_empty_select_is_not_leaked(void **state)
{
	struct fake f = { 0 };
	struct goro_snapshot *snap;
	struct goro_verdicts *v;

	(void)state;
	fake_wait(&f, 1, GORO_REASON_SELECT_NONE, 0);
	v = judge(&f, NULL, &snap);
	assert_int_equal(v->n, 0);
	assert_int_equal(snap->g[0].verdict, GORO_VERDICT_OK);
	goro_verdicts_free(v);
	goro_snapshot_free(snap);

	fake_wait(&f, 3, GORO_REASON_MUTEX, A)->stack_id = 1;
	fake_mutex(&f, A, 1);
	expect_evidence(&f, 0,
			"goroutine 3 waits in sync.Mutex.Lock at /src/prog.c:20 (right) for the "
			"lock 0xa000, which goroutine 1 holds\n"
			"goroutine 1 waits in select (no cases) at /src/prog.c:10 (left), which "
			"nothing can end\n");
}

/* A ring too long to print, with a goroutine that closes a shorter one. */
static void evidence_of_a_long_ring(void **state)
{
	struct fake f = { 0 };
	struct goro_snapshot *snap;
	struct goro_verdicts *v;
	char *text;
	size_t lines = 0;

	(void)state;
	for (uint64_t i = 0; i < 20; i++) {
		fake_wait(&f, i + 2, GORO_REASON_MUTEX, A + i);
		fake_mutex(&f, A + i, (i + 1) % 20 + 2);
	}
	v = judge(&f, NULL, &snap);
	text = evidence_text(snap, &v->findings[0], stuck, NULL, &five_minutes, &no_reach, &names);
	for (const char *s = text; *s; s++)
		lines += *s == '\n';
	assert_int_equal(lines, 17);
	assert_non_null(strstr(text, "\nand so on: 20 goroutines in a ring\n"));
	free(text);
	goro_verdicts_free(v);
	goro_snapshot_free(snap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(age),
		cmocka_unit_test(growth_needs_every_look),
		cmocka_unit_test(growth_is_likely),
		cmocka_unit_test(groups_and_their_order),
		cmocka_unit_test(cycles_of_one_shape_are_one_finding),
		cmocka_unit_test(evidence_of_locks),
		cmocka_unit_test(evidence_of_never_and_of_its_followers),
		cmocka_unit_test(main_in_an_empty_select_is_not_leaked),
		cmocka_unit_test(evidence_of_a_long_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
