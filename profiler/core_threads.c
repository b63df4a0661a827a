/* SPDX-License-Identifier: MIT */
/*
 * core_threads.c - see core_threads.h. The orders are those of the kernel's struct user_regs_struct
 * (x86-64) and struct user_pt_regs (AArch64).
 */
#include "core_threads.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HWCAP_ARM_SVE (UINT64_C(1) << 22)

enum {
	X86_ORIG_RAX = 15,
	X86_PC = 16,
	X86_FLAGS = 18,
	X86_SP = 19,
	X86_FS = 21,
	X86_WORDS = 27,
	X86_RED_ZONE = 128
};
enum { X86_GUARD = 0x30 }; /* pointer_guard of glibc's tcbhead_t */
enum { ARM_SP = 31, ARM_PC = 32, ARM_WORDS = 34 };

static void decode_x86_64(struct target_thread *t, struct target_registers *r)
{
	/* By DWARF's number: where it lies. */
	static const uint8_t words[] = { 10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0, 16 };

	t->pc = t->regs[X86_PC];
	t->sp = t->regs[X86_SP];
	t->red_zone = X86_RED_ZONE;
	t->guard = t->regs[X86_FS] ? t->regs[X86_FS] + X86_GUARD : 0;
	t->syscall = (int64_t)t->regs[X86_ORIG_RAX] < 0 ? -1 : (int64_t)t->regs[X86_ORIG_RAX];
	for (size_t i = 0; i < sizeof words; i++)
		r->reg[i] = t->regs[words[i]];
	r->have = 0x1ffff;
	r->flags = t->regs[X86_FLAGS];
}

static void decode_aarch64(struct target_thread *t, struct target_registers *r)
{
	t->pc = t->regs[ARM_PC];
	t->sp = t->regs[ARM_SP];
	memcpy(r->reg, t->regs, sizeof r->reg);
	r->have = UINT32_MAX;
}

static size_t words_of(unsigned machine)
{
	return machine == EM_X86_64 ? X86_WORDS : machine == EM_AARCH64 ? ARM_WORDS : 0;
}

/* All that moves memory about: a pointer on its way may be nowhere else. */
static bool find_vector(const struct core_file *core, const struct core_thread *c,
			struct target_thread *t)
{
	if (core->machine == EM_X86_64) {
		t->vector = c->xstate;
		t->vector_size = c->xstate_size;
	} else if (c->sve) {
		t->vector = c->sve;
		t->vector_size = c->sve_size;
	} else if (!(core->hwcap & HWCAP_ARM_SVE)) {
		t->vector = c->float_registers;
		t->vector_size = c->float_registers_size;
	}
	return t->vector_size && !c->sme;
}

bool core_threads_read(const struct core_file *core, struct core_threads *ret)
{
	size_t words = words_of(core->machine);

	*ret = (struct core_threads){
		.all = calloc(core->nthreads + 1, sizeof *ret->all),
		.caught = calloc(core->nthreads + 1, sizeof *ret->caught),
	};
	if (!ret->all || !ret->caught) {
		core_threads_free(ret);
		return false;
	}
	if (!core->nthreads || !words)
		snprintf(ret->lacks, sizeof ret->lacks, "the registers of its threads");
	for (size_t i = 0; i < core->nthreads && words; i++) {
		const struct core_thread *c = &core->threads[i];
		struct target_thread *t = &ret->all[ret->n];
		struct thread_sample *s = &ret->caught[ret->n];

		if (c->registers_size < words * sizeof *t->regs) {
			snprintf(ret->lacks, sizeof ret->lacks, "the registers of thread %u",
				 c->tid);
			continue;
		}
		*t = (struct target_thread){ .tid = (int)c->tid, .syscall = -1, .nregs = words };
		memcpy(t->regs, c->registers, words * sizeof *t->regs);
		s->tid = c->tid;
		if (core->machine == EM_X86_64)
			decode_x86_64(t, &s->registers);
		else
			decode_aarch64(t, &s->registers);
		s->registers.pc = t->pc;
		s->registers.sp = t->sp;
		if (!find_vector(core, c, t))
			snprintf(ret->lacks, sizeof ret->lacks, "the vector registers of thread %u",
				 c->tid);
		ret->n++;
	}
	return true;
}

void core_threads_free(struct core_threads *t)
{
	free(t->all);
	free(t->caught);
	*t = (struct core_threads){ 0 };
}
