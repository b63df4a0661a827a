/* SPDX-License-Identifier: MIT */
/*
 * test_renew.c - a look made out of an earlier one shows what a first look shows.
 *
 * A program made of byte strings lives at random: goroutines park elsewhere, run, end and begin,
 * locks and labels come and go. One scope looks again and again; what it sees is compared, field
 * by field, with what a new scope sees of a copy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "fake.h"
#include "reader_goro.h"
#include "scope.h"
#include "snapshot.h"

#define LOW_RECORDS 0x0f000000ull /* a chunk that comes later, in front of the first */
#define LOW_STACKS  0x7e0000000000ull
#define NRECORDS    (2 * FAKE_NG)
#define NOBJECTS    12u

static uint64_t seed;

static unsigned pick(unsigned n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(seed >> 33) % n;
}

/* ---- the program ----------------------------------------------------------------------------- */

/* What record i holds, as the program would know it. */
struct life {
	uint64_t id;
	uint32_t seq;
	bool parked;
	unsigned nwaits;
	unsigned objects[3];
};

struct world {
	struct fake *f;
	struct life now[NRECORDS], before[NRECORDS];
	uint64_t next_id;
	bool grown;
};

static uint64_t record_of(unsigned i)
{
	return i < FAKE_NG ? fake_g(i) : LOW_RECORDS + (i - FAKE_NG) * FAKE_G_SIZE;
}

static uint64_t stack_of(unsigned i)
{
	return i < FAKE_NG ? FAKE_STACKS + i * FAKE_STACK : LOW_STACKS + (i - FAKE_NG) * FAKE_STACK;
}

static uint64_t object_of(unsigned i)
{
	return FAKE_OBJECTS + 256 * i;
}

static unsigned reason_of(unsigned object)
{
	static const unsigned reasons[] = { GORO_REASON_CHAN_RECV, GORO_REASON_CHAN_SEND,
					    GORO_REASON_MUTEX, GORO_REASON_WAITGROUP };

	return reasons[object % 4];
}

static void set(struct world *w, unsigned i, enum goro_field_id field, uint64_t value)
{
	fake_store(w->f, record_of(i), field, value);
}

static void set_status(struct world *w, unsigned i, unsigned state, unsigned reason, unsigned flags)
{
	set(w, i, GORO_FIELD_g_status, state | reason << 8);
	set(w, i, GORO_FIELD_g_flags, flags);
}

static void add_segment(struct fake *f, uint64_t address, size_t size)
{
	struct fake_segment *s = &f->segments[f->nsegments++];

	*s = (struct fake_segment){ address, calloc(1, size), size, false };
	assert_non_null(s->bytes);
}

static struct fake *new_fake(void)
{
	struct fake *f = fake_new();

	add_segment(f, LOW_RECORDS, (size_t)FAKE_NG * FAKE_G_SIZE);
	add_segment(f, LOW_STACKS, FAKE_NG * FAKE_STACK);
	f->fields[GORO_FIELD_g_name] = (struct goro_field){ 144, 8 };
	f->fields[GORO_FIELD_g_stack_peak] = (struct goro_field){ 152, 2 };
	f->fields[GORO_FIELD_g_rlocks] = (struct goro_field){ 160, 8 };
	f->contract->g_nrlocks = 2;
	return f;
}

static void copy_fake(struct fake *to, const struct fake *from)
{
	for (size_t i = 0; i < from->nsegments; i++)
		memcpy(to->segments[i].bytes, from->segments[i].bytes, from->segments[i].size);
}

/* The waiters of a select lie on its stack. */
static void park_at_several(struct world *w, unsigned i, uint64_t at)
{
	struct life *l = &w->now[i];

	set(w, i, GORO_FIELD_g_waiting, at);
	set(w, i, GORO_FIELD_g_wait_object, 0);
	set_status(w, i, GORO_STATE_WAITING, GORO_REASON_SELECT, 0);
	for (unsigned k = 0; k < l->nwaits; k++, at += 64) {
		l->objects[k] = pick(NOBJECTS / 4) * 4 + pick(2); /* a channel */
		fake_store(w->f, at, GORO_FIELD_waiter_object, object_of(l->objects[k]));
		fake_store(w->f, at, GORO_FIELD_waiter_kind, reason_of(l->objects[k]));
		fake_store(w->f, at, GORO_FIELD_waiter_next_of_g, k + 1 < l->nwaits ? at + 64 : 0);
	}
}

