/* SPDX-License-Identifier: MIT */
/*
 * test_reader.c - the reader over a program made of byte strings: it goes by the contract's own
 * layout, and sees what moves while it reads. What it makes of lies is in test_lies.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "crowd.h"
#include "fake.h"
#include "scope.h"

static void test_reads_by_the_contract(void **state)
{
	struct goro_scope *scope = fake_open(fake_new());
	struct goro_snapshot *snap = fake_look(scope);

	(void)state;
	assert_string_equal(snap->runtime, "goro 9.8.7");
	assert_int_equal(snap->ng, FAKE_NG);
	assert_int_equal(snap->nstacks, 1);
	assert_int_equal(snap->stacks[0].n, 3);
	assert_true(snap->stacks[0].complete);
	assert_true(snap->stacks[0].by_frame_pointer);
	assert_int_equal(snap->pcs[0], FAKE_CODE + 0x20);
	assert_int_equal(snap->pcs[1], FAKE_CODE + 0x30);
	assert_int_equal(snap->pcs[2], FAKE_CODE + 0x110);
	for (size_t i = 0; i < snap->ng; i++) {
		const struct goro_info *g = &snap->g[i];

		assert_int_equal(g->id, i + 1);
		assert_int_equal(g->park_seq, 3);
		assert_string_equal(goro_state_text(g), "chan receive");
		assert_int_equal(g->stack_id, 0);
		assert_int_equal(g->stack_used, 256);
		assert_int_equal(g->stack_resident, 4096);
		assert_int_equal(g->nwaits, 1);
		assert_false(g->torn);
	}
	assert_int_equal(snap->nobjects, FAKE_NG / 4);
	for (size_t i = 0; i < snap->nobjects; i++) {
		const struct goro_object *o = &snap->objects[i];

		assert_int_equal(o->address, FAKE_OBJECTS + 256 * i);
		assert_true(o->valid);
		assert_int_equal(o->nwaiters, 4);
		assert_int_equal(o->elem_size, 4 + i);
		assert_int_equal(o->len, i);
		assert_int_equal(o->cap, 10);
	}
	assert_int_equal(snap->nprocs, 1);
	assert_int_equal(snap->procs[0].tid, 1234);
	assert_int_equal(snap->procs[0].running, 1);
	assert_int_equal(snap->procs[0].nspawn, 20);
	assert_int_equal(scope->reader->goroutines, 16);
	assert_int_equal(snap->bad_records + snap->torn + snap->truncated + snap->reread, 0);
	goro_snapshot_free(snap);
	goro_scope_close(scope);
}

/* The two ends of a run queue are never read at one moment. */
static void test_ends_of_a_run_queue(void **state)
{
	static const struct {
		uint64_t head, tail, next;
		uint32_t len;
	} cases[] = { { 5, 5, 0, 0 },		{ 5, 9, 0, 4 }, { 5, 9, FAKE_RECORDS, 5 },
		      { UINT32_MAX, 2, 0, 3 },	{ 6, 5, 0, 0 }, { 0, UINT32_MAX, 0, 0 },
		      { 6, 5, FAKE_RECORDS, 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fake *f = fake_new();
		uint64_t p = *(uint64_t *)fake_at(f, f->contract->ps);
		struct goro_scope *scope;
		struct goro_snapshot *snap;

		fake_store(f, p, GORO_FIELD_p_runq_head, cases[i].head);
		fake_store(f, p, GORO_FIELD_p_runq_tail, cases[i].tail);
		fake_store(f, p, GORO_FIELD_p_runnext, cases[i].next);
		scope = fake_open(f);
		snap = fake_look(scope);
		assert_int_equal(snap->procs[0].runq_len, cases[i].len);
		goro_snapshot_free(snap);
		goro_scope_close(scope);
	}
}

static void test_books_of_the_heap(void **state)
{
	struct fake *f = fake_new();
	struct goro_scope *scope;
	struct goro_snapshot *snap;

	(void)state;
	fake_keep_books(f);
	scope = fake_open(f);
	snap = fake_look(scope);
	assert_int_equal(snap->bad_records, 0);
	assert_non_null(snap->heap);
	for (size_t i = 0; i < FAKE_NG; i++) {
		assert_int_equal(snap->heap[i].total_bytes, 100 * (i + 1));
		assert_int_equal(snap->heap[i].total_objects, 3);
		assert_int_equal(snap->heap[i].bytes, 100 * (i + 1) - 50);
		assert_int_equal(snap->heap[i].objects, 1);
	}
	assert_int_equal(snap->heap_outside.total_bytes, 100 * (FAKE_NG + 1));
	assert_int_equal(snap->nheap_ended, 1);
	assert_int_equal(snap->heap_ended[0].spawn_pc, FAKE_CODE + 0x10);
	assert_int_equal(snap->heap_ended[0].heap.total_bytes, 5000 + 100 * (FAKE_NG + 2));
	assert_int_equal(snap->heap_ended[0].heap.objects, 1);
	goro_snapshot_free(snap);
	goro_scope_close(scope);
}

/* A contract from before some fields existed, and one that has more than we know. */
static void test_older_and_newer_contracts(void **state)
{
	struct fake *f = fake_new();
	struct goro_scope *scope;
	struct goro_snapshot *snap;

	(void)state;
	f->contract->size = offsetof(struct goro_introspect, timers);
	f->contract->timers = 77;
	f->fields[GORO_FIELD_g_parent].size = 0;
	fake_set(f, 0, GORO_FIELD_g_status, GORO_STATE_WAITING | 200 << 8);
	scope = fake_open(f);
	snap = fake_look(scope);
	assert_int_equal(snap->ng, FAKE_NG);
	assert_int_equal(snap->timers, 0);
	assert_int_equal(snap->g[0].parent, 0);
	assert_int_equal(snap->g[0].reason, 200);
	assert_string_equal(goro_state_text(&snap->g[0]), "waiting (unknown)");
	goro_snapshot_free(snap);

	f->contract->nfields = GORO_NFIELDS + 50;
	f->contract->size = sizeof *f->contract + 64;
	f->contract->nreasons = GORO_NREASONS + 1;
	snap = fake_look(scope);
	assert_int_equal(snap->ng, FAKE_NG);
	assert_int_equal(snap->timers, 77);
	goro_snapshot_free(snap);
	goro_scope_close(scope);
}

/* ---- what moves while we read ---------------------------------------------------------------- */

/* Goroutine 0 runs and parks again each time its stack is read, *arg times. */
static void park_again(struct fake *f, uint64_t address)
{
	unsigned *times = f->arg;
	uint32_t *seq = fake_at(f, fake_g(0) + f->fields[GORO_FIELD_g_park_seq].offset);

	if (address < FAKE_STACKS || address >= FAKE_STACKS + FAKE_STACK || !*times)
		return;
	(*times)--;
	(*seq)++;
}

static void test_reads_again_what_ran(void **state)
{
	struct fake *f = fake_new();
	struct goro_scope *scope = fake_open(f);
	unsigned times = 2;
	struct goro_snapshot *snap;

	(void)state;
	f->arg = &times;
	f->on_read = park_again;
	snap = fake_look(scope);
	assert_int_equal(snap->reread, 1);
	assert_int_equal(snap->torn, 0);
	assert_int_equal(snap->g[0].park_seq, 5);
	assert_int_equal(snap->g[0].stack_id, 0);
	goro_snapshot_free(snap);

	times = 1000;
	fake_set(f, 0, GORO_FIELD_g_park_seq, 50);
	snap = fake_look(scope);
	assert_int_equal(snap->ng, FAKE_NG);
	assert_int_equal(snap->torn, 1);
	assert_true(snap->g[0].torn);
	assert_int_equal(snap->g[0].stack_id, GORO_NO_STACK);
	assert_string_equal(goro_state_text(&snap->g[0]), "chan receive");
	assert_true(times > 1000 - 10);
	goro_snapshot_free(snap);
	goro_scope_close(scope);
}

static void count_stack_reads(struct fake *f, uint64_t address)
{
	unsigned *reads = f->arg;

	*reads += address >= FAKE_STACKS;
}

/* But after the first look, which may be the only one: it saves no memory for a next. */
static void test_reads_no_stack_twice(void **state)
{
	struct fake *f = fake_new();
	struct goro_scope *scope = fake_open(f);
	unsigned reads = 0;
	struct goro_snapshot *snap;
	uint64_t *stack = fake_at(f, FAKE_STACKS + FAKE_STACK - 256);

	(void)state;
	f->arg = &reads;
	f->on_read = count_stack_reads;
	goro_snapshot_free(fake_look(scope));
	assert_int_equal(reads, FAKE_NG);
	goro_snapshot_free(fake_look(scope));

	/* Goroutine 1 has parked elsewhere, another one has its record's place, one runs. */
	stack[2] = FAKE_CODE + 0x50;
	fake_set(f, 0, GORO_FIELD_g_park_seq, 4);
	fake_set(f, 1, GORO_FIELD_g_id, 100);
	fake_set(f, 2, GORO_FIELD_g_status, GORO_STATE_RUNNING);
	reads = 0;
	snap = fake_look(scope);
	assert_int_equal(reads, 2);
	assert_int_equal(snap->ng, FAKE_NG);
	assert_int_equal(snap->nstacks, 2);
	assert_int_equal(snap->pcs[snap->stacks[snap->g[0].stack_id].first], FAKE_CODE + 0x50);
	assert_int_equal(goro_snapshot_find(snap, 15)->stack_id, GORO_NO_STACK);
	for (size_t i = 1; i < snap->ng; i++) {
		const struct goro_info *g = &snap->g[i];

		if (g->state != GORO_STATE_WAITING)
			continue;
		assert_int_equal(snap->pcs[snap->stacks[g->stack_id].first], FAKE_CODE + 0x20);
		assert_int_equal(g->nwaits, 1);
		assert_int_equal(snap->waits[g->waits_first].object, g->wait_object);
		assert_int_equal(g->stack_used, 256);
	}
	goro_snapshot_free(snap);
	goro_scope_close(scope);
}

/* What each was, a summary says with fewer; who can be asked for is still there. */
static void test_summary(void **state)
{
	struct fake *f = fake_new();
	struct goro_scope *scope = fake_open(f);
	struct goro_snapshot *snap;
	size_t weight = 0;

	(void)state;
	fake_set(f, 3, GORO_FIELD_g_status, GORO_STATE_WAITING | (uint64_t)GORO_REASON_MUTEX << 8);
	fake_set(f, 3, GORO_FIELD_g_wait_object, FAKE_OBJECTS + 0x800);
	fake_set(f, 5, GORO_FIELD_g_held_locks, 1);
	fake_set(f, 7, GORO_FIELD_g_spawn_pc, FAKE_CODE + 0x18);
	fake_set(f, 9, GORO_FIELD_g_status, GORO_STATE_RUNNING);
	snap = fake_look(scope);
	assert_int_equal(snap->ng, FAKE_NG);
	assert_int_equal(snap->ncrowds, 0);
	assert_int_equal(goro_snapshot_count(snap), FAKE_NG);
	goro_snapshot_free(snap);

	goro_scope_summarize(scope);
	for (int look = 0; look < 3; look++) {
		snap = fake_look(scope);
		assert_int_equal(goro_snapshot_count(snap), FAKE_NG);
		assert_int_equal(snap->ng, 5);
		assert_int_equal(snap->ncrowds, 1);
		for (size_t i = 0; i < snap->ng; i++) {
			weight += goro_snapshot_weight(snap, &snap->g[i]);
			assert_int_equal(goro_snapshot_weight(snap, &snap->g[i]),
					 snap->g[i].id == 1 ? FAKE_NG - 4 : 1);
		}
		assert_int_equal(weight, FAKE_NG * (size_t)(look + 1));
		for (uint64_t id = 1; id <= FAKE_NG; id++)
			assert_true(crowd_has(snap, id));
		assert_false(crowd_has(snap, FAKE_NG + 1));
		assert_false(crowd_has(snap, 0));
		goro_snapshot_free(snap);
	}
	goro_scope_close(scope);
}

/* All that a list tells of each. What is left out is not told: see goro_snapshot_next(). */
static void same_told(const struct goro_snapshot *x, const struct goro_info *a,
		      const struct goro_snapshot *y, const struct goro_info *b)
{
#define SAME(field) assert_int_equal(a->field, b->field)
	SAME(id);
	SAME(parent);
	SAME(spawn_pc);
	SAME(entry);
	SAME(record);
	SAME(state);
	SAME(reason);
	SAME(wait_class);
	SAME(flags);
	SAME(letter);
	SAME(wait_object);
	assert_int_equal((uint64_t)x->time - a->wait_ns, (uint64_t)y->time - b->wait_ns);
	SAME(sp);
	SAME(stack_lo);
	SAME(stack_hi);
	SAME(stack_id);
	SAME(stack_resident);
	SAME(stack_peak);
	SAME(stack_used);
	SAME(held_locks);
	SAME(m_id);
	SAME(park_seq);
	SAME(finding);
	SAME(torn);
	SAME(crowd);
	SAME(nwaits);
#undef SAME
	for (uint32_t i = 0; i < a->nwaits; i++) {
		struct goro_wait v = goro_snapshot_wait(x, a, i), w = goro_snapshot_wait(y, b, i);

		assert_int_equal(v.object, w.object);
		assert_int_equal(v.reason, w.reason);
		assert_int_equal(v.wait_class, w.wait_class);
	}
}

static void tells_all(struct goro_scope *scope, const struct goro_snapshot *whole, size_t members)
{
	struct goro_snapshot *snap = fake_look(scope);
	struct goro_walk walk = { .snap = snap };
	struct goro_info room;

	assert_int_equal(goro_snapshot_count(snap), whole->ng);
	assert_int_equal(snap->nmembers, members);
	assert_int_equal(snap->ng, whole->ng - members);
	assert_int_equal(snap->bad_records, whole->bad_records);
	for (size_t i = 0; i < whole->ng; i++) {
		const struct goro_info *g = goro_snapshot_next(&walk);

		assert_non_null(g);
		same_told(whole, &whole->g[i], snap, g);
		g = goro_snapshot_at(snap, goro_walk_place(&walk), &room);
		same_told(whole, &whole->g[i], snap, g);
		assert_true(crowd_has(snap, g->id));
	}
	assert_null(goro_snapshot_next(&walk));
	assert_false(crowd_has(snap, FAKE_NG + 1));
	goro_snapshot_free(snap);
}

/* The runtime marks in it whom it measures: that is no worker. */
static void test_worker_without_mark(void **state)
{
	struct fake *f = fake_new();
	struct goro_scope *scope = fake_open(f);
	struct goro_snapshot *snap;

	(void)state;
	fake_set(f, 0, GORO_FIELD_g_m_id, 0x87650000u | 3);
	snap = fake_look(scope);
	assert_int_equal(snap->g[0].m_id, 3);
	goro_snapshot_free(snap);
	goro_scope_close(scope);
}

/* Each differs from all others in what it has to itself; the first crowd is all but a few. */
static void test_list(void **state)
{
	struct fake *f = fake_new();
	struct goro_scope *scope = fake_open(f);
	struct goro_snapshot *whole;

	(void)state;
	f->fields[GORO_FIELD_g_stack_peak] = (struct goro_field){ FAKE_G_SIZE - 8, 4 };
	for (unsigned i = 0; i < FAKE_NG; i++) {
		fake_set(f, i, GORO_FIELD_g_parent, 100 + i);
		fake_set(f, i, GORO_FIELD_g_park_time, (1000 + 7 * (uint64_t)i) << 16);
		fake_set(f, i, GORO_FIELD_g_m_id, 200 - i);
		fake_set(f, i, GORO_FIELD_g_park_seq, 1000 + 2 * i);
		fake_set(f, i, GORO_FIELD_g_stack_peak, 1 + i % 3);
	}
	fake_set(f, 3, GORO_FIELD_g_held_locks, 1);
	fake_set(f, 9, GORO_FIELD_g_status, GORO_STATE_RUNNING);
	/* These do not fit into a member. */
	fake_set(f, 5, GORO_FIELD_g_m_id, 0x300);
	fake_set(f, 7, GORO_FIELD_g_stack_peak, UINT16_MAX + 1);
	whole = fake_look(scope);
	assert_int_equal(whole->ng, FAKE_NG);
	goro_scope_list(scope);
	tells_all(scope, whole, FAKE_NG - 5);
	goro_snapshot_free(whole);
	goro_scope_close(scope);
}

/* Damaged memory: three that claim to be one, of which one is not like the others. */
static void test_list_says_nothing_twice(void **state)
{
	struct fake *f = fake_new();
	struct goro_scope *scope = fake_open(f);
	struct goro_walk walk = { 0 };
	const struct goro_info *g;
	struct goro_snapshot *snap;
	uint64_t last = 0;
	size_t n = 0;

	(void)state;
	fake_set(f, 3, GORO_FIELD_g_id, 12);
	fake_set(f, 4, GORO_FIELD_g_id, 12);
	fake_set(f, 5, GORO_FIELD_g_id, 12);
	fake_set(f, 5, GORO_FIELD_g_held_locks, 1);
	goro_scope_list(scope);
	snap = fake_look(scope);
	walk.snap = snap;
	for (; (g = goro_snapshot_next(&walk)); n++) {
		assert_true(g->id > last);
		last = g->id;
	}
	assert_int_equal(n, goro_snapshot_count(snap));
	assert_true(n < FAKE_NG);
	assert_int_equal(n + snap->bad_records, FAKE_NG);
	goro_snapshot_free(snap);
	goro_scope_close(scope);
}

/* The one that is asked for is not lost in a crowd, wherever its record is. */
static void test_single_out(void **state)
{
	(void)state;
	for (uint64_t id = 1; id <= FAKE_NG; id++) {
		struct goro_scope *scope = fake_open(fake_new());
		struct goro_snapshot *snap;
		const struct goro_info *g;

		goro_scope_single_out(scope, id);
		snap = fake_look(scope);
		g = goro_snapshot_find(snap, id);
		assert_non_null(g);
		assert_int_equal(goro_snapshot_weight(snap, g), 1);
		assert_int_equal(snap->ng, 2);
		assert_int_equal(goro_snapshot_count(snap), FAKE_NG);
		goro_snapshot_free(snap);
		goro_scope_close(scope);
	}
}

/* Goroutine 0 ends when its stack is read. */
static void end_it(struct fake *f, uint64_t address)
{
	if (address >= FAKE_STACKS && address < FAKE_STACKS + FAKE_STACK)
		fake_set(f, 0, GORO_FIELD_g_status, GORO_STATE_FREE);
}

static void test_leaves_out_what_ended(void **state)
{
	struct fake *f = fake_new();
	struct goro_scope *scope = fake_open(f);
	struct goro_snapshot *snap;

	(void)state;
	f->on_read = end_it;
	snap = fake_look(scope);
	assert_int_equal(snap->ng, FAKE_NG - 1);
	assert_null(goro_snapshot_find(snap, 1));
	assert_non_null(goro_snapshot_find(snap, 2));
	goro_snapshot_free(snap);
	goro_scope_close(scope);
}

static void end_all(struct fake *f, uint64_t address)
{
	f->ended |= address >= FAKE_STACKS;
}

static void test_reports_the_end(void **state)
{
	struct fake *f = fake_new();
	struct goro_scope *scope = fake_open(f);
	struct goro_snapshot *snap = NULL;
	struct goro_error *err;

	(void)state;
	f->on_read = end_all;
	err = goro_scope_snapshot(scope, &snap);
	assert_non_null(err);
	assert_int_equal(err->code, GORO_NO_TARGET);
	assert_null(snap);
	goro_error_free(err);
	goro_scope_close(scope);
}

/* ---- select ---------------------------------------------------------------------------------- */

static void check_waits(const struct goro_snapshot *snap, const struct goro_info *g, unsigned n)
{
	assert_int_equal(g->nwaits, n);
	for (unsigned i = 0; i < n; i++) {
		const struct goro_wait *w = &snap->waits[g->waits_first + i];

		assert_int_equal(w->object, FAKE_OBJECTS + 256 * i);
		assert_int_equal(w->reason, i % 2 ? GORO_REASON_CHAN_SEND : GORO_REASON_CHAN_RECV);
		assert_int_equal(w->wait_class, GORO_CLASS_CHAN);
	}
}

static void test_select(void **state)
{
	struct fake *f = fake_new();
	struct goro_scope *scope = fake_open(f);
	uint64_t sp = FAKE_STACKS + FAKE_STACK - 4096;
	struct goro_snapshot *snap;

	(void)state;
	/* On its stack, behind the first window; and elsewhere. */
	memmove(fake_at(f, sp), fake_at(f, FAKE_STACKS + FAKE_STACK - 256), 24);
	fake_set(f, 0, GORO_FIELD_g_sp, sp);
	fake_waiters(f, 0, FAKE_STACKS + FAKE_STACK - 1024, 3, 0);
	fake_waiters(f, 1, FAKE_OBJECTS + 0x800, 4, 0);
	snap = fake_look(scope);
	check_waits(snap, &snap->g[0], 3);
	check_waits(snap, goro_snapshot_find(snap, 8), 4);
	assert_int_equal(snap->g[0].stack_used, 4096);
	assert_true(snap->stacks[snap->g[0].stack_id].complete);
	assert_int_equal(snap->bad_records, 0);
	goro_snapshot_free(snap);
	goro_scope_close(scope);
}

static void test_waiters_in_a_ring(void **state)
{
	struct fake *f = fake_new();
	struct goro_scope *scope = fake_open(f);
	uint64_t near = FAKE_STACKS + FAKE_STACK - 112, far = FAKE_OBJECTS + 0x800;
	struct goro_snapshot *snap;
	size_t reads = f->reads;

	(void)state;
	fake_waiters(f, 0, near, 2, near);
	fake_waiters(f, 1, far, 5, far + 128);
	fake_waiters(f, 2, 0xdeadbeef0000, 0, 0);
	snap = fake_look(scope);
	assert_int_equal(snap->ng, FAKE_NG);
	assert_int_equal(snap->bad_records, 3);
	assert_int_equal(snap->g[0].nwaits, 0);
	assert_true(snap->stacks[snap->g[0].stack_id].complete);
	assert_true(f->reads - reads < 500);
	goro_snapshot_free(snap);
	goro_scope_close(scope);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_by_the_contract),
		cmocka_unit_test(test_ends_of_a_run_queue),
		cmocka_unit_test(test_books_of_the_heap),
		cmocka_unit_test(test_older_and_newer_contracts),
		cmocka_unit_test(test_reads_again_what_ran),
		cmocka_unit_test(test_reads_no_stack_twice),
		cmocka_unit_test(test_summary),
		cmocka_unit_test(test_worker_without_mark),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_list_says_nothing_twice),
		cmocka_unit_test(test_single_out),
		cmocka_unit_test(test_leaves_out_what_ended),
		cmocka_unit_test(test_reports_the_end),
		cmocka_unit_test(test_select),
		cmocka_unit_test(test_waiters_in_a_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
