/* SPDX-License-Identifier: MIT */
/*
 * target_process_inject_x86_64.c - a system call in another process' name, on x86-64.
 *
 * One instruction is stepped over: a system call that is there already, in the vdso. Signals are
 * blocked for so long, in that thread, so that none gets in between; they stay pending and are
 * delivered when it goes on. The registers are put back with orig_rax, so that the kernel starts
 * the system call again that the thread was interrupted in, if any.
 */
#include "target_process.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEP_US	   20
#define STEP_TRIES 500000 /* ten seconds at least: a big process takes long to be copied */

#ifndef PTRACE_GETSIGMASK
#define PTRACE_GETSIGMASK 0x420a
#define PTRACE_SETSIGMASK 0x420b
#endif

const long stop_nr_clone = SYS_clone, stop_nr_wait4 = SYS_wait4;
const long stop_nr_userfaultfd = SYS_userfaultfd, stop_nr_close = SYS_close;
const uint8_t stop_instruction[] = { 0x0f, 0x05 };
const size_t stop_instruction_size = sizeof stop_instruction;

void stop_decode(const void *prstatus, size_t size, struct target_thread *ret)
{
	struct user_regs_struct r = { 0 };

	memcpy(&r, prstatus, size < sizeof r ? size : sizeof r);
	ret->pc = r.rip;
	ret->sp = r.rsp;
	ret->red_zone = 128;
	ret->guard = r.fs_base ? r.fs_base + 0x30 : 0; /* pointer_guard of glibc's tcbhead_t */
	ret->syscall = (int64_t)r.orig_rax < 0 ? -1 : (int64_t)r.orig_rax;
	ret->nregs = sizeof r / sizeof(uint64_t);
	memcpy(ret->regs, &r, sizeof r);
}

/* A child of ours was made: have it die with us, from its first moment on. */
static int adopt(int tid, int *child)
{
	unsigned long message = 0;
	int status;

	if (ptrace(PTRACE_GETEVENTMSG, tid, NULL, &message) < 0)
		return -errno;
	if (waitpid((pid_t)message, &status, __WALL) < 0)
		return -errno;
	*child = (int)message;
	ptrace(PTRACE_SETOPTIONS, *child, NULL, (void *)(uintptr_t)PTRACE_O_EXITKILL);
	return 0;
}

/*
 * Never sleep in the kernel for it: if another thread calls execve() meanwhile, a first thread that
 * was traced is gone without a word, its id is the other's, and nobody wakes us.
 */
static int wait_for_stop(int tid, int *status)
{
	for (unsigned tries = 0; tries < STEP_TRIES; tries++) {
		pid_t got = waitpid(tid, status, __WALL | WNOHANG);

		if (got == tid)
			return 0;
		if (got < 0 && errno != EINTR)
			return -errno;
		if (tries < 200)
			sched_yield();
		else
			usleep(STEP_US);
	}
	return -ETIME;
}

/* Step until the instruction is behind us. */
static int step(int tid, uint64_t end, int *child)
{
	int signal = 0, status, err;

	for (;;) {
		struct user_regs_struct r;

		if (ptrace(PTRACE_SINGLESTEP, tid, NULL, (void *)(uintptr_t)signal) < 0)
			return -errno;
		err = wait_for_stop(tid, &status);
		if (err)
			return err;
		if (!WIFSTOPPED(status))
			return -ESRCH;
		signal = 0;
		if (status >> 16 == PTRACE_EVENT_CLONE || status >> 16 == PTRACE_EVENT_FORK) {
			err = child ? adopt(tid, child) : 0;
			if (err)
				return err;
			continue;
		}
		if (status >> 16)
			continue;
		if (WSTOPSIG(status) == SIGTRAP) {
			if (ptrace(PTRACE_GETREGS, tid, NULL, &r) < 0)
				return -errno;
			if (r.rip == end)
				return 0;
			continue;
		}
		if (WSTOPSIG(status) != SIGSTOP)
			return -EFAULT;
		signal = SIGSTOP; /* cannot be blocked; it takes effect when we let go */
	}
}

long stop_inject(int tid, uint64_t text, long number, const uint64_t args[6], int *child)
{
	struct user_regs_struct saved, r;
	uint64_t mask, all = ~UINT64_C(0);
	long result;
	int err;

	if (ptrace(PTRACE_GETREGS, tid, NULL, &saved) < 0 ||
	    ptrace(PTRACE_GETSIGMASK, tid, (void *)sizeof mask, &mask) < 0 ||
	    ptrace(PTRACE_SETOPTIONS, tid, NULL,
		   (void *)(uintptr_t)(child ? PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK : 0)) < 0)
		return -errno;
	r = saved;
	r.rip = text;
	r.rax = (unsigned long long)number;
	r.orig_rax = (unsigned long long)-1; /* what it was in is not to be restarted now */
	r.rdi = args[0];
	r.rsi = args[1];
	r.rdx = args[2];
	r.r10 = args[3];
	r.r8 = args[4];
	r.r9 = args[5];
	ptrace(PTRACE_SETSIGMASK, tid, (void *)sizeof all, &all);
	err = ptrace(PTRACE_SETREGS, tid, NULL, &r) < 0 ? -errno : 0;
	if (!err)
		err = step(tid, text + sizeof stop_instruction, child);
	result = err;
	if (!err && ptrace(PTRACE_GETREGS, tid, NULL, &r) == 0)
		result = (long)r.rax;
	ptrace(PTRACE_SETREGS, tid, NULL, &saved);
	ptrace(PTRACE_SETSIGMASK, tid, (void *)sizeof mask, &mask);
	ptrace(PTRACE_SETOPTIONS, tid, NULL, NULL);
	return result;
}
