/* SPDX-License-Identifier: MIT */
/*
 * forbid - run a command under a filter that forbids it some system calls, as a container does.
 *
 *	forbid CALL,CALL.. COMMAND [ARG..]	status 77: there can be no filter here
 *
 * Of /proc/PID/mem, which no filter knows by name, preadv is what goro reads when it may not call
 * process_vm_readv: without both it is as if the kernel let nobody look. perf_event_of_all is
 * perf_event_open for all processes, which a user may mostly not watch.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 8, EACH = 5 };

static const struct call {
	const char *name;
	unsigned number;
	bool of_all; /* only if its second argument is -1 */
} calls[] = {
	{ "ptrace", SYS_ptrace, false },
	{ "process_vm_readv", SYS_process_vm_readv, false },
	{ "preadv", SYS_preadv, false },
	{ "perf_event_open", SYS_perf_event_open, false },
	{ "perf_event_of_all", SYS_perf_event_open, true },
	{ "madvise", SYS_madvise, false },
	{ "membarrier", SYS_membarrier, false },
};

static const struct call *find(const char *name)
{
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		if (!strcmp(calls[i].name, name))
			return &calls[i];
	}
	return NULL;
}

/* The number of the call is loaded, before and after. Instructions written. */
static unsigned short add(struct sock_filter *code, const struct call *c)
{
	const struct sock_filter refuse[] = {
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, c->number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	};
	const struct sock_filter refuse_of_all[EACH] = {
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, c->number, 0, EACH - 1),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, UINT32_MAX, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	size_t size = c->of_all ? sizeof refuse_of_all : sizeof refuse;

	memcpy(code, c->of_all ? refuse_of_all : refuse, size);
	return (unsigned short)(size / sizeof *code);
}

int main(int argc, char **argv)
{
	struct sock_filter code[EACH * MOST + 2];
	struct sock_fprog program = { 0, code };
	unsigned short n = 0;

	if (argc < 3)
		return 2;
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	for (char *name = strtok(argv[1], ","); name && n < EACH * MOST; name = strtok(NULL, ",")) {
		const struct call *call = find(name);

		if (!call) {
			fprintf(stderr, "forbid: no call %s is known\n", name);
			return 2;
		}
		n += add(code + n, call);
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
