/* SPDX-License-Identifier: MIT */
/*
 * fuzz_cfi.c - call frame information of any content: compiled, indexed and asked.
 *
 * The first byte says which section of which machine; the rest is the section.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include "cfi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_table(const struct cfi_table *t, uint64_t address)
{
	for (size_t i = 1; i < t->n; i++) {
		if (t->pcs[i - 1] >= t->pcs[i])
			abort();
	}
	for (uint64_t pc = 0; pc < 64; pc++) {
		cfi_find(t, address + pc * 7);
		cfi_find(t, t->base + pc * 3);
	}
	cfi_find(t, 0);
	cfi_find(t, UINT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cfi_section s = { .address = 0x1000 };
	struct cfi_table *t;
	uint8_t *copy;
	size_t n;

	if (size < 1)
		return 0;
	copy = malloc(size); /* of its own, so that a read behind the end is seen */
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	s.data = copy;
	s.size = size - 1;
	s.eh = data[0] & 1;
	s.machine = data[0] & 2 ? EM_AARCH64 : EM_X86_64;
	t = cfi_compile(&s);
	if (t)
		check_table(t, s.address);
	cfi_free(t);
	free(cfi_index(&s, &n));
	free(copy);
	return 0;
}
