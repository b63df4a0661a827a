/* SPDX-License-Identifier: MIT */
/*
 * os_linux.c - every system call of the runtime, and what glibc knows about threads.
 *
 * Another operating system is another file like this one.
 */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#define MADV_GUARD_REMOVE  103
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* ---- memory ------------------------------------------------------------------------------------
 */

static size_t whole_pages(size_t size)
{
	return (size + os_page_size() - 1) & ~(os_page_size() - 1);
}

/*
 * All memory that the runtime has for itself comes from here, so here observers are told of it: to
 * them it is opaque, see goro_introspect.h. The rest of its last page is, too.
 */
void *os_reserve(size_t size)
{
	void *p;

	size = whole_pages(size);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		 -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	goro_region_add(p, size, GORO_REGION_OPAQUE);
	return p;
}

/* To read, for ever. NULL as path: the program's own file. */
const void *os_map_file(const char *path, size_t *size)
{
	int fd = open(path ? path : "/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p = MAP_FAILED;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && st.st_size > 0)
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	*size = (size_t)st.st_size;
	return p == MAP_FAILED ? NULL : p;
}

/* The kernel lays mappings side by side, so what comes after an aligned one mostly is, too. */
void *os_reserve_aligned(size_t size, size_t align)
{
	char *p = os_reserve(size);
	size_t before;

	if (!p || !((uintptr_t)p % align))
		return p;
	os_unreserve(p, size);
	p = os_reserve(size + align);
	if (!p)
		return NULL;
	before = -(uintptr_t)p % align;
	if (before)
		os_unreserve(p, before);
	os_unreserve(p + before + size, align - before);
	return p + before;
}

void os_unreserve(void *addr, size_t size)
{
	size = whole_pages(size);
	/* First: the next mapping there may be the program's. */
	goro_region_remove(addr, size, GORO_REGION_OPAQUE);
	munmap(addr, size);
}

void os_no_huge_pages(void *addr, size_t size)
{
	madvise(addr, size, MADV_NOHUGEPAGE);
}

void os_discard(void *addr, size_t size)
{
	madvise(addr, size, MADV_DONTNEED);
}

static int write_to_bss(struct dl_phdr_info *info, size_t size, void *unused)
{
	const uintptr_t page = os_page_size();

	(void)size, (void)unused;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t data = info->dlpi_addr + ph->p_vaddr + ph->p_filesz;
		uintptr_t bss = (data + page - 1) & ~(page - 1);

		if (ph->p_type == PT_LOAD && (ph->p_flags & PF_W) &&
		    bss < info->dlpi_addr + ph->p_vaddr + ph->p_memsz)
			madvise((void *)bss, page, MADV_POPULATE_WRITE);
	}
	return 0;
}

/*
 * In a core file a map to which nobody wrote looks like one that was left out of it, and who looks
 * for pointers must take it for that (profiler/reach_gaps.c). Some library's bss nearly always is
 * such a map, until now: a page of each is made to be there, which fails where it may not.
 */
void os_write_to_modules(void)
{
	dl_iterate_phdr(write_to_bss, NULL);
}

size_t os_page_size(void)
{
	static size_t size;

	if (!size)
		size = (size_t)sysconf(_SC_PAGESIZE);
	return size;
}

uintptr_t os_first_resident(uintptr_t lo, uintptr_t hi)
{
	unsigned char in_memory[1024];
	size_t page = os_page_size();

	while (lo < hi) {
		size_t n = (hi - lo) / page;

		n = n < sizeof(in_memory) ? n : sizeof(in_memory);
		if (mincore((void *)lo, n * page, in_memory))
			return hi;
		for (size_t i = 0; i < n; i++, lo += page)
			if (in_memory[i] & 1)
				return lo;
	}
	return hi;
}

bool os_write_allow(void *addr, size_t size, bool allow)
{
	uintptr_t lo = (uintptr_t)addr & -os_page_size();

	size += (uintptr_t)addr - lo;
	return !mprotect((void *)lo, size, allow ? PROT_READ | PROT_WRITE : PROT_READ);
}

static bool no_marks = SAN_NEEDS_MAPPINGS;

/*
 * Make the pages fault. The mark in the page table is tried, not looked up by version: a kernel
 * that lacks it says EINVAL. Each PROT_NONE guard costs two mappings of vm.max_map_count, of which
 * the program must keep some, so they end at a budget.
 */
