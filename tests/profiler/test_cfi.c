/* SPDX-License-Identifier: MIT */
/*
 * test_cfi.c - the compiler from .eh_frame to rows, on a section written by hand and on damaged
 * ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <dwarf.h>
#include <elf.h>
#include "cfi.h"

#define BASE 0x1000ull

/*
 * One CIE (code 1, data -8, return address 16: CFA = rsp + 8, ra at CFA - 8) and functions at
 * 0x5000 (push %rbp; mov %rsp, %rbp; ...; pop), 0x4000 (an expression, then plain again), 0x6000
 * (push %rbp, pop %rbp, which it does not say) and 0x7000 (%rbp saved below the stack pointer).
 */
static const uint8_t section[] = {
	/* CIE */
	20,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	1,
	'z',
	'R',
	0,
	1,
	0x78,
	16,
	1,
	DW_EH_PE_sdata4,
	DW_CFA_def_cfa,
	7,
	8,
	DW_CFA_offset | 16,
	1,
	DW_CFA_nop,
	DW_CFA_nop,
	/* FDE at 24: 0x5000 .. 0x5040 */
	36,
	0,
	0,
	0,
	28,
	0,
	0,
	0,
	0x00,
	0x50,
	0,
	0,
	0x40,
	0,
	0,
	0,
	0,
	DW_CFA_advance_loc | 1,
	DW_CFA_def_cfa_offset,
	16,
	DW_CFA_offset | 6,
	2,
	DW_CFA_advance_loc | 3,
	DW_CFA_def_cfa_register,
	6,
	DW_CFA_advance_loc1,
	0x20,
	DW_CFA_remember_state,
	DW_CFA_restore | 6,
	DW_CFA_def_cfa,
	7,
	8,
	DW_CFA_advance_loc | 1,
	DW_CFA_restore_state,
	DW_CFA_nop,
	DW_CFA_nop,
	DW_CFA_nop,
	DW_CFA_nop,
	DW_CFA_nop,
	DW_CFA_nop,
	/* FDE at 64: 0x4000 .. 0x4010 */
	24,
	0,
	0,
	0,
	68,
	0,
	0,
	0,
	0x00,
	0x40,
	0,
	0,
	0x10,
	0,
	0,
	0,
	0,
	DW_CFA_def_cfa_expression,
	2,
	0x76,
	0x78,
	DW_CFA_advance_loc | 8,
	DW_CFA_def_cfa,
	7,
	24,
	DW_CFA_advance_loc | 4,
	DW_CFA_undefined,
	16,
	/* FDE at 92: 0x6000 .. 0x6010 */
	24,
	0,
	0,
	0,
	96,
	0,
	0,
	0,
	0x00,
	0x60,
	0,
	0,
	0x10,
	0,
	0,
	0,
	0,
	DW_CFA_advance_loc | 1,
	DW_CFA_def_cfa_offset,
	16,
	DW_CFA_offset | 6,
	2,
	DW_CFA_advance_loc | 2,
	DW_CFA_def_cfa_offset,
	8,
	DW_CFA_nop,
	DW_CFA_nop,
	DW_CFA_nop,
	/* FDE at 120: 0x7000 .. 0x7010 */
	16,
	0,
	0,
	0,
	124,
	0,
	0,
	0,
	0x00,
	0x70,
	0,
	0,
	0x10,
	0,
	0,
	0,
	0,
	DW_CFA_advance_loc | 1,
	DW_CFA_offset | 6,
	2,
	/* terminator */
	0,
	0,
	0,
	0,
};

static struct cfi_table *compile(const uint8_t *data, size_t size)
{
	return cfi_compile(&(struct cfi_section){
		.data = data, .size = size, .address = BASE, .eh = true, .machine = EM_X86_64 });
}

static void check(const struct cfi_table *t, uint64_t pc, enum cfi_cfa cfa, int offset,
		  enum cfi_reg fp)
{
	const struct cfi_rule *r = cfi_find(t, pc);

	assert_non_null(r);
	assert_int_equal(r->cfa, cfa);
	if (cfa == CFI_COMPLEX)
		return;
	assert_int_equal(r->cfa_offset, offset);
	assert_int_equal(r->fp, fp);
	if (fp == CFI_SAVED)
		assert_int_equal(r->fp_offset, -16);
	if (r->ra != CFI_UNDEFINED)
		assert_int_equal(r->ra_offset, -8);
}

