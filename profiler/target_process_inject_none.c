/* SPDX-License-Identifier: MIT */
/*
 * target_process_inject_none.c - where we cannot make another process do a system call: it is
 * copied while it stands still.
 *
 * NT_PRSTATUS begins with the general registers on every architecture, so the registers can be
 * looked at without knowing their names. The stack pointer is not known, so no stack is clipped.
 */
#include "target_process.h"

#include <errno.h>
#include <string.h>

const long stop_nr_clone = -1, stop_nr_wait4 = -1;
const long stop_nr_userfaultfd = -1, stop_nr_close = -1;
const uint8_t stop_instruction[] = { 0 };
const size_t stop_instruction_size = 0;

void stop_decode(const void *prstatus, size_t size, struct target_thread *ret)
{
	ret->syscall = -1;
	ret->nregs = size / sizeof(uint64_t);
	if (ret->nregs > sizeof ret->regs / sizeof *ret->regs)
		ret->nregs = sizeof ret->regs / sizeof *ret->regs;
	memcpy(ret->regs, prstatus, ret->nregs * sizeof(uint64_t));
}

long stop_inject(int tid, uint64_t text, long number, const uint64_t args[6], int *child)
{
	(void)tid, (void)text, (void)number, (void)args, (void)child;
	return -ENOSYS;
}