bool os_guard(void *addr, size_t size)
{
	static uint32_t mappings;

	if (!__atomic_load_n(&no_marks, __ATOMIC_RELAXED)) {
		if (!madvise(addr, size, MADV_GUARD_INSTALL))
			return true;
		__atomic_store_n(&no_marks, true, __ATOMIC_RELAXED);
	}
	if (__atomic_fetch_add(&mappings, 2, __ATOMIC_RELAXED) > 30000) {
		__atomic_fetch_sub(&mappings, 2, __ATOMIC_RELAXED);
		return false;
	}
	return !mprotect(addr, size, PROT_NONE);
}

/* Take guards away with all else. False: nothing was done, some may be mappings. */
bool os_unguard_discard(void *addr, size_t size)
{
	if (__atomic_load_n(&no_marks, __ATOMIC_RELAXED) || madvise(addr, size, MADV_GUARD_REMOVE))
		return false;
	os_discard(addr, size);
	return true;
}

/* ---- threads -----------------------------------------------------------------------------------
 */

/*
 * A thread that is about to sleep for long leaves nothing below its stack pointer. An observer that
 * searches for pointers must take the red zone for alive, and what a call that is over has left
 * there (a timer, a goroutine's record) would keep alive what nobody has any more.
 */
noinline void os_wipe_below(void)
{
	char below[384];

	memset(below, 0, sizeof(below));
	__asm__ volatile("" ::"r"(below) : "memory");
}

void os_futex_wait(_Atomic uint32_t *addr, uint32_t val, int64_t timeout_ns)
{
	struct timespec ts = { timeout_ns / GORO_SECOND, timeout_ns % GORO_SECOND };

	os_wipe_below();
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

	os_wipe_below();
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
static timer_t report_timer;
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
	report_ticks = !timer_create(CLOCK_MONOTONIC, &event, &report_timer);
}

void os_report_end(void)
{
	if (report_ticks)
		timer_delete(report_timer);
	pthread_sigmask(SIG_SETMASK, &report_mask, NULL);
}

void os_report_tick(int64_t ns)
{
	struct itimerspec tick = {
		.it_value = { ns / GORO_SECOND, ns % GORO_SECOND },
		.it_interval = { ns / GORO_SECOND, ns % GORO_SECOND },
	};

	if (report_ticks)
		timer_settime(report_timer, 0, &tick, NULL);
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

/*
 * Never given back to malloc: libc keeps the argument of a thread for as long as it lives, and to
 * whoever searches for pointers that would be one to what is there next.
 */
struct thread_start {
	void (*fn)(void *);
	void *arg;
	bool block_signals;
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
	start.fn(start.arg);
	return NULL;
}

/*
 * The thread's own stack runs only the scheduler and reports. Signals of the process may be handled
 * on any worker, so workers block only what the starter does; or, if that is sysmon, who blocks
 * all, what its starter did. (A fault that is blocked kills without a word.)
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
	*start = (struct thread_start){ fn, arg, block_signals, NULL };
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 1024 * 1024);
	sigfillset(&all);
	/* Libc writes 8 of its 128 bytes: the others would be what was here before, for ever. */
	memset(&old, 0, sizeof(old));
	if (block_signals || blocks_all)
		pthread_sigmask(SIG_SETMASK, block_signals ? &all : &usual_mask, &old);
	if (block_signals)
		usual_mask = old;
	err = pthread_create(&thread, &attr, thread_main, start);
	if (block_signals || blocks_all)
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (err)
		start_put(start);
	return -err;
}

/* Faults on a goroutine's stack are handled on a stack of the thread; libdw needs room there. */
void os_thread_signal_stack(struct m *mp, bool only_if_none)
{
	size_t size = getauxval(AT_MINSIGSTKSZ) + 512 * 1024;
	stack_t ss = { .ss_size = size };

	if (!mp->signal_stack)
		mp->signal_stack = os_reserve(size);
	ss.ss_sp = mp->signal_stack;
	mp->signal_stack_set = false;
	if (!ss.ss_sp || sigaltstack(NULL, &mp->signal_stack_before))
		return;
	if (only_if_none && !(mp->signal_stack_before.ss_flags & SS_DISABLE))
		return;
	mp->signal_stack_set = !sigaltstack(&ss, NULL);
}

