/* SPDX-License-Identifier: MIT */
/*
 * os_linux.c - every system call of the runtime, and what glibc knows about threads: here those for
 * threads, signals and time; os_linux_memory.c, _files.c, _peers.c and _faults.c have the others.
 *
 * Another operating system is another set of files like these.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime.h"

/* ---- threads -----------------------------------------------------------------------------------
 */

void os_futex_wait(_Atomic uint32_t *addr, uint32_t val, int64_t timeout_ns)
{
	struct timespec ts = { timeout_ns / GORO_SECOND, timeout_ns % GORO_SECOND };

	wipe_below();
	syscall(SYS_futex, addr, FUTEX_WAIT_PRIVATE, val, timeout_ns < 0 ? NULL : &ts, NULL, 0);
}

void os_futex_wake(_Atomic uint32_t *addr, int n)
{
	QUIETLY(syscall(SYS_futex, addr, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0));
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
	       !QUIETLY(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
}

int os_cores(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
}

bool os_shadow_stack_off(void)
{
	unsigned long on = 0;

	/* Fails where there are none. */
	if (syscall(SHADOW_STACK_STATUS(&on)) || !(on & 1))
		return true;
	return !syscall(SHADOW_STACK_OFF);
}

uint32_t os_tid(void)
{
	return (uint32_t)syscall(SYS_gettid);
}

/* The asm: to a compiler that sees this and the caller at once it would be as constant as what it
 * calls, and a goroutine that went to another thread would use the errno of the one before. */
noinline int *goro_errno_location(void)
{
	__asm__ volatile("" ::: "memory");
	return __errno_location();
}

void os_sleep(int64_t ns)
{
	struct timespec ts = { ns / GORO_SECOND, ns % GORO_SECOND };

	wipe_below();
	nanosleep(&ts, NULL);
}

int64_t os_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * GORO_SECOND + ts.tv_nsec;
}

int64_t os_thread_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
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

void os_raise(int sig)
{
	raise(sig);
}

/* Die of it, whatever this thread blocks. */
void os_die_of(int sig)
{
	sigset_t set;

	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	raise(sig);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- while a report is written: see report.c ---------------------------------------------------
 */

static sigset_t report_mask;
static int report_timer; /* the kernel's: see poll_control() in os_linux_files.c */
static bool report_ticks;

bool os_is_tick(int sig)
{
	return sig == SIGRTMAX;
}

/*
 * Not on the signal stack: what lies there may be the frame of the signal that the report is about.
 * All else is held back: the program's own handlers are not to run in the midst of it.
 */
void os_report_begin(os_signal_fn *fn)
{
	const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGRTMAX };
	struct sigaction sa = { .sa_sigaction = fn, .sa_flags = SA_SIGINFO | SA_NODEFER };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMAX };
	sigset_t set;

	sigemptyset(&sa.sa_mask);
	sigfillset(&set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		sigdelset(&set, signals[i]);
		sigaction(signals[i], &sa, NULL);
	}
	pthread_sigmask(SIG_SETMASK, &set, &report_mask);
	event._sigev_un._tid = (pid_t)os_tid();
	report_ticks = !syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &report_timer);
}

void os_report_end(void)
{
	if (report_ticks)
		syscall(SYS_timer_delete, report_timer);
	pthread_sigmask(SIG_SETMASK, &report_mask, NULL);
}

void os_report_tick(int64_t ns)
{
	struct itimerspec tick = {
		.it_value = { ns / GORO_SECOND, ns % GORO_SECOND },
		.it_interval = { ns / GORO_SECOND, ns % GORO_SECOND },
	};

	if (report_ticks)
		syscall(SYS_timer_settime, report_timer, 0, &tick, NULL);
}

/* What is ignored unless somebody takes it: who gets it late is not hurt. */
void os_interrupt_take(os_signal_fn *fn)
{
	os_signal_take(SIGURG, fn, NULL);
}

void os_interrupt(uint32_t tid)
{
	syscall(SYS_tgkill, getpid(), (pid_t)tid, SIGURG);
}

void os_sched_yield(void)
{
	sched_yield();
}

/* What signals a thread blocks that is not told to block them: as the program had it. */
static sigset_t usual_mask;
static __thread bool blocks_all;
static __thread sigset_t begins_with;

/*
 * Never given back to malloc: libc keeps the argument of a thread for as long as it lives, and to
 * whoever searches for pointers that would be one to what is there next.
 */
struct thread_start {
	void (*fn)(void *);
	void *arg;
	bool block_signals;
	sigset_t mask;
	struct thread_start *link;
};

static uint32_t starts_lock;
static struct thread_start *free_starts;

static struct thread_start *start_take(void)
{
	struct thread_start *start;

	lock_always(&starts_lock);
	start = free_starts;
	if (start)
		free_starts = start->link;
	unlock_always(&starts_lock);
	return start ? start : malloc(sizeof(*start));
}

static void start_put(struct thread_start *start)
{
	start->arg = NULL;
	lock_always(&starts_lock);
	start->link = free_starts;
	free_starts = start;
	unlock_always(&starts_lock);
}

static void *thread_main(void *arg)
{
	struct thread_start start = *(struct thread_start *)arg;

	start_put(arg);
	blocks_all = start.block_signals;
	begins_with = start.mask;
	start.fn(start.arg);
	return NULL;
}

/*
 * The thread's own stack runs only the scheduler and reports. Signals of the process may be handled
 * on any worker, so workers block only what the starter does; or, if that is sysmon, who blocks
 * all, what its starter did. (A fault that is blocked kills without a word.) But all of them until
 * it says that it is one of ours: a handler that calls us before would make it one of the
 * program's.
 */
