/* SPDX-License-Identifier: MIT */
/*
 * target_process_stop.c - threads of another process that stand still for a moment.
 *
 * PTRACE_SEIZE and INTERRUPT: no signal is sent, nobody's parent is told, a stop by job control is
 * left as it is, and should we be killed the kernel lets every thread go on. A system call that is
 * interrupted is started again by the kernel, as after strace or gdb; only epoll_wait() and a few
 * others return EINTR, as they may at any time.
 *
 * Rejected: SIGSTOP (the shell sees it, and it lasts when we are killed); the cgroup freezer (needs
 * a cgroup of its own, and shows no registers).
 */
#include "target_process.h"

#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_PASSES 30 /* over the list of threads, while new ones appear */

#define LET_GO_NS 1000000000 /* to wait for those that have not stopped, to let them go */

#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static bool add(struct stop *s, int tid)
{
	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 64;
		int *bigger = realloc(s->tids, cap * sizeof *bigger);

		if (!bigger)
			return false;
		s->tids = bigger;
		s->cap = cap;
	}
	s->tids[s->n++] = tid;
	return true;
}

static bool has(const struct stop *s, int tid)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->tids[i] == tid)
			return true;
	}
	return false;
}

/* Seize one thread and ask it to stop. */
static int ask(struct stop *s, int tid)
{
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0)
		return errno == ESRCH ? 0 : -errno;
	if (!s->since)
		s->since = now();
	if (!add(s, tid)) {
		ptrace(PTRACE_DETACH, tid, NULL, NULL);
		return -ENOMEM;
	}
	ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
	return 0;
}

/*
 * Wait until it stands where PTRACE_INTERRUPT wants it. If a signal comes first it is delivered:
 * the thread then stops at the first instruction of the handler. 1: it has ended.
 */
static int wait_for(int tid, int64_t deadline)
{
	for (unsigned tries = 0;; tries++) {
		int status;
		pid_t got = waitpid(tid, &status, __WALL | WNOHANG);

		if (got < 0 && errno != EINTR)
			return 1;
		if (got == tid) {
			if (!WIFSTOPPED(status))
				return 1;
			if (status >> 16 == PTRACE_EVENT_STOP)
				return 0;
			ptrace(PTRACE_CONT, tid, NULL,
			       (void *)(uintptr_t)(status >> 16 ? 0 : WSTOPSIG(status)));
			continue;
		}
		if (now() > deadline)
			return -ETIME;
		if (tries < 200)
			sched_yield();
		else
			usleep(20);
	}
}

/* One pass over the list of threads. Returns how many were new, or -errno. */
static int pass(struct stop *s, int64_t deadline)
{
	char path[64];
	struct dirent *e;
	size_t first = s->n;
	int err = 0;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%d/task", s->pid);
	dir = opendir(path);
	if (!dir)
		return -ESRCH;
	while (!err && (e = readdir(dir))) {
		if (isdigit((unsigned char)e->d_name[0]) && !has(s, atoi(e->d_name)))
			err = ask(s, atoi(e->d_name));
	}
	closedir(dir);
	for (size_t i = first; i < s->n; i++) {
		int got = err ? 0 : wait_for(s->tids[i], deadline);

		if (got == 1)
			s->tids[i--] = s->tids[--s->n];
		else if (got < 0)
			err = got;
	}
	return err ? err : (int)(s->n - first);
}

int stop_all(struct stop *s, int pid, int64_t max_ns)
{
	int64_t deadline = now() + max_ns;
	int more = 1;

	*s = (struct stop){ .pid = pid };
	/* Only who runs can make another: a pass without a new one ends it. */
	for (int i = 0; more > 0 && i < MOST_PASSES; i++)
		more = pass(s, deadline);
	if (more == 0 && s->n)
		return 0;
	stop_end(s);
	if (more < 0)
		return more;
	return more ? -ETIME : -ESRCH;
}

int stop_one(struct stop *s, int pid, int tid, int64_t max_ns)
{
	int err;

	*s = (struct stop){ .pid = pid };
	err = ask(s, tid);
	if (!err && s->n)
		err = wait_for(tid, now() + max_ns);
	if (!err && s->n)
		return 0;
	if (err == 1)
		s->n = 0;
	stop_end(s);
	return err < 0 ? err : -ESRCH;
}

/*
 * Those that stand first: they must not stand for as long as another one cannot be stopped. That
 * one must stop to be let go, and is as soon as the kernel has done what it does for it.
 */
int64_t stop_end(struct stop *s)
{
	const int64_t since = s->since;
	int64_t stood, deadline;
	size_t left = 0;
	bool stuck = false;

	for (size_t i = 0; i < s->n; i++) {
		if (ptrace(PTRACE_DETACH, s->tids[i], NULL, NULL) < 0 && errno == ESRCH)
			s->tids[left++] = s->tids[i];
	}
	stood = since ? now() - since : 0;
	deadline = now() + LET_GO_NS;
	for (size_t i = 0; i < left; i++) {
		int got = wait_for(s->tids[i], deadline);

		if (got == 0)
			ptrace(PTRACE_DETACH, s->tids[i], NULL, NULL);
		stuck |= got < 0;
	}
	free(s->tids);
	*s = (struct stop){ .stuck = stuck };
	return stood;
}

int stop_registers(int tid, struct target_thread *ret, void *vector, size_t *vector_size)
{
	uint64_t regs[64];
	struct iovec general = { regs, sizeof regs }, vec = { vector, *vector_size };

	*ret = (struct target_thread){ .tid = tid };
	if (ptrace(PTRACE_GETREGSET, tid, (void *)(uintptr_t)NT_PRSTATUS, &general) < 0)
		return -errno;
	stop_decode(regs, general.iov_len, ret);
	/* All of the vector state where there is such a set, else what every machine has. */
	if (ptrace(PTRACE_GETREGSET, tid, (void *)(uintptr_t)NT_X86_XSTATE, &vec) < 0) {
		vec = (struct iovec){ vector, *vector_size };
		if (ptrace(PTRACE_GETREGSET, tid, (void *)(uintptr_t)NT_FPREGSET, &vec) < 0)
			return -errno;
	}
	/* Filled to the brim: there may be more that we did not get. */
	if (vec.iov_len == *vector_size)
		return -E2BIG;
	*vector_size = vec.iov_len;
	return 0;
}