/* (AddressSanitizer unmaps at a thread's end what it finds set.) */
void os_thread_signal_stack_end(struct m *mp)
{
	if (mp->signal_stack_set)
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

static uint32_t strangers(const char *entries, size_t n, bool (*ours)(uint32_t tid))
{
	uint32_t found = 0;

	for (size_t at = 0; at < n;) {
		const struct dir_entry *e = (const void *)(entries + at);

		at += e->len;
		if (e->name[0] != '.' && !ours((uint32_t)strtoul(e->name, NULL, 10)))
			found++;
	}
	return found;
}

bool os_other_threads(bool (*ours)(uint32_t tid))
{
	char entries[4096] __attribute__((aligned(8)));
	int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint32_t found = 0;
	long n;

	if (fd < 0)
		return true;
	while ((n = syscall(SYS_getdents64, fd, entries, sizeof(entries))) > 0)
		found += strangers(entries, (size_t)n, ours);
	close(fd);
	return n < 0 || found > SAN_THREADS;
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

/* ---- descriptors -------------------------------------------------------------------------------
 */

/* A result as our callers want it; errno, which the call has set, is the goroutine's. */
static ssize_t result(ssize_t k, int saved_errno)
{
	if (k >= 0)
		return k;
	k = -errno;
	errno = saved_errno;
	return k;
}

/* Evaluate a system call until no signal interrupts it. */
#define CALL(call)                                \
	({                                        \
		int saved_ = errno;               \
		ssize_t k_;                       \
		do                                \
			k_ = (call);              \
		while (k_ < 0 && errno == EINTR); \
		result(k_, saved_);               \
	})

int os_poll_create(void)
{
	return (int)CALL(epoll_create1(EPOLL_CLOEXEC));
}

int os_poll_add(int poll_fd, int fd, uint64_t data)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				     .data.u64 = data };
	int err = (int)CALL(epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event));

	/* The kernel's is of one that was closed behind our back, and lives on in a duplicate. */
	if (err == -EEXIST)
		err = (int)CALL(epoll_ctl(poll_fd, EPOLL_CTL_MOD, fd, &event));
	return err;
}

void os_poll_remove(int poll_fd, int fd)
{
	CALL(epoll_ctl(poll_fd, EPOLL_CTL_DEL, fd, NULL));
}

/* Kernels before 5.11 wait in whole milliseconds. */
static int poll_wait(int poll_fd, struct epoll_event *events, int max, int64_t timeout_ns)
{
	struct timespec ts = { timeout_ns / GORO_SECOND, timeout_ns % GORO_SECOND };
	static bool only_ms;
	int64_t ms = timeout_ns < 0 ? -1 : (timeout_ns + 999999) / 1000000;

	if (!only_ms && timeout_ns > 0) {
		int n = (int)CALL(epoll_pwait2(poll_fd, events, max, &ts, NULL));

		if (n != -ENOSYS)
			return n;
		only_ms = true;
	}
	ms = ms < INT32_MAX ? ms : INT32_MAX;
	return (int)result(epoll_wait(poll_fd, events, max, (int)ms), errno);
}

int os_poll_wait(int poll_fd, struct os_event *to, int max, int64_t timeout_ns)
{
	struct epoll_event events[128];
	int n;

	max = max < 128 ? max : 128;
	if (timeout_ns) {
		memset(events, 0, sizeof(events));
		os_wipe_below();
	}
	n = poll_wait(poll_fd, events, max, timeout_ns);
	for (int i = 0; i < n; i++) {
		uint32_t e = events[i].events;

		to[i].data = events[i].data.u64;
		to[i].hangup = e & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
		to[i].in = e & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
		to[i].out = e & (EPOLLOUT | EPOLLHUP | EPOLLERR);
	}
	return n;
}

int os_fd_kind(int fd)
{
	struct stat st;
	int flags = (int)CALL(fcntl(fd, F_GETFL));
	int err = flags < 0 ? flags : (int)CALL(fstat(fd, &st));

	if (err < 0)
		return err;
	if (S_ISSOCK(st.st_mode)) {
		err = (int)CALL(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
		return err < 0 ? err : FD_SOCKET;
	}
	/* A terminal or a pipe may be shared with other programs: its flags are not ours to set. */
	return flags & O_NONBLOCK && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) ? FD_POLLABLE
										  : FD_BLOCKING;
}

int os_open(const char *path, int flags, unsigned mode)
{
	return (int)CALL(open(path, flags | O_CLOEXEC, (mode_t)mode));
}