static void test_rows(void **state)
{
	struct cfi_table *t = compile(section, sizeof section);

	(void)state;
	assert_non_null(t);
	assert_null(cfi_find(t, 0));
	assert_null(cfi_find(t, 0x3fff));
	check(t, 0x4000, CFI_COMPLEX, 0, 0);
	check(t, 0x4007, CFI_COMPLEX, 0, 0);
	check(t, 0x4008, CFI_SP, 24, CFI_SAME);
	assert_int_equal(cfi_find(t, 0x400b)->ra, CFI_SAVED);
	assert_int_equal(cfi_find(t, 0x400c)->ra, CFI_UNDEFINED);
	assert_non_null(cfi_find(t, 0x400f));
	assert_null(cfi_find(t, 0x4010));
	assert_null(cfi_find(t, 0x4fff));
	check(t, 0x5000, CFI_SP, 8, CFI_SAME);
	check(t, 0x5001, CFI_SP, 16, CFI_SAVED);
	check(t, 0x5003, CFI_SP, 16, CFI_SAVED);
	check(t, 0x5004, CFI_FP, 16, CFI_SAVED);
	check(t, 0x5023, CFI_FP, 16, CFI_SAVED);
	check(t, 0x5024, CFI_SP, 8, CFI_SAME);
	check(t, 0x5025, CFI_FP, 16, CFI_SAVED);
	check(t, 0x503f, CFI_FP, 16, CFI_SAVED);
	assert_null(cfi_find(t, 0x5040));
	check(t, 0x6001, CFI_SP, 16, CFI_SAVED);
	check(t, 0x6003, CFI_SP, 8, CFI_SAME);
	check(t, 0x7000, CFI_SP, 8, CFI_SAME);
	check(t, 0x7001, CFI_COMPLEX, 0, 0);
	assert_null(cfi_find(t, UINT64_MAX));
	cfi_free(t);
}

static void test_index(void **state)
{
	const struct cfi_section s = { section, sizeof section, BASE, true, EM_X86_64 };
	size_t n;
	struct cfi_entry *entries = cfi_index(&s, &n);

	(void)state;
	assert_int_equal(n, 4);
	assert_int_equal(entries[0].start, 0x4000);
	assert_int_equal(entries[0].address, BASE + 64);
	assert_int_equal(entries[1].start, 0x5000);
	assert_int_equal(entries[1].address, BASE + 24);
	free(entries);
}

static void test_what_is_not_known(void **state)
{
	struct cfi_section s = { section, sizeof section, BASE, true, EM_X86_64 };

	(void)state;
	s.machine = EM_386;
	assert_null(cfi_compile(&s));
	s.machine = EM_X86_64;
	s.size = 0;
	assert_null(cfi_compile(&s));
	s.size = 24; /* a CIE alone */
	assert_null(cfi_compile(&s));
}

/* Rows come in order, and nothing is read behind the end (AddressSanitizer looks on). */
static void check_damaged(const uint8_t *bytes, size_t size)
{
	uint8_t *exact = malloc(size + !size);
	struct cfi_table *t;

	assert_non_null(exact);
	memcpy(exact, bytes, size);
	t = compile(exact, size);
	for (size_t i = 1; t && i < t->n; i++)
		assert_true(t->pcs[i - 1] < t->pcs[i]);
	cfi_free(t);
	free(exact);
}

static void test_damaged(void **state)
{
	uint64_t random = 42;

	(void)state;
	for (size_t size = 0; size < sizeof section; size++)
		check_damaged(section, size);
	for (int round = 0; round < 200000; round++) {
		uint8_t bytes[sizeof section];

		memcpy(bytes, section, sizeof section);
		for (int flips = 1 + round % 3; flips; flips--) {
			random = random * 6364136223846793005ull + 1442695040888963407ull;
			bytes[(random >> 33) % sizeof section] = (uint8_t)(random >> 24);
		}
		check_damaged(bytes, sizeof bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_index),
		cmocka_unit_test(test_what_is_not_known),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
