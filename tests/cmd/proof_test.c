/* SPDX-License-Identifier: MIT */
/*
 * proof_test.c - what waitgraph.c proves, and, more important, what it must not prove.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fake.h"
#include "goro_introspect.h"
#include "waitgraph.h"

enum { A = 0xa000, B = 0xb000, C = 0xc000 };

static struct stuck stuck[FAKE_MAX];

/* Prove first, confirmed by second; the number of goroutines proved. */
static long prove_both(const struct fake *first, const struct fake *second)
{
	struct goro_snapshot *a = fake_freeze(first), *b = fake_freeze(second);
	long n = waitgraph_prove(a, b, stuck);

	goro_snapshot_free(a);
	goro_snapshot_free(b);
	return n;
}

static long prove(const struct fake *f)
{
	return prove_both(f, f);
}

/* 2 holds A and waits for B, 3 holds B and waits for A; 1 is main and runs. */
static void make_ab_ba(struct fake *f)
{
	fake_g(f, 1);
	fake_wait(f, 2, GORO_REASON_MUTEX, B);
	fake_wait(f, 3, GORO_REASON_MUTEX, A);
	fake_mutex(f, A, 2);
	fake_mutex(f, B, 3);
}

static void cycle_of_two(void **state)
{
	struct fake f = { 0 };

	(void)state;
	make_ab_ba(&f);
	assert_int_equal(prove(&f), 2);
	assert_int_equal(stuck[0].proof, GORO_PROOF_NONE);
	assert_int_equal(stuck[1].proof, GORO_PROOF_CYCLE);
	assert_int_equal(stuck[1].cause, 2);
	assert_int_equal(stuck[2].proof, GORO_PROOF_CYCLE);
	assert_int_equal(stuck[2].cause, 1);
	assert_int_equal(stuck[1].cycle, stuck[2].cycle);
}

static void who_waits_for_a_cycle_is_orphaned(void **state)
{
	struct fake f = { 0 };

	(void)state;
	make_ab_ba(&f);
	fake_wait(&f, 4, GORO_REASON_MUTEX, A);
	fake_wait(&f, 5, GORO_REASON_MUTEX, C);
	fake_mutex(&f, C, 4);
	assert_int_equal(prove(&f), 4);
	assert_int_equal(stuck[3].proof, GORO_PROOF_ORPHAN);
	assert_int_equal(stuck[3].cause, 1);
	assert_int_equal(stuck[3].dead_owner, 0);
	assert_int_equal(stuck[4].proof, GORO_PROOF_ORPHAN);
	assert_int_equal(stuck[4].cause, 3);
}

static void owner_that_can_go_on_is_no_proof(void **state)
{
	struct fake f = { 0 };

	(void)state;
	fake_g(&f, 1);
	fake_wait(&f, 2, GORO_REASON_MUTEX, A);
	fake_wait(&f, 3, GORO_REASON_SLEEP, 0);
	fake_wait(&f, 4, GORO_REASON_MUTEX, B);
	fake_wait(&f, 5, GORO_REASON_MUTEX, C);
	fake_wait(&f, 6, GORO_REASON_CHAN_RECV, 0xd000);
	fake_mutex(&f, A, 1);
	fake_mutex(&f, B, 3);
	fake_mutex(&f, C, 6);
	fake_chan(&f, 0xd000);
	assert_int_equal(prove(&f), 0);
}

static void free_lock_is_no_proof(void **state)
{
	struct fake f = { 0 };

	(void)state;
	fake_g(&f, 1);
	fake_wait(&f, 2, GORO_REASON_MUTEX, A);
	fake_mutex(&f, A, 0);
	assert_int_equal(prove(&f), 0);
}

static void cycle_must_stand_in_both_snapshots(void **state)
{
	(void)state;
	for (int change = 0; change < 9; change++) {
		struct fake f = { 0 }, later;

		make_ab_ba(&f);
		later = f;
		switch (change) {
		case 0: /* it ran in between */
			fake_find(&later, 3)->park_seq++;
			break;
		case 1: /* another owner */
			later.objects[0].owner = 1;
			break;
		case 2: /* it runs now */
			fake_find(&later, 2)->state = GORO_STATE_RUNNABLE;
			break;
		case 3: /* it is gone */
			later.ng--;
			break;
		case 4: /* its record was not read in one piece */
			fake_find(&f, 2)->torn = true;
			break;
		case 5: /* the lock could not be read */
			f.objects[1].valid = false;
			break;
		case 6: /* the lock could not be read later */
			later.objects[1].valid = false;
			break;
		case 7: /* somebody else has its record */
			fake_find(&later, 2)->record++;
			break;
		case 8: /* it waits for something else */
			fake_find(&later, 2)->wait_object = A;
			break;
		}
		if (prove_both(&f, &later))
			fail_msg("change %d: a proof all the same", change);
	}
}

