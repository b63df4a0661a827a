/* SPDX-License-Identifier: MIT */
/*
 * test_lies.c - the reader over a program made of byte strings that are wrong: it survives every
 * lie, and none costs it much.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "fake.h"
#include "program.h"
#include "scope.h"

/* A lie costs at most this much reading; the whole program is 400 KB. */
#define MAX_BYTES (64ull << 20)

/* The contract says `value` of a number: it is refused with 5 and one line. */
static void refused(size_t offset, size_t size, uint64_t value)
{
	struct fake *f = fake_new();
	struct goro_scope *scope = NULL;
	struct goro_error *err;
	int64_t before = processor_ns();

	memcpy((char *)f->contract + offset, &value, size);
	err = goro_scope_open_target(&scope, &f->target);
	if (!err) {
		struct goro_snapshot *snap = NULL;

		err = goro_scope_snapshot(scope, &snap);
		if (!err)
			fail_msg("offset %zu value 0x%llx was believed", offset,
				 (unsigned long long)value);
		assert_true(f->target.bytes_read < MAX_BYTES);
		goro_scope_close(scope);
	}
	assert_int_equal(err->code, GORO_UNSUPPORTED);
	assert_null(strchr(err->message, '\n'));
	assert_non_null(strstr(err->message, "(fake): its goro contract"));
	goro_error_free(err);
	assert_true(processor_ns() - before < 5000000000ll);
}

#define REFUSED(field, value)                            \
	refused(offsetof(struct goro_introspect, field), \
		sizeof(((struct goro_introspect *)0)->field), (value))

static void test_refuses_nonsense(void **state)
{
	(void)state;
	REFUSED(version, 2);
	REFUSED(version, 0);
	REFUSED(size, 8);
	REFUSED(machine, 3);
	REFUSED(word_size, 4);
	REFUSED(fields, 0xdead0000);
	REFUSED(fields, UINT64_MAX - 3);
	REFUSED(nfields, UINT32_MAX);
	REFUSED(nreasons, UINT32_MAX);
	REFUSED(g_size, 0);
	REFUSED(g_size, UINT32_MAX);
	REFUSED(g_size, 16); /* fields lie outside */
	REFUSED(g_chunk_len, 0);
	REFUSED(g_chunk_len, UINT32_MAX);
	REFUSED(g_nchunks, UINT32_MAX);
	REFUSED(g_nchunks, 5); /* more than there can be */
	REFUSED(g_nrlocks, UINT32_MAX);
	REFUSED(g_chunks, 1ull << 63);
	REFUSED(p_count, UINT32_MAX);
	REFUSED(m_count, UINT32_MAX);
	REFUSED(tomb_count, UINT32_MAX);
	REFUSED(saved_pc, 0xffff);
	REFUSED(saved_size, 0);
}

/* The same records under many addresses are not many goroutines. */
static void test_chunks_that_overlap(void **state)
{
	struct fake *f = fake_new();
	uint64_t *chunks = fake_at(f, f->contract->g_chunks);
	struct goro_scope *scope;
	struct goro_snapshot *snap;

	(void)state;
	f->contract->g_nchunks = 4;
	chunks[1] = chunks[0];
	chunks[2] = chunks[0] + 8;
	chunks[3] = 0xffffffffffffff00;
	scope = fake_open(f);
	snap = fake_look(scope);
	assert_int_equal(snap->ng, FAKE_NG);
	assert_int_equal(snap->bad_records, 3 * FAKE_NG);
	goro_snapshot_free(snap);
	goro_scope_close(scope);
}