/* Never twice: Linux has closed it also when it says EINTR. */
int os_close(int fd)
{
	int err = (int)result(close(fd), errno);

	return err == -EINTR ? 0 : err;
}

ssize_t os_read(int fd, enum fd_kind kind, void *buf, size_t n)
{
	if (kind == FD_SOCKET || kind == FD_STREAM)
		return CALL(recv(fd, buf, n, MSG_DONTWAIT));
	return CALL(read(fd, buf, n));
}

ssize_t os_write_some(int fd, enum fd_kind kind, const void *buf, size_t n)
{
	if (kind == FD_SOCKET || kind == FD_STREAM)
		return CALL(send(fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL));
	return CALL(write(fd, buf, n));
}

ssize_t os_pread(int fd, void *buf, size_t n, int64_t offset)
{
	return CALL(pread(fd, buf, n, offset));
}

ssize_t os_pwrite(int fd, const void *buf, size_t n, int64_t offset)
{
	return CALL(pwrite(fd, buf, n, offset));
}

/* ---- sockets -----------------------------------------------------------------------------------
 */

static int resolve_error(int err, int saved_errno)
{
	switch (err) {
	case EAI_SYSTEM:
		return (int)result(-1, saved_errno);
	case EAI_AGAIN:
		return -EAGAIN;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_FAIL:
		return -EIO;
	default:
		return -ENOENT;
	}
}

int os_resolve(const char *host, int port, bool passive, bool numeric, struct os_addr *to, int max)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	struct addrinfo *list = NULL;
	int saved = errno, err, n = 0;
	char service[16];

	hints.ai_flags |= passive ? AI_PASSIVE : 0;
	hints.ai_flags |= numeric ? AI_NUMERICHOST : 0;
	snprintf(service, sizeof(service), "%d", port);
	err = getaddrinfo(host, service, &hints, &list);
	if (err)
		return resolve_error(err, saved);
	for (struct addrinfo *ai = list; ai && n < max; ai = ai->ai_next) {
		if (ai->ai_addrlen > sizeof(to[n].bytes))
			continue;
		to[n].len = ai->ai_addrlen;
		to[n].family = ai->ai_family;
		memcpy(to[n].bytes, ai->ai_addr, ai->ai_addrlen);
		n++;
	}
	freeaddrinfo(list);
	errno = saved;
	return n ? n : -ENOENT;
}

/* Small messages are sent at once, as in Go; an accepted socket inherits it from the listener. */
int os_tcp_socket(int family)
{
	int on = 1, saved = errno;
	int fd = (int)CALL(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));

	if (fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
		errno = saved;
	return fd;
}

int os_listen(int fd, const struct os_addr *addr, int backlog)
{
	int on = 1, off = 0, saved = errno, err;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    (addr->family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off))))
		return (int)result(-1, saved);
	err = (int)CALL(bind(fd, (const struct sockaddr *)addr->bytes, addr->len));
	return err ? err : (int)CALL(listen(fd, backlog));
}

/* A connection that was gone before we came for it is nobody's business. */
int os_accept(int fd)
{
	int conn;

	do
		conn = (int)CALL(accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
	while (conn == -ECONNABORTED);
	return conn;
}

int os_connect(int fd, const void *addr, uint32_t len)
{
	int err = (int)result(connect(fd, addr, len), errno);

	return err == -EINTR ? -EINPROGRESS : err;
}

int os_connect_result(int fd)
{
	int err = 0, saved = errno;
	struct sockaddr_storage peer;
	socklen_t len = sizeof(err);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len))
		return (int)result(-1, saved);
	if (err)
		return -err;
	len = sizeof(peer);
	err = (int)result(getpeername(fd, (struct sockaddr *)&peer, &len), saved);
	return err == -ENOTCONN ? -EINPROGRESS : err;
}

int os_port(int fd)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	int err = (int)CALL(getsockname(fd, (struct sockaddr *)&sa, &len));

	if (err)
		return err;
	if (sa.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&sa)->sin_port);
	if (sa.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&sa)->sin6_port);
	return -EAFNOSUPPORT;
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

/* ---- who may ask for something: see reclaim.c --------------------------------------------------
 */

int os_ear_open(char *name, size_t size)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	/* No name at all: the kernel finds one that nobody has. */
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa.sun_family)) || listen(fd, 16) ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) ||
	    len - offsetof(struct sockaddr_un, sun_path) > size) {
		int err = errno;

		close(fd);
		return -err;
	}
	len -= (socklen_t)offsetof(struct sockaddr_un, sun_path);
	memset(name, 0, size);
	memcpy(name, sa.sun_path + 1, len - 1);
	return fd;
}

