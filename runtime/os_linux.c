/* SPDX-License-Identifier: MIT */
/*
 * os_linux.c - every system call of the runtime, and what glibc knows about threads.
 *
 * Another operating system is another file like this one.
 */
#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "runtime.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif

/* ---- memory ------------------------------------------------------------------------------------
 */

void *os_reserve(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void os_unreserve(void *addr, size_t size)
{
	munmap(addr, size);
}

void os_no_huge_pages(void *addr, size_t size)
{
	madvise(addr, size, MADV_NOHUGEPAGE);
}

/*
 * Make the pages fault. The mark in the page table is tried, not looked up by version: a kernel
 * that lacks it says EINVAL. Each PROT_NONE guard costs two mappings of vm.max_map_count, of which
 * the program must keep some, so they end at a budget.
 */
bool os_guard(void *addr, size_t size)
{
	static bool no_marks = SAN_NEEDS_MAPPINGS;
	static uint32_t mappings;

	if (!no_marks) {
		if (!madvise(addr, size, MADV_GUARD_INSTALL))
			return true;
		no_marks = true;
	}
	if (mappings > 30000)
		return false;
	mappings += 2;
	return !mprotect(addr, size, PROT_NONE);
}

/* ---- threads -----------------------------------------------------------------------------------
 */

void os_futex_wait(_Atomic uint32_t *addr, uint32_t val, int64_t timeout_ns)
{
	struct timespec ts = { timeout_ns / GORO_SECOND, timeout_ns % GORO_SECOND };

	syscall(SYS_futex, addr, FUTEX_WAIT_PRIVATE, val, timeout_ns < 0 ? NULL : &ts, NULL, 0);
}

void os_futex_wake(_Atomic uint32_t *addr, int n)
{
	syscall(SYS_futex, addr, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

void os_membarrier_init(void)
{
	sched.have_membarrier =
		!syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
}

/* A full fence on every running thread of this process. */
bool os_membarrier(void)
{
	return sched.have_membarrier &&
	       !syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

int os_cores(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
}

uint32_t os_tid(void)
{
	return (uint32_t)syscall(SYS_gettid);
}

int *goro_errno_location(void)
{
	return __errno_location();
}

void os_sleep(int64_t ns)
{
	struct timespec ts = { ns / GORO_SECOND, ns % GORO_SECOND };

	nanosleep(&ts, NULL);
}

int64_t os_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * GORO_SECOND + ts.tv_nsec;
}

int os_pid(void)
{
	return getpid();
}

void os_signal_take(int sig, os_signal_fn *fn, struct sigaction *old)
{
	struct sigaction sa = { .sa_sigaction = fn,
				.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };

	sigemptyset(&sa.sa_mask);
	sigaction(sig, &sa, old);
}

void os_signal_take_if_default(int sig, os_signal_fn *fn)
{
	struct sigaction old;

	if (!sigaction(sig, NULL, &old) && old.sa_handler == SIG_DFL)
		os_signal_take(sig, fn, NULL);
}

void os_signal_default(int sig)
{
	signal(sig, SIG_DFL);
}

void os_sched_yield(void)
{
	sched_yield();
}

struct thread_start {
	void (*fn)(void *);
	void *arg;
};

static void *thread_main(void *arg)
{
	struct thread_start start = *(struct thread_start *)arg;

	free(arg);
	start.fn(start.arg);
	return NULL;
}

/*
 * The thread's own stack runs only the scheduler and reports. Signals of the process may be handled
 * on any worker, so workers block only what the starter does.
 */
int os_thread_start(void (*fn)(void *), void *arg, bool block_signals)
{
	struct thread_start *start = malloc(sizeof(*start));
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	if (!start)
		return -ENOMEM;
	*start = (struct thread_start){ fn, arg };
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 1024 * 1024);
	sigfillset(&all);
	if (block_signals)
		pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&thread, &attr, thread_main, start);
	if (block_signals)
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (err)
		free(start);
	return -err;
}

/* Faults on a goroutine's stack are handled on a stack of the thread; libdw needs room there. */
void os_thread_signal_stack(struct m *mp)
{
	size_t size = getauxval(AT_MINSIGSTKSZ) + 512 * 1024;
	stack_t ss = { .ss_size = size };

	if (mp->signal_stack)
		return;
	mp->signal_stack = os_reserve(size);
	ss.ss_sp = mp->signal_stack;
	if (ss.ss_sp)
		sigaltstack(&ss, NULL);
}

void os_thread_stack(uintptr_t *lo, uintptr_t *hi)
{
	pthread_attr_t attr;
	void *addr = NULL;
	size_t size = 0;

	if (!pthread_getattr_np(pthread_self(), &attr)) {
		pthread_attr_getstack(&attr, &addr, &size);
		pthread_attr_destroy(&attr);
	}
	*lo = (uintptr_t)addr;
	*hi = (uintptr_t)addr + size;
}

void os_main_stack(uintptr_t *lo, uintptr_t *hi)
{
	os_thread_stack(lo, hi);
}

void os_at_fork(void (*child)(void))
{
	pthread_atfork(NULL, NULL, child);
}

/* ---- the end -----------------------------------------------------------------------------------
 */

void os_write(int fd, const void *buf, size_t n)
{
	const char *at = buf;

	while (n) {
		ssize_t k = write(fd, at, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return;
		at += k;
		n -= (size_t)k;
	}
}

void os_exit_now(int status)
{
	_exit(status);
}

/* ---- the gate ----------------------------------------------------------------------------------
 */

int os_gate_connect(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		int err = errno;

		close(fd);
		return -err;
	}
	return fd;
}

/* Say a line and wait for any answer, or for the other side to go away. */
bool os_gate_ask(int fd, const char *line)
{
	char answer[16];
	ssize_t n;

	if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0) {
		close(fd);
		return false;
	}
	do
		n = read(fd, answer, sizeof(answer));
	while (n < 0 && errno == EINTR);
	close(fd);
	return n > 0;
}