int os_thread_start(void (*fn)(void *), void *arg, bool block_signals)
{
	struct thread_start *start = start_take();
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	if (!start)
		return -ENOMEM;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, GUARD_SIZE + WORKER_STACK);
	pthread_attr_setguardsize(&attr, GUARD_SIZE);
	sigfillset(&all);
	/* Libc writes 8 of its 128 bytes: the others would be what was here before, for ever. */
	memset(&old, 0, sizeof(old));
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (block_signals)
		usual_mask = old;
	*start = (struct thread_start){ fn, arg, block_signals, blocks_all ? usual_mask : old,
					NULL };
	err = QUIETLY(pthread_create(&thread, &attr, thread_main, start));
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (err)
		start_put(start);
	return -err;
}

void os_thread_signals(bool as_usual)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, as_usual ? &begins_with : &all, NULL);
}

/* Faults on a goroutine's stack are handled on a stack of the thread; libdw needs room there. */
void os_thread_signal_stack(struct m *mp, bool only_if_none)
{
	size_t size = getauxval(AT_MINSIGSTKSZ) + 512 * 1024;
	stack_t ss = { .ss_size = size };

	if (!mp->signal_stack)
		mp->signal_stack = os_reserve(size);
	ss.ss_sp = mp->signal_stack;
	mp->signal_stack_size = 0;
	if (!ss.ss_sp || sigaltstack(NULL, &mp->signal_stack_before))
		return;
	if (only_if_none && !(mp->signal_stack_before.ss_flags & SS_DISABLE))
		return;
	if (!sigaltstack(&ss, NULL))
		mp->signal_stack_size = size;
}

/* (AddressSanitizer unmaps at a thread's end what it finds set.) */
void os_thread_signal_stack_end(struct m *mp)
{
	if (mp->signal_stack_size)
		sigaltstack(&mp->signal_stack_before, NULL);
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

static pthread_key_t thread_end;

int os_at_thread_end(void (*fn)(void *))
{
	return -pthread_key_create(&thread_end, fn);
}

int os_thread_watch(void *arg)
{
	return -pthread_setspecific(thread_end, arg);
}

void os_thread_exit(void)
{
	pthread_exit(NULL);
}

/* One entry of a directory as the kernel writes it; readdir() would need malloc. */
struct dir_entry {
	uint64_t inode;
	int64_t offset;
	uint16_t len;
	uint8_t type;
	char name[];
};

static uint32_t strangers(const char *entries, size_t n, bool (*ours)(uint32_t tid),
			  uint32_t *listed)
{
	uint32_t found = 0;

	for (size_t at = 0; at < n;) {
		const struct dir_entry *e = (const void *)(entries + at);

		at += e->len;
		if (e->name[0] == '.')
			continue;
		++*listed;
		found += !ours((uint32_t)strtoul(e->name, NULL, 10));
	}
	return found;
}

/* Each is a link of the directory, beside its two. */
static bool more_threads_than(uint32_t n)
{
	struct stat task;

	return stat("/proc/self/task", &task) || task.st_nlink > n + 2;
}

bool os_thread_lives(uint32_t tid)
{
	return tid && !syscall(SYS_tgkill, getpid(), tid, 0);
}

bool os_other_threads(bool (*ours)(uint32_t tid), uint32_t (*count_ours)(void))
{
	char entries[4096] __attribute__((aligned(8)));
	int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint32_t found = 0, listed = 0;
	long n;

	/* Without a descriptor they can only be counted. */
	if (fd < 0)
		return more_threads_than(count_ours() + SAN_THREADS);
	while ((n = syscall(SYS_getdents64, fd, entries, sizeof(entries))) > 0)
		found += strangers(entries, (size_t)n, ours, &listed);
	close(fd);
	/* The kernel ends the list early where it stands at a thread that ends just now. */
	return n < 0 || found > SAN_THREADS || more_threads_than(listed);
}

void os_at_fork(void (*child)(void))
{
	pthread_atfork(NULL, NULL, child);
}

/* ---- the end -----------------------------------------------------------------------------------
 */

/* Somebody who shares a terminal or pipe with us may have made it non-blocking for all. */
static bool has_room(int fd)
{
	enum { PATIENCE_MS = 1000 };

	return errno == EAGAIN && poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, PATIENCE_MS) > 0;
}

void os_write(int fd, const void *buf, size_t n)
{
	const char *at = buf;
	int saved_errno = errno;

	while (n) {
		ssize_t k = write(fd, at, n);

		if (k < 0 && (errno == EINTR || has_room(fd)))
			continue;
		if (k <= 0)
			break;
		at += k;
		n -= (size_t)k;
	}
	errno = saved_errno;
}

/*
 * More are allowed by the hard limit, mostly. If not, the highest are closed: the process is about
 * to end, and what its threads do with them until then fails.
 */
void os_free_descriptors(void)
{
	enum { WANTED = 16 };
	struct rlimit limit;
	rlim_t soft;
	int fd = dup(STDERR_FILENO);

	if (fd >= 0) {
		close(fd);
		return;
	}
	if (errno != EMFILE || getrlimit(RLIMIT_NOFILE, &limit))
		return;
	soft = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max - soft > WANTED ? soft + WANTED : limit.rlim_max;
	if (limit.rlim_cur > soft && !setrlimit(RLIMIT_NOFILE, &limit))
		return;
	for (rlim_t i = 0; i < WANTED && soft - i > STDERR_FILENO + 1; i++)
		close((int)(soft - i - 1));
}

void os_exit_now(int status)
{
	_exit(status);
}
