/* SPDX-License-Identifier: MIT */
/*
 * forbid - run a command under a filter that forbids it some system calls, as a container does.
 *
 *	forbid CALL,CALL.. COMMAND [ARG..]	status 77: there can be no filter here
 *
 * Of /proc/PID/mem, which no filter knows by name, preadv is what goro reads when it may not call
 * process_vm_readv: without both it is as if the kernel let nobody look.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 8 };

static const struct {
	const char *name;
	unsigned number;
} calls[] = {
	{ "ptrace", SYS_ptrace },   { "process_vm_readv", SYS_process_vm_readv },
	{ "preadv", SYS_preadv },   { "perf_event_open", SYS_perf_event_open },
	{ "madvise", SYS_madvise }, { "membarrier", SYS_membarrier },
};

/* The number of a call, or -1. */
static long find(const char *name)
{
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		if (!strcmp(calls[i].name, name))
			return calls[i].number;
	}
	return -1;
}

int main(int argc, char **argv)
{
	struct sock_filter code[2 * MOST + 2];
	struct sock_fprog program = { 0, code };
	unsigned short n = 0;

	if (argc < 3)
		return 2;
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	for (char *name = strtok(argv[1], ","); name && n < 2 * MOST; name = strtok(NULL, ",")) {
		long number = find(name);

		if (number < 0) {
			fprintf(stderr, "forbid: no call %s is known\n", name);
			return 2;
		}
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							 (unsigned)number, 0, 1);
		code[n++] =
			(struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
		perror("forbid: no filter");
		return 77;
	}
	execv(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
