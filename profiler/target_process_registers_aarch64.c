/* SPDX-License-Identifier: MIT */
/*
 * target_process_registers_aarch64.c - the kernel's names for registers, AArch64.
 */
#include "target_sample.h"

#include <string.h>
#include <sys/user.h>

/* x0 to x30, sp, pc: perf's numbers and, but for pc, DWARF's. */
const uint64_t perf_registers = (UINT64_C(1) << 33) - 1;

void registers_from_perf(const uint64_t *values, struct target_registers *ret)
{
	memcpy(ret->reg, values, sizeof ret->reg);
	ret->have = UINT32_MAX;
	ret->sp = values[31];
	ret->pc = values[32];
}

void registers_from_user(const struct user_regs_struct *user, struct target_registers *ret)
{
	for (int i = 0; i < 31; i++)
		ret->reg[i] = user->regs[i];
	ret->reg[31] = ret->sp = user->sp;
	ret->pc = user->pc;
	ret->have = UINT32_MAX;
}