static void test_stacks_that_lie(void **state)
{
	struct fake *f = fake_new();
	struct goro_scope *scope = fake_open(f);
	struct goro_snapshot *snap;
	uint64_t *stack = fake_at(f, FAKE_STACKS + FAKE_STACK - 256);

	(void)state;
	stack[0] = FAKE_STACKS + FAKE_STACK - 256 + 64; /* goroutine 1: a frame that is its own */
	stack[8] = stack[0];				/* caller */
	stack[9] = FAKE_CODE + 0x40;
	fake_set(f, 1, GORO_FIELD_g_sp, UINT64_MAX - 7);
	fake_set(f, 2, GORO_FIELD_g_stack_hi, UINT64_MAX);
	fake_set(f, 3, GORO_FIELD_g_stack_lo, 0);
	fake_set(f, 4, GORO_FIELD_g_sp, FAKE_STACKS + 4 * FAKE_STACK + FAKE_STACK - 255);
	fake_set(f, 5, GORO_FIELD_g_status, 0xff);
	stack = fake_at(f, FAKE_STACKS + 7 * FAKE_STACK - 256);
	stack[2] = 0x12345; /* goroutine 6 returns to nowhere */
	snap = fake_look(scope);
	assert_int_equal(snap->ng, FAKE_NG - 1);
	assert_false(snap->stacks[snap->g[0].stack_id].complete);
	assert_int_equal(snap->stacks[snap->g[0].stack_id].n, 2);
	assert_int_equal(goro_snapshot_find(snap, 8)->stack_id, GORO_NO_STACK);
	assert_int_equal(goro_snapshot_find(snap, 6 * 7 % FAKE_NG + 1)->stack_id, GORO_NO_STACK);
	assert_true(f->target.bytes_read < MAX_BYTES);
	goro_snapshot_free(snap);
	goro_scope_close(scope);
}

/* Any bytes may be wrong. It never crashes, reads a bounded amount, and fails only with 5 or 6. */
static void test_flipped_bytes(void **state)
{
	static const struct {
		uint64_t address;
		size_t size;
	} areas[] = {
		{ FAKE_BASE, 0x400 },
		{ FAKE_BASE + 0x400, sizeof(struct goro_introspect) },
		{ FAKE_BASE + 0x1000, GORO_NFIELDS * sizeof(struct goro_field) },
		{ FAKE_BASE + 0x2000, 0x400 },
		{ FAKE_RECORDS, FAKE_NG * FAKE_G_SIZE },
		{ FAKE_STACKS + FAKE_STACK - 256, 256 },
		{ FAKE_OBJECTS, 0x1000 },
	};
	uint64_t random = 0x9e3779b97f4a7c15ull;
	unsigned opened = 0, refusals = 0;

	(void)state;
	for (int round = 0; round < 4000; round++) {
		struct fake *f = fake_new();
		struct goro_scope *scope = NULL;
		struct goro_error *err;

		fake_waiters(f, 0, FAKE_STACKS + FAKE_STACK - 200, 3, 0);
		fake_waiters(f, 1, FAKE_OBJECTS + 0x800, 5, 0);
		for (int flips = 1 + round % 4; flips; flips--) {
			size_t area, at;

			random = random * 6364136223846793005ull + 1442695040888963407ull;
			area = (random >> 33) % (sizeof areas / sizeof *areas);
			at = (random >> 20) % (areas[area].size - 8);
			((uint8_t *)fake_at(f, areas[area].address + at))[0] ^=
				(uint8_t)(random >> 56) | 1;
		}
		err = goro_scope_open_target(&scope, &f->target);
		for (int i = 0; i < 2 && !err; i++) {
			struct goro_snapshot *snap = NULL;

			if (i)
				(random >> 40 & 1 ? goro_scope_list : goro_scope_summarize)(scope);
			err = goro_scope_snapshot(scope, &snap);
			goro_snapshot_free(snap);
			opened += !err;
			assert_true(f->target.bytes_read < MAX_BYTES);
		}
		if (err) {
			refusals++;
			assert_true(err->code == GORO_UNSUPPORTED || err->code == GORO_PARTIAL);
			assert_true(err->message[0] != '\0');
			goro_error_free(err);
		}
		goro_scope_close(scope);
	}
	/* Both happen, else this tests nothing. */
	assert_true(opened > 1000);
	assert_true(refusals > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refuses_nonsense),
		cmocka_unit_test(test_chunks_that_overlap),
		cmocka_unit_test(test_stacks_that_lie),
		cmocka_unit_test(test_flipped_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
