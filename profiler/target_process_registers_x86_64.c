/* SPDX-License-Identifier: MIT */
/*
 * target_process_registers_x86_64.c - the kernel's names for registers, x86-64.
 */
#include "target_sample.h"

#include <asm/perf_regs.h>
#include <sys/user.h>

#define BIT(r) (UINT64_C(1) << PERF_REG_X86_##r)

#define FLAGS_PLACE 17 /* in reg, where `have` does not say that they are */

/* In the order of perf's bits: perf's name, DWARF number. */
/* clang-format off */
#define REGISTERS(X) \
	X(AX, 0) X(BX, 3) X(CX, 2) X(DX, 1) X(SI, 4) X(DI, 5) X(BP, 6) X(SP, 7) X(IP, 16) \
	X(FLAGS, FLAGS_PLACE) X(R8, 8) X(R9, 9) X(R10, 10) X(R11, 11) X(R12, 12) X(R13, 13) \
	X(R14, 14) X(R15, 15)
/* clang-format on */

#define REGISTER_BIT(name, dwarf) | BIT(name)
const uint64_t perf_registers = 0 REGISTERS(REGISTER_BIT);

void registers_from_perf(const uint64_t *values, struct target_registers *ret)
{
#define REGISTER_VALUE(name, dwarf) ret->reg[dwarf] = *values++;
	REGISTERS(REGISTER_VALUE)
	ret->have = 0x1ffff;
	ret->pc = ret->reg[16];
	ret->sp = ret->reg[7];
	ret->flags = ret->reg[FLAGS_PLACE];
}

void registers_from_user(const struct user_regs_struct *user, struct target_registers *ret)
{
	*ret = (struct target_registers){
		.pc = user->rip,
		.sp = user->rsp,
		.reg = { user->rax, user->rdx, user->rcx, user->rbx, user->rsi, user->rdi,
			 user->rbp, user->rsp, user->r8, user->r9, user->r10, user->r11, user->r12,
			 user->r13, user->r14, user->r15, user->rip },
		.have = 0x1ffff,
		.flags = user->eflags,
	};
}
