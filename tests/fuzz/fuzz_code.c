/* SPDX-License-Identifier: MIT */
/*
 * fuzz_code.c - machine code that is followed to where it uses pointers: what a stranger's program
 * has at a return address. The first byte of the input says how it is come upon.
 */
#include "code_use.h"

#include <stdlib.h>
#include <string.h>

enum { BASE = 0x400000 };

struct code {
	const uint8_t *bytes;
	size_t size;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t read_code(void *arg, uint64_t address, void *to, size_t size)
{
	const struct code *c = arg;

	if (address < BASE || address - BASE >= c->size)
		return 0;
	if (size > c->size - (address - BASE))
		size = c->size - (address - BASE);
	memcpy(to, c->bytes + (address - BASE), size);
	return size;
}

/* A register, or a word of the frame. */
static bool is_place(const struct code_place *p)
{
	return p->in < 16 ? p->slot == 0 : p->in == CODE_USE_FRAME || p->in == CODE_USE_FP;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct code_use uses[CODE_USES_MAX];
	struct code code = { data + 1, size - 1 };
	struct code_point point = { .pc = BASE, .read = read_code, .arg = &code };
	bool all;
	size_t n;

	if (!size)
		return 0;
	point.returned = data[0] & 1;
	point.frame_pointer = data[0] & 2;
	if (data[0] & 4)
		point.end = BASE + code.size;
	n = code_uses_x86_64(&point, uses, &all);
	if (n > CODE_USES_MAX)
		abort();
	for (size_t i = 0; i < n; i++) {
		if (!is_place(&uses[i].word) || (uses[i].factor && !is_place(&uses[i].index)) ||
		    (!uses[i].factor && !uses[i].beside))
			abort();
	}
	return 0;
}