int os_ear_accept(int fd, int64_t timeout_ns)
{
	struct timespec timeout = { timeout_ns / GORO_SECOND, timeout_ns % GORO_SECOND };
	struct timeval patience = { .tv_sec = 60 };
	struct pollfd ear = { .fd = fd, .events = POLLIN };
	struct ucred who;
	socklen_t len = sizeof(who);
	int n = ppoll(&ear, 1, timeout_ns < 0 ? NULL : &timeout, NULL);

	if (n <= 0)
		return n ? -errno : -ETIMEDOUT;
	fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) ||
	    (who.uid && who.uid != geteuid())) {
		close(fd);
		return -EPERM;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	return fd;
}

bool os_ear_read(int fd, void *buf, size_t n)
{
	char *at = buf;

	while (n) {
		ssize_t k = recv(fd, at, n, 0);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return false;
		at += k;
		n -= (size_t)k;
	}
	return true;
}

bool os_ear_write(int fd, const void *buf, size_t n)
{
	const char *at = buf;

	while (n) {
		ssize_t k = send(fd, at, n, MSG_NOSIGNAL);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return false;
		at += k;
		n -= (size_t)k;
	}
	return true;
}

void os_allow_tracer(int pid)
{
	char scope = '0';
	int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, &scope, 1) == 1 && scope == '1')
		prctl(PR_SET_PTRACER, (unsigned long)pid, 0, 0, 0);
	if (fd >= 0)
		close(fd);
}

bool os_is_program(const char *path)
{
	struct stat st;

	return access(path, X_OK) == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/*
 * A process that is nobody's child: the program's own wait() must not meet it. So a child that
 * sends no signal when it ends starts another, and ends. Both have our memory until the second one
 * is another program, and we stand still meanwhile; so they call the kernel and nothing else, least
 * of all what a sanitizer has put in libc's place.
 */
enum { SPAWN_STACK = 64 * 1024 };

struct spawn {
	const char *path;
	char *const *argv, *const *envp;
	char *stacks;
	int pid, err;
};

struct kernel_sigaction {
	uintptr_t handler;
	unsigned long flags;
	uintptr_t restorer;
	uint64_t mask;
};

static int spawn_exec(void *arg)
{
	struct spawn *s = arg;
	uint64_t none = 0;
	long null;

	/* A handler must not run here, once signals are let in. */
	for (int sig = 1; sig <= 64; sig++) {
		struct kernel_sigaction sa = { 0 }, usual = { 0 };

		syscall(SYS_rt_sigaction, sig, NULL, &sa, sizeof(none));
		if (sa.handler != (uintptr_t)SIG_IGN)
			syscall(SYS_rt_sigaction, sig, &usual, NULL, sizeof(none));
	}
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
	null = syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR, 0);
	syscall(SYS_dup3, null, 0, 0);
	syscall(SYS_dup3, null, 1, 0);
#ifdef SYS_close_range
	syscall(SYS_close_range, 3, ~0U, 0);
#endif
	syscall(SYS_execve, s->path, s->argv, s->envp);
	s->err = errno;
	syscall(SYS_exit_group, 127);
	return 0;
}

static int spawn_child(void *arg)
{
	struct spawn *s = arg;

	s->pid = clone(spawn_exec, s->stacks + SPAWN_STACK, CLONE_VM | CLONE_VFORK, s);
	if (s->pid < 0)
		s->err = errno;
	syscall(SYS_exit_group, 0);
	return 0;
}

int os_spawn(const char *path, char *const argv[], char *const envp[])
{
	struct spawn s = { .path = path, .argv = argv, .envp = envp };
	void *stacks = mmap(NULL, 2 * SPAWN_STACK, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int child;

	if (stacks == MAP_FAILED)
		return -errno;
	s.stacks = stacks;
	child = clone(spawn_child, s.stacks + 2 * SPAWN_STACK, CLONE_VM | CLONE_VFORK, &s);
	if (child < 0)
		s.err = errno;
	else
		while (waitpid(child, NULL, __WCLONE) < 0 && errno == EINTR)
			;
	munmap(stacks, 2 * SPAWN_STACK);
	return s.err ? -s.err : s.pid;
}