static void never(void **state)
{
	struct fake f = { 0 }, later;

	(void)state;
	fake_g(&f, 1);
	fake_wait(&f, 2, GORO_REASON_CHAN_RECV_NIL, 0);
	fake_wait(&f, 3, GORO_REASON_SELECT_NONE, 0);
	fake_wait(&f, 4, GORO_REASON_CHAN_SEND_NIL, 0);
	fake_wait(&f, 5, GORO_REASON_CHAN_RECV, A);
	fake_wait(&f, 6, GORO_REASON_MUTEX, B);
	fake_chan(&f, A);
	fake_mutex(&f, B, 3);
	assert_int_equal(prove(&f), 4);
	assert_int_equal(stuck[1].proof, GORO_PROOF_NEVER);
	assert_int_equal(stuck[2].proof, GORO_PROOF_NEVER);
	assert_int_equal(stuck[3].proof, GORO_PROOF_NEVER);
	assert_false(stuck[3].self_lock);
	assert_int_equal(stuck[5].proof, GORO_PROOF_ORPHAN);
	assert_int_equal(stuck[5].cause, 2);
	later = f;
	fake_find(&later, 3)->park_seq++;
	assert_int_equal(prove_both(&f, &later), 2);
}

static void self_lock(void **state)
{
	struct fake f = { 0 };

	(void)state;
	fake_g(&f, 1);
	fake_wait(&f, 2, GORO_REASON_MUTEX, A)->queued = true;
	fake_wait(&f, 3, GORO_REASON_RWMUTEX_R, B)->queued = true;
	fake_wait(&f, 4, GORO_REASON_RWMUTEX_W, C)->queued = true;
	fake_mutex(&f, A, 2);
	fake_rwmutex(&f, B, 3, 0); /* reads what it writes */
	fake_rwmutex(&f, C, 0, 1); /* writes what it reads */
	fake_rlock(&f, 4, C);
	assert_int_equal(prove(&f), 3);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(stuck[i].proof, GORO_PROOF_NEVER);
		assert_true(stuck[i].self_lock);
	}
}

/* A lock is given to its waiter a moment before that one is woken. */
static void handed_over_is_no_self_lock(void **state)
{
	struct fake f = { 0 }, later;

	(void)state;
	fake_g(&f, 1);
	fake_wait(&f, 2, GORO_REASON_MUTEX, A);
	fake_mutex(&f, A, 2);
	fake_wait(&f, 3, GORO_REASON_RWMUTEX_W, B);
	fake_rwmutex(&f, B, 3, 0);
	fake_wait(&f, 5, GORO_REASON_RWMUTEX_R, C); /* granted, and a writer waits behind it */
	fake_wait(&f, 6, GORO_REASON_RWMUTEX_W, C)->wait_ns = fake_find(&f, 5)->wait_ns;
	fake_rwmutex(&f, C, 0, 1);
	fake_rlock(&f, 5, C);
	fake_wait(&f, 7, GORO_REASON_MUTEX, A);
	assert_int_equal(prove(&f), 0);
	for (size_t i = 0; i < f.ng; i++)
		f.g[i].queued = true;
	assert_int_equal(prove(&f), 5);

	/* Handed over between the two looks. */
	later = f;
	for (size_t i = 0; i < f.ng; i++)
		later.g[i].queued = false;
	assert_int_equal(prove_both(&f, &later), 0);
}

/* 5 was in the queue, then a reader left and 5 was let in; the number of readers is the same. */
static void let_in_between_the_looks(void **state)
{
	struct fake f = { 0 }, later;

	(void)state;
	fake_wait(&f, 2, GORO_REASON_RWMUTEX_W, B); /* reads A: stuck, if 5 were */
	fake_g(&f, 3);
	fake_wait(&f, 5, GORO_REASON_RWMUTEX_R, A);
	fake_wait(&f, 6, GORO_REASON_RWMUTEX_W, A)->wait_ns = UINT64_C(100000000000);
	fake_rwmutex(&f, A, 0, 2);
	fake_rwmutex(&f, B, 0, 1);
	fake_rlock(&f, 2, A);
	fake_rlock(&f, 5, B);
	later = f;
	fake_rlock(&f, 3, A);
	fake_rlock(&later, 5, A);
	assert_int_equal(prove(&f), 3);
	assert_int_equal(prove_both(&f, &later), 0);
}