static void park(struct world *w, unsigned i)
{
	struct life *l = &w->now[i];
	uint64_t hi = stack_of(i) + FAKE_STACK, sp = hi - 512 - 64 * pick(3);
	uint64_t *stack = fake_at(w->f, sp);

	memset(stack, 0, hi - sp);
	stack[0] = sp + 64;
	stack[2] = FAKE_CODE + 0x20 + 8 * pick(4);
	stack[8] = sp + 128;
	stack[9] = FAKE_CODE + 0x30;
	stack[17] = pick(20) ? FAKE_CODE + 0x110 : 0x12345; /* to nowhere: truncated */
	l->parked = true;
	l->seq++;
	l->nwaits = pick(4) ? 1 : 2 + pick(2);
	set(w, i, GORO_FIELD_g_park_seq, l->seq);
	set(w, i, GORO_FIELD_g_sp, sp);
	set(w, i, GORO_FIELD_g_park_time, pick(8) ? (1 + (uint64_t)pick(1000)) << 16 : 0);
	set(w, i, GORO_FIELD_g_stack_lo, stack_of(i));
	set(w, i, GORO_FIELD_g_stack_hi, hi);
	if (l->nwaits > 1) {
		park_at_several(w, i, sp + 160);
		return;
	}
	l->objects[0] = pick(NOBJECTS);
	set(w, i, GORO_FIELD_g_wait_object, object_of(l->objects[0]));
	set_status(w, i, GORO_STATE_WAITING, reason_of(l->objects[0]), 0);
}

static void stop_being(struct world *w, unsigned i)
{
	w->now[i].parked = false;
	set_status(w, i, pick(2) ? GORO_STATE_FREE : GORO_STATE_DEAD, 0, 0);
}

/* Ids are given out in blocks: a later one may be lower. */
static void begin(struct world *w, unsigned i)
{
	w->now[i] = (struct life){ .id = w->next_id ^ pick(4) };
	w->next_id += 4;
	set(w, i, GORO_FIELD_g_id, w->now[i].id);
	set(w, i, GORO_FIELD_g_spawn_pc, FAKE_CODE + 0x10 + pick(3));
	set(w, i, GORO_FIELD_g_parent, pick(9));
	set(w, i, GORO_FIELD_g_held_locks, 0);
	set(w, i, GORO_FIELD_g_name, 0);
	set(w, i, GORO_FIELD_g_stack_peak, 0);
	memset(fake_at(w->f, record_of(i) + 160), 0, 16);
	park(w, i);
}

/* What changes about it while it is parked. */
static void fiddle(struct world *w, unsigned i)
{
	switch (pick(5)) {
	case 0:
		set(w, i, GORO_FIELD_g_held_locks, pick(2));
		memset(fake_at(w->f, record_of(i) + 160), 0, 16);
		break;
	case 1:
		set(w, i, GORO_FIELD_g_stack_peak, pick(4));
		break;
	case 2:
		set(w, i, GORO_FIELD_g_flags, pick(2) ? GORO_FLAG_IGNORE : GORO_FLAG_LOCKED);
		break;
	case 3:
		set(w, i, GORO_FIELD_g_held_locks, 1);
		set(w, i, GORO_FIELD_g_rlocks, object_of(pick(NOBJECTS)));
		break;
	case 4:
		set(w, i, GORO_FIELD_g_name, pick(2) ? FAKE_OBJECTS + 0xf00 : 0);
		break;
	}
}

static void live(struct world *w, unsigned i, unsigned how_much)
{
	struct life *l = &w->now[i];

	if (pick(100) >= how_much)
		return;
	if (!l->id || (!l->parked && pick(2)))
		begin(w, i);
	else if (l->parked && !pick(4))
		fiddle(w, i);
	else if (!pick(4))
		stop_being(w, i);
	else if (pick(3))
		park(w, i);
	else {
		l->parked = false;
		set_status(w, i, pick(2) ? GORO_STATE_RUNNING : GORO_STATE_NEW, 0, 0);
	}
}

static bool waits_for(const struct life *l, unsigned object)
{
	for (unsigned k = 0; l->parked && k < l->nwaits; k++) {
		if (l->objects[k] == object)
			return true;
	}
	return false;
}

/* Nothing but the number of its waiters changes of a channel at which one was parked meanwhile. */
static bool is_steady(const struct world *w, unsigned object)
{
	for (unsigned i = 0; object % 4 < 2 && i < NRECORDS; i++) {
		if (w->now[i].id == w->before[i].id && w->now[i].seq == w->before[i].seq &&
		    waits_for(&w->now[i], object) && waits_for(&w->before[i], object))
			return true;
	}
	return false;
}

