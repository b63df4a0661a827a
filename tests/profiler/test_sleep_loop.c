/* SPDX-License-Identifier: MIT */
/*
 * test_sleep_loop.c - which code only sleeps, by examples: what compilers write, and what differs
 * from it in one instruction.
 *
 * The examples are this program's own text. Each begins with the call that the goroutine sleeps in,
 * with nothing but nops before it; `slept` stands for goro_sleep().
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "sleep_loop.h"

extern const char slept[], other[], pointer_to_slept[];

__asm__(".text\n"
	"slept: ret\n"
	"other: ret\n"
	".data\n"
	".balign 8\n"
	"pointer_to_slept: .quad slept\n"
	"variable: .quad 0\n"
	".text\n");

/* Only if the caller wants nothing back. */
enum { may_return = 2 };

/* X(name, only sleeps, code behind the first call) */
#define EXAMPLES(X)                                                                                \
	X(O0, true, "1: movabs $3600000000000, %rax; mov %rax, %rdi; call slept; jmp 1b")          \
	X(O2, true, "1: mov %rbx, %rdi; call slept; jmp 1b")                                       \
	X(first_of_two, true,                                                                      \
	  "movabs $5, %rbx; nopw 0(%rax,%rax); 1: mov %rbx, %rdi; call slept; jmp 1b")             \
	X(by_pointer, true, "1: mov $5, %edi; call *pointer_to_slept(%rip); jmp 1b")               \
	X(count_in_frame, true,                                                                    \
	  "1: addl $1, -4(%rbp); mov -4(%rbp), %eax; cmp -8(%rbp), %eax; jl 2f;"                   \
	  "movl $0, -4(%rbp); 2: movslq -4(%rbp), %rax; imul $1000, %rax, %rdi; call slept; jmp "  \
	  "1b")                                                                                    \
	X(count_in_register, true,                                                                 \
	  "1: inc %ebx; test $7, %bl; sete %al; movzx %al, %edi; shl $3, %edi; call slept; jmp "   \
	  "1b")                                                                                    \
	X(count_in_global, true, "1: addq $1, variable(%rip); mov $5, %edi; call slept; jmp 1b")   \
	X(long_jump, true,                                                                         \
	  "1: mov $5, %edi; call slept; test %eax, %eax; {disp32} je 1b; {disp32} jmp 1b")         \
	X(endbr, true, "1: endbr64; lea 1(%rbx), %edi; call slept; xor %eax, %eax; jmp 1b")        \
	X(wide_nops, true,                                                                         \
	  "1: .byte 0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0;"                            \
	  "xchg %ax, %ax; mov $5, %edi; call slept; jmp 1b")                                       \
	X(calls_another, false, "1: mov $5, %edi; call slept; mov %rbx, %rdi; call other; jmp 1b") \
	X(calls_by_other_pointer, false,                                                           \
	  "1: mov $5, %edi; call slept; call *variable(%rip); jmp 1b")                             \
	X(calls_by_register, false, "1: mov $5, %edi; call slept; call *%rbx; jmp 1b")             \
	X(calls_by_table, false, "1: mov $5, %edi; call slept; call *8(%rbx); jmp 1b")             \
	X(calls_some_day, false,                                                                   \
	  "1: mov $5, %edi; call slept; dec %ebx; jne 1b; mov %rbp, %rdi; call other; jmp 1b")     \
	X(returns, may_return, "mov $5, %edi; call slept; xor %eax, %eax; ret")                    \
	X(returns_some_day, may_return,                                                            \
	  "1: mov $5, %edi; call slept; dec %ebx; jne 1b; leave; ret")                             \
	X(returns_O0, may_return, "mov $0, %eax; leave; ret")                                      \
	X(returns_value_O0, may_return,                                                            \
	  "movl $0, -4(%rbp); mov -4(%rbp), %eax; add $16, %rsp; pop %rbp; ret")                   \
	X(returns_after_pops, may_return,                                                          \
	  "xor %eax, %eax; add $0x1000, %rsp; lea -40(%rbp), %rsp; pop %rbx; pop %r15; ret")       \
	X(returns_into_stack, false, "mov %rbx, 8(%rsp); ret")                                     \
	X(returns_after_call, false, "mov %rbx, %rdi; call other; xor %eax, %eax; ret")            \
	X(returns_elsewhere, false, "ret $8")                                                      \
	X(pops_into_stack, false, "pop %rsp; ret")                                                 \
	X(pops_into_memory, false, "popq (%rbx); ret")                                             \
	X(pops, may_return, "1: pop %rbx; mov $5, %edi; call slept; jmp 1b")                       \
	X(pushes, false, "1: push %rbx; mov $5, %edi; call slept; jmp 1b")                         \
	X(stores, false, "1: mov %rbx, variable(%rip); mov $5, %edi; call slept; jmp 1b")          \
	X(stores_half, false, "1: mov %ebx, variable(%rip); mov $5, %edi; call slept; jmp 1b")     \
	X(stores_byte, false, "1: mov %bl, variable(%rip); mov $5, %edi; call slept; jmp 1b")      \
	X(stores_sum, false, "1: add %rbx, variable(%rip); mov $5, %edi; call slept; jmp 1b")      \
	X(exchanges, false, "1: xchg %rbx, variable(%rip); mov $5, %edi; call slept; jmp 1b")      \
	X(locks, false, "1: lock incl variable(%rip); mov $5, %edi; call slept; jmp 1b")           \
	X(stores_vector, false, "1: movups %xmm0, (%rbx); mov $5, %edi; call slept; jmp 1b")       \
	X(stores_string, false, "1: rep stosq; mov $5, %edi; call slept; jmp 1b")                  \
	X(jumps_by_register, false, "1: mov $5, %edi; call slept; jmp *%rbx")                      \
	X(jumps_by_table, false, "1: mov $5, %edi; call slept; jmp *(%rbx,%rax,8)")                \
	X(jumps_away, false, "1: mov $5, %edi; call slept; je other; jmp 1b; .skip 4096, 0x90")    \
	X(moves_stack, false, "1: sub $16, %rsp; mov $5, %edi; call slept; jmp 1b")                \
	X(sets_stack, false, "1: mov %rbp, %rsp; mov $5, %edi; call slept; jmp 1b")                \
	X(system_call, false, "1: syscall; mov $5, %edi; call slept; jmp 1b")                      \
	X(traps, false, "1: int3; mov $5, %edi; call slept; jmp 1b")                               \
	X(of_thread, false, "1: mov %fs:0x28, %rax; mov $5, %edi; call slept; jmp 1b")             \
	X(runs_off, false, "mov $5, %edi; call slept; .skip 600, 0x90")