/* 2 reads, 3 wants to write, 2 wants to read again and queues behind 3. */
static void make_rwr(struct fake *f)
{
	fake_g(f, 1);
	fake_wait(f, 2, GORO_REASON_RWMUTEX_R, A)->queued = true;
	fake_wait(f, 3, GORO_REASON_RWMUTEX_W, A)->wait_ns = UINT64_C(100000000000);
	fake_rwmutex(f, A, 0, 1);
	fake_rlock(f, 2, A);
}

static void read_write_read(void **state)
{
	struct fake f = { 0 };

	(void)state;
	make_rwr(&f);
	assert_int_equal(prove(&f), 2);
	assert_int_equal(stuck[1].proof, GORO_PROOF_CYCLE);
	assert_int_equal(stuck[1].cause, 2);
	assert_int_equal(stuck[2].proof, GORO_PROOF_CYCLE);
	assert_int_equal(stuck[2].cause, 1);
}

static void unknown_reader_is_no_proof(void **state)
{
	struct fake f = { 0 };

	(void)state;
	make_rwr(&f);
	f.objects[0].readers = 2;
	assert_int_equal(prove(&f), 0);
	fake_rlock(&f, 1, A);
	assert_int_equal(prove(&f), 2);
	fake_rlock(&f, 1, A); /* more readers than the lock knows of: something is wrong */
	assert_int_equal(prove(&f), 0);
}

static void reader_that_waits_for_no_writer_is_no_proof(void **state)
{
	struct fake f = { 0 };

	(void)state;
	make_rwr(&f);
	fake_find(&f, 3)->state = GORO_STATE_RUNNABLE;
	assert_int_equal(prove(&f), 0);
}

/* A writer needs all readers: one that is stuck is enough. */
static void one_stuck_reader_is_enough(void **state)
{
	struct fake f = { 0 };

	(void)state;
	fake_g(&f, 1);
	fake_wait(&f, 2, GORO_REASON_CHAN_RECV_NIL, 0);
	fake_g(&f, 3);
	fake_wait(&f, 4, GORO_REASON_RWMUTEX_W, A);
	fake_rwmutex(&f, A, 0, 2);
	fake_rlock(&f, 2, A);
	fake_rlock(&f, 3, A);
	assert_int_equal(prove(&f), 2);
	assert_int_equal(stuck[3].proof, GORO_PROOF_ORPHAN);
	assert_int_equal(stuck[3].cause, 1);
	fake_find(&f, 2)->state = GORO_STATE_RUNNING;
	assert_int_equal(prove(&f), 0);
}

/* 4 wrote A down and waits for B, whose reader 2 waits to read A. */
static void cycle_over_two_rwmutexes(void **state)
{
	struct fake f = { 0 };

	(void)state;
	fake_g(&f, 1);
	fake_wait(&f, 2, GORO_REASON_RWMUTEX_R, A);
	fake_wait(&f, 4, GORO_REASON_RWMUTEX_W, B);
	fake_rwmutex(&f, A, 4, 0);
	fake_rwmutex(&f, B, 0, 1);
	fake_rlock(&f, 2, B);
	assert_int_equal(prove(&f), 2);
	assert_int_equal(stuck[1].proof, GORO_PROOF_CYCLE);
}

static void owner_that_has_ended(void **state)
{
	struct fake f = { 0 }, later;

	(void)state;
	fake_g(&f, 1);
	fake_wait(&f, 5, GORO_REASON_MUTEX, A);
	fake_wait(&f, 9, GORO_REASON_MUTEX, B);
	fake_mutex(&f, A, 3);
	fake_mutex(&f, B, 5);
	assert_int_equal(prove(&f), 2);
	assert_int_equal(stuck[1].proof, GORO_PROOF_ORPHAN);
	assert_int_equal(stuck[1].dead_owner, 3);
	assert_int_equal(stuck[2].proof, GORO_PROOF_ORPHAN);
	assert_int_equal(stuck[2].dead_owner, 0);
	assert_int_equal(stuck[2].cause, 1);

	later = f;
	fake_g(&later, 3);
	assert_int_equal(prove_both(&f, &later), 0); /* it was overlooked the first time */
}

/* It was read, and is a number in a summary: no orphan. */
static void owner_in_a_crowd(void **state)
{
	struct fake f = { 0 };
	struct goro_snapshot *snap;

	(void)state;
	fake_g(&f, 1);
	fake_wait(&f, 5, GORO_REASON_MUTEX, A);
	fake_mutex(&f, A, 3);
	snap = fake_freeze(&f);
	snap->crowd_ids = calloc(2, sizeof *snap->crowd_ids);
	assert_non_null(snap->crowd_ids);
	snap->crowd_ids[0] = 2;
	snap->crowd_ids[1] = 4;
	snap->ncrowd_ids = 2;
	assert_int_equal(waitgraph_prove(snap, snap, stuck), 1);
	snap->crowd_ids[0] = 3;
	assert_int_equal(waitgraph_prove(snap, snap, stuck), 0);
	goro_snapshot_free(snap);
}