static void step(struct world *w, unsigned how_much)
{
	memcpy(w->before, w->now, sizeof w->now);
	if (!w->grown && !pick(50)) {
		uint64_t *chunks = fake_at(w->f, w->f->contract->g_chunks);

		chunks[1] = LOW_RECORDS;
		w->f->contract->g_nchunks = 2;
		w->grown = true;
	}
	for (unsigned i = 0; i < (w->grown ? NRECORDS : FAKE_NG); i++)
		live(w, i, how_much);
	for (unsigned i = 0; i < NOBJECTS; i++) {
		if (!pick(3) && !is_steady(w, i))
			*(uint32_t *)fake_at(w->f, object_of(i) + 8 + 8 * pick(6)) = pick(100);
	}
}

/* ---- what is seen ---------------------------------------------------------------------------- */

#define SAME(field) assert_int_equal(a->field, b->field)

static void same_stack(const struct goro_snapshot *x, const struct goro_info *g,
		       const struct goro_snapshot *y, const struct goro_info *h)
{
	const struct goro_stack *a, *b;

	assert_int_equal(g->stack_id == GORO_NO_STACK, h->stack_id == GORO_NO_STACK);
	if (g->stack_id == GORO_NO_STACK)
		return;
	a = &x->stacks[g->stack_id];
	b = &y->stacks[h->stack_id];
	SAME(n);
	SAME(complete);
	SAME(by_frame_pointer);
	assert_memory_equal(x->pcs + a->first, y->pcs + b->first, a->n * sizeof *x->pcs);
}

static void same_lists(const struct goro_snapshot *x, const struct goro_info *a,
		       const struct goro_snapshot *y, const struct goro_info *b)
{
	SAME(nwaits);
	for (uint32_t i = 0; i < a->nwaits; i++) {
		const struct goro_wait *v = &x->waits[a->waits_first + i];
		const struct goro_wait *w = &y->waits[b->waits_first + i];

		assert_int_equal(v->object, w->object);
		assert_int_equal(v->reason, w->reason);
		assert_int_equal(v->wait_class, w->wait_class);
	}
	SAME(nrlocks);
	for (uint32_t i = 0; i < a->nrlocks; i++)
		assert_int_equal(x->rlocks[a->rlocks_first + i], y->rlocks[b->rlocks_first + i]);
}

static void same_goroutine(const struct goro_snapshot *x, const struct goro_info *a,
			   const struct goro_snapshot *y, const struct goro_info *b)
{
	SAME(id);
	SAME(parent);
	SAME(spawn_pc);
	SAME(entry);
	SAME(record);
	SAME(ext);
	SAME(name);
	SAME(labels);
	SAME(state);
	SAME(reason);
	SAME(wait_class);
	SAME(flags);
	SAME(letter);
	SAME(park_seq);
	SAME(crowd);
	SAME(wait_object);
	assert_int_equal(a->wait_ns == 0, b->wait_ns == 0);
	if (a->wait_ns)
		assert_int_equal((uint64_t)x->time - a->wait_ns, (uint64_t)y->time - b->wait_ns);
	SAME(sp);
	SAME(stack_lo);
	SAME(stack_hi);
	SAME(stack_resident);
	SAME(stack_peak);
	SAME(stack_used);
	SAME(held_locks);
	SAME(rlocks_more);
	SAME(m_id);
	SAME(verdict);
	SAME(proof);
	SAME(finding);
	SAME(queued);
	SAME(labelled);
	SAME(torn);
	SAME(lost);
	same_stack(x, a, y, b);
	same_lists(x, a, y, b);
}

static void same_objects(const struct goro_snapshot *x, const struct goro_snapshot *y)
{
	assert_int_equal(x->nobjects, y->nobjects);
	for (size_t i = 0; i < x->nobjects; i++) {
		const struct goro_object *a = &x->objects[i], *b = &y->objects[i];

		SAME(address);
		SAME(wait_class);
		SAME(valid);
		SAME(owner);
		SAME(readers);
		SAME(len);
		SAME(cap);
		SAME(elem_size);
		SAME(closed);
		SAME(make_pc);
		SAME(nwaiters);
	}
}