#define CODE(name, only_sleeps, code)    \
	extern const char text_##name[]; \
	__asm__(".text\ntext_" #name ": .skip 59, 0x90\ncall slept\n" code "\n.skip 512, 0xcc\n");
EXAMPLES(CODE)

/* And two that sleep only behind a call of somebody else. */
extern const char text_called_other[], text_called_nobody[];
__asm__(".text\n"
	"text_called_other: .skip 59, 0x90\n"
	"call other\n"
	"1: mov $5, %edi; call slept; jmp 1b\n.skip 512, 0xcc\n"
	"text_called_nobody: .skip 64, 0x90\n"
	"1: mov $5, %edi; call slept; jmp 1b\n.skip 512, 0xcc\n");

static bool is_slept(void *arg, uint64_t address)
{
	(void)arg;
	return address == (uintptr_t)slept;
}

static bool is_slept_at(void *arg, uint64_t slot)
{
	(void)arg;
	return slot == (uintptr_t)pointer_to_slept;
}

static bool only_sleeps(const char *code, bool returns)
{
	const struct sleep_loop_callee callee = { is_slept, is_slept_at, NULL, returns };
	struct sleep_loop_text text = { .address = (uintptr_t)code };

	memcpy(text.bytes, code, sizeof text.bytes);
	return sleep_loop(&text, &callee);
}

static void test_examples(void **state)
{
	static const struct example {
		const char *name, *code;
		int only_sleeps;
	} all[] = {
#define ROW(name, only_sleeps, code) { #name, text_##name, only_sleeps },
		EXAMPLES(ROW){ "called_other", text_called_other, false },
		{ "called_nobody", text_called_nobody, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		if (only_sleeps(all[i].code, false) != (all[i].only_sleeps == true) ||
		    only_sleeps(all[i].code, true) != (all[i].only_sleeps != false))
			fail_msg("%s", all[i].name);
	}
}

/* Whatever the bytes are, it comes to an end, and within them. */
static void test_any_bytes(void **state)
{
	const struct sleep_loop_callee callee = { is_slept, is_slept_at, NULL, true };
	uint64_t random = 88172645463325252;

	(void)state;
	for (int round = 0; round < 100000; round++) {
		struct sleep_loop_text text;

		memcpy(text.bytes, text_O0, sizeof text.bytes);
		text.address = (uintptr_t)text_O0;
		for (int i = 0; i < 12; i++) {
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			text.bytes[SLEEP_LOOP_BEFORE + random % (round % 2 ? 24 : 448)] =
				(uint8_t)(random >> 32);
		}
		sleep_loop(&text, &callee);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
