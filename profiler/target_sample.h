/* SPDX-License-Identifier: MIT */
/*
 * target_sample.h - threads of a target, caught while they compute.
 *
 * Two ways, one interface. The kernel's perf events interrupt a thread on its own processor, copy
 * its registers and the top of its stack, and let it go on: microseconds, nobody is stopped. Where
 * that is forbidden (kernel.perf_event_paranoid, seccomp), ptrace stops one thread at a time for as
 * long as it takes to read them.
 *
 * Each sample weighs the processor time that its thread used since the sample before, so the sum is
 * what the threads really used, also when samples come late. Where processors are watched instead
 * of threads it weighs the time since the processor's sample before, of whatever, and the sum is
 * what the threads used as far as chance will have it.
 */
#ifndef GORO_TARGET_SAMPLE_H
#define GORO_TARGET_SAMPLE_H

#include "target.h"

#define SAMPLE_STACK 32768u /* bytes of a stack that are copied */

/* Registers by their DWARF number. */
struct target_registers {
	uint64_t pc, sp;
	uint64_t reg[32];
	uint32_t have;	/* bit i: reg[i] is there */
	uint64_t flags; /* x86-64 */
};

struct thread_sample {
	uint32_t tid;
	int64_t time;	 /* CLOCK_MONOTONIC ns */
	uint64_t cpu_ns; /* processor time it stands for */
	bool kernel;	 /* the thread was in the kernel: the registers are those it came with */
	struct target_registers registers;
	const uint8_t *stack; /* copy of [sp, sp + len) */
	size_t len;
};

typedef void sample_fn(const struct thread_sample *sample, void *arg);

struct cpu_sampler;

struct cpu_sampler_ops {
	/* Hand over what is caught until `until` (CLOCK_MONOTONIC ns); may come back earlier. An
	 * error means that the target has ended. */
	struct goro_error *(*run)(struct cpu_sampler *s, int64_t until, sample_fn *fn, void *arg);
	void (*close)(struct cpu_sampler *s);
};

/* The common part; each way embeds it. */
struct cpu_sampler {
	const struct cpu_sampler_ops *ops;
	const char *how;	     /* "perf events", "ptrace" */
	bool without_kernel;	     /* it cannot see what the kernel does for a thread */
	uint64_t missed;	     /* samples that were due and did not come */
	uint64_t (*next)(void *arg); /* ns to the next sample of a thread */
	void *next_arg;
};

/*
 * next(next_arg) draws the distance between two samples. Without permission perf fails here, and
 * ptrace at the first sample, because it cannot be asked without touching the target.
 */
struct goro_error *target_sample_perf(struct target *t, uint64_t (*next)(void *), void *next_arg,
				      struct cpu_sampler **ret);
struct goro_error *target_sample_ptrace(struct target *t, uint64_t (*next)(void *), void *next_arg,
					struct cpu_sampler **ret);

/* ---- target_process_registers_<arch>.c ------------------------------------------------------- */

struct user_regs_struct;

extern const uint64_t perf_registers; /* which ones perf is asked for */

/* From what perf gives for them, in rising order of their bits. */
void registers_from_perf(const uint64_t *values, struct target_registers *ret);
void registers_from_user(const struct user_regs_struct *user, struct target_registers *ret);

#endif /* GORO_TARGET_SAMPLE_H */