static long prove_thrice(const struct fake *first, const struct fake *second,
			 const struct fake *third)
{
	struct goro_snapshot *a = fake_freeze(first), *b = fake_freeze(second);
	struct goro_snapshot *c = fake_freeze(third);
	long n = waitgraph_prove_thrice(a, b, c, stuck);

	goro_snapshot_free(a);
	goro_snapshot_free(b);
	goro_snapshot_free(c);
	return n;
}

/* A is locked for reading twice and 2 has one of these locks; 3 waits to write and 4 behind it. */
static void make_dead_reader(struct fake *f)
{
	fake_g(f, 1);
	fake_g(f, 2);
	fake_wait(f, 3, GORO_REASON_RWMUTEX_W, A)->wait_ns = 20;
	fake_wait(f, 4, GORO_REASON_RWMUTEX_R, A)->wait_ns = 10;
	fake_rwmutex(f, A, 0, 2);
	fake_rlock(f, 2, A);
}

static void reader_that_has_ended(void **state)
{
	struct fake f = { 0 };
	struct goro_snapshot *a;

	(void)state;
	make_dead_reader(&f);
	assert_int_equal(prove_thrice(&f, &f, &f), 2);
	assert_int_equal(stuck[2].proof, GORO_PROOF_ORPHAN);
	assert_int_equal(stuck[2].dead_readers, 1);
	assert_int_equal(stuck[2].dead_owner, 0);
	assert_int_equal(stuck[2].cause, WAIT_NONE);
	assert_int_equal(stuck[3].proof, GORO_PROOF_ORPHAN);
	assert_int_equal(stuck[3].cause, 2);
	/* One look says that it is worth a third one, and two are no proof. */
	a = fake_freeze(&f);
	assert_int_equal(waitgraph_prove(a, a, stuck), 2);
	assert_true(waitgraph_wants_third(a, stuck));
	goro_snapshot_free(a);
	assert_int_equal(prove(&f), 0);
}

static void reader_that_may_live_is_no_proof(void **state)
{
	(void)state;
	for (int change = 0; change < 8; change++) {
		struct fake f = { 0 }, second, third;

		make_dead_reader(&f);
		second = third = f;
		switch (change) {
		case 0: /* a living goroutine has the other one as well */
			fake_rlock(&second, 2, A);
			break;
		case 1: /* ... or may have it, among those that are only counted */
			fake_find(&second, 1)->rlocks_more = 1;
			break;
		case 2: /* it was released at the second look */
			second.objects[0].readers = 1;
			break;
		case 3: /* without a writer new readers come and go while we count */
			fake_find(&f, 3)->reason = GORO_REASON_RWMUTEX_R;
			second = third = f;
			break;
		case 4: /* the writer was let in and is back at the third look */
			fake_find(&third, 3)->park_seq++;
			break;
		case 5: /* ... at the second one */
			fake_find(&second, 3)->park_seq++;
			fake_find(&third, 3)->park_seq++;
			break;
		case 6: /* the writer runs by now */
			fake_find(&third, 3)->state = GORO_STATE_RUNNABLE;
			break;
		case 7: /* a writer has it */
			second.objects[0].owner = 2;
			break;
		}
		if (prove_thrice(&f, &second, &third))
			fail_msg("proved in spite of change %d", change);
	}
}

static void owner_that_may_live_is_no_proof(void **state)
{
	struct fake f = { 0 };
	struct goro_snapshot *s;

	(void)state;
	fake_g(&f, 1);
	fake_wait(&f, 5, GORO_REASON_MUTEX, A);
	fake_mutex(&f, A, 77); /* newer than all that we saw */
	assert_int_equal(prove(&f), 0);
	f.tombs[f.ntombs++] = (struct goro_tomb){ .id = 77, .locks = 1 };
	assert_int_equal(prove(&f), 1);

	s = fake_freeze(&f);
	s->bad_records = 1; /* it may hide there */
	assert_int_equal(waitgraph_prove(s, s, stuck), 0);
	goro_snapshot_free(s);
}