static void same(const struct goro_snapshot *a, const struct goro_snapshot *b)
{
	SAME(ng);
	SAME(truncated);
	SAME(torn);
	SAME(bad_records);
	SAME(reread);
	for (size_t i = 0; i < a->ng; i++)
		same_goroutine(a, &a->g[i], b, &b->g[i]);
	same_objects(a, b);
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* What a judge leaves in a snapshot is not to be found in the next. */
static void scribble(struct goro_snapshot *snap)
{
	for (size_t i = 0; i < snap->ng; i++) {
		snap->g[i].verdict = GORO_VERDICT_LEAKED;
		snap->g[i].proof = GORO_PROOF_AGE;
		snap->g[i].finding = 1;
		snap->g[i].queued = true;
	}
}

/* As with thousands: two threads compare the records, and what changed is mostly read in a row. */
static void make_big(struct goro_scope *scope)
{
	struct reader_goro *r = (struct reader_goro *)scope->reader;

	r->for_two = 1;
	r->piece = 2;
}

/* Held ones are out of its reach; those that came home it goes on with, whichever they are. */
static void looks_again(uint64_t s, unsigned how_much, unsigned rounds, bool big)
{
	struct world w = { .f = new_fake(), .next_id = 1000 };
	struct goro_scope *scope = fake_open(w.f);
	struct goro_snapshot *held[3] = { NULL };
	uint32_t renewed = 0;

	if (big)
		make_big(scope);
	seed = s;
	for (unsigned i = 0; i < FAKE_NG; i++)
		begin(&w, i);
	for (unsigned round = 0; round < rounds; round++) {
		struct fake *copy = new_fake();
		struct goro_scope *fresh;
		struct goro_snapshot *seen, *expected;
		unsigned at = pick(3);

		goro_snapshot_free(held[at]);
		held[at] = NULL;
		if (!pick(2)) {
			goro_snapshot_free(held[(at + 1) % 3]);
			held[(at + 1) % 3] = NULL;
		}
		step(&w, how_much);
		copy_fake(copy, w.f);
		fresh = fake_open(copy);
		expected = fake_look(fresh);
		seen = fake_look(scope);
		same(seen, expected);
		renewed += seen->bytes_read < expected->bytes_read;
		scribble(seen);
		held[at] = seen;
		goro_snapshot_free(expected);
		goro_scope_close(fresh);
	}
	/* Else this tests nothing. */
	assert_true(how_much > 50 || renewed > rounds / 2);
	assert_true(w.grown);
	goro_scope_close(scope);
	for (int i = 0; i < 3; i++) /* they outlive it */
		goro_snapshot_free(held[i]);
}

static void test_looks_again(void **state)
{
	(void)state;
	looks_again(1, 10, 1000, false);
	looks_again(2, 40, 700, false);
	looks_again(3, 100, 500, false);
	looks_again(4, 1, 200, false);
	looks_again(5, 1, 200, true);
	looks_again(6, 40, 300, true);
}

static void check_indices(const struct goro_snapshot *s)
{
	for (size_t i = 0; i < s->ng; i++) {
		const struct goro_info *g = &s->g[i];

		assert_true(g->id > (i ? s->g[i - 1].id : 0));
		assert_true(g->stack_id == GORO_NO_STACK || g->stack_id < s->nstacks);
		assert_true((size_t)g->waits_first + g->nwaits <= s->nwaits || !g->nwaits);
		assert_true((size_t)g->rlocks_first + g->nrlocks <= s->nrlocks || !g->nrlocks);
	}
	for (size_t i = 0; i < s->nstacks; i++)
		assert_true((size_t)s->stacks[i].first + s->stacks[i].n <= s->npcs);
	for (size_t i = 0; i < s->nobjects; i++) {
		assert_true(!i || s->objects[i].address > s->objects[i - 1].address);
		assert_true(s->objects[i].nwaiters);
	}
}

/* Whatever becomes of the records between two looks. */
static void test_flipped_bytes(void **state)
{
	unsigned taken = 0;

	(void)state;
	seed = 4;
	for (int life = 0; life < 100; life++) {
		struct world w = { .f = new_fake(), .next_id = 1000 };
		struct goro_scope *scope = fake_open(w.f);

		if (life % 2)
			make_big(scope);
		for (unsigned i = 0; i < FAKE_NG; i++)
			begin(&w, i);
		for (int round = 0; round < 30; round++) {
			struct goro_snapshot *snap;
			struct goro_error *err;

			step(&w, 10);
			for (unsigned n = pick(4); n; n--)
				*(uint8_t *)fake_at(w.f, FAKE_RECORDS +
								 pick(FAKE_NG * FAKE_G_SIZE - 8)) ^=
					(uint8_t)(1u << pick(8));
			if (!pick(8)) /* two of one id */
				set(&w, pick(FAKE_NG), GORO_FIELD_g_id, w.now[pick(FAKE_NG)].id);
			err = goro_scope_snapshot(scope, &snap);
			assert_null(err);
			check_indices(snap);
			goro_snapshot_free(snap);
			taken++;
		}
		assert_true(w.f->target.bytes_read < 64u << 20);
		goro_scope_close(scope);
	}
	assert_int_equal(taken, 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_looks_again),
		cmocka_unit_test(test_flipped_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