/* Channels, conditions and waitgroups have no owner, whatever their memory looks like. */
static void only_locks_have_owners(void **state)
{
	static const unsigned reasons[] = { GORO_REASON_CHAN_RECV, GORO_REASON_CHAN_SEND,
					    GORO_REASON_COND,	   GORO_REASON_WAITGROUP,
					    GORO_REASON_SEMA,	   GORO_REASON_SLEEP };

	(void)state;
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
		struct fake f = { 0 };

		fake_wait(&f, 2, reasons[i], A);
		fake_wait(&f, 3, reasons[i], B);
		fake_mutex(&f, A, 3)->wait_class = f.g[0].wait_class;
		fake_mutex(&f, B, 2)->wait_class = f.g[0].wait_class;
		assert_int_equal(prove(&f), 0);
	}
}

/* A hundred thousand goroutines in a row: neither recursion nor more than linear time. */
static void long_chain(void **state)
{
	enum { N = 100000 };
	struct goro_snapshot s = { .ng = N, .nobjects = N - 1 };
	struct stuck *all = calloc(N, sizeof *all);
	struct fake f = { 0 };

	(void)state;
	s.g = calloc(N, sizeof *s.g);
	s.objects = calloc(N, sizeof *s.objects);
	for (uint64_t i = 0; i < N; i++) {
		f.ng = 0;
		s.g[i] = *fake_wait(&f, i + 1, GORO_REASON_MUTEX, 0x10000 + i);
		if (i + 1 < N)
			s.objects[i] = (struct goro_object){ .address = 0x10000 + i,
							     .wait_class = GORO_CLASS_MUTEX,
							     .valid = true,
							     .owner = i + 2 };
	}
	s.g[N - 1].reason = GORO_REASON_SELECT_NONE;
	s.g[N - 1].wait_class = GORO_CLASS_NEVER;
	assert_int_equal(waitgraph_prove(&s, &s, all), N);
	s.g[N - 1].state = GORO_STATE_RUNNING;
	assert_int_equal(waitgraph_prove(&s, &s, all), 0);
	free(s.g);
	free(s.objects);
	free(all);
}

static void chains(void **state)
{
	struct fake f = { 0 };
	struct goro_snapshot *s;
	uint64_t chain[8];
	bool cycle;

	(void)state;
	make_ab_ba(&f);
	fake_wait(&f, 4, GORO_REASON_MUTEX, A);
	fake_wait(&f, 5, GORO_REASON_MUTEX, C);
	fake_mutex(&f, C, 99);
	s = fake_freeze(&f);
	assert_int_equal(goro_wait_chain(s, 4, chain, 8, &cycle), 3);
	assert_true(cycle);
	assert_int_equal(chain[0], 4);
	assert_int_equal(chain[1], 2);
	assert_int_equal(chain[2], 3);
	assert_int_equal(goro_wait_chain(s, 4, chain, 2, &cycle), 2);
	assert_false(cycle);
	assert_int_equal(goro_wait_chain(s, 5, chain, 8, &cycle), 2);
	assert_int_equal(chain[1], 99);
	assert_int_equal(goro_wait_chain(s, 1, chain, 8, &cycle), 1);
	assert_false(cycle);
	goro_snapshot_free(s);

	memset(&f, 0, sizeof f);
	make_rwr(&f);
	s = fake_freeze(&f);
	assert_int_equal(goro_wait_chain(s, 2, chain, 8, &cycle), 2);
	assert_int_equal(chain[1], 3);
	assert_true(cycle);
	goro_snapshot_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cycle_of_two),
		cmocka_unit_test(who_waits_for_a_cycle_is_orphaned),
		cmocka_unit_test(owner_that_can_go_on_is_no_proof),
		cmocka_unit_test(free_lock_is_no_proof),
		cmocka_unit_test(cycle_must_stand_in_both_snapshots),
		cmocka_unit_test(never),
		cmocka_unit_test(self_lock),
		cmocka_unit_test(handed_over_is_no_self_lock),
		cmocka_unit_test(let_in_between_the_looks),
		cmocka_unit_test(read_write_read),
		cmocka_unit_test(unknown_reader_is_no_proof),
		cmocka_unit_test(reader_that_waits_for_no_writer_is_no_proof),
		cmocka_unit_test(one_stuck_reader_is_enough),
		cmocka_unit_test(cycle_over_two_rwmutexes),
		cmocka_unit_test(owner_that_has_ended),
		cmocka_unit_test(owner_in_a_crowd),
		cmocka_unit_test(reader_that_has_ended),
		cmocka_unit_test(reader_that_may_live_is_no_proof),
		cmocka_unit_test(owner_that_may_live_is_no_proof),
		cmocka_unit_test(only_locks_have_owners),
		cmocka_unit_test(long_chain),
		cmocka_unit_test(chains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
