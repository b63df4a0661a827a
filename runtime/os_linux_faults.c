/* SPDX-License-Identifier: MIT */
/*
 * os_linux_faults.c - the system calls of cold.c: pages that are taken away, and brought back when
 * somebody touches them (userfaultfd).
 *
 * All of them leave errno alone: they are made in the midst of a switch between goroutines.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime.h"

#ifndef UFFDIO_MOVE
struct uffdio_move {
	__u64 dst, src, len, mode;
	__s64 move;
};
#define UFFDIO_MOVE	  _IOWR(UFFDIO, 0x05, struct uffdio_move) /* Linux 6.8 */
#define UFFD_FEATURE_MOVE (1 << 16)
#endif
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

static int faults_fd = -1;

static int control(unsigned long request, void *arg)
{
	int saved = errno, err = 0;

	while (ioctl(faults_fd, request, arg))
		if (errno != EINTR) {
			err = -errno;
			break;
		}
	errno = saved;
	return err;
}

/* Those in system calls, too: so never UFFD_USER_MODE_ONLY. */
static int open_faults(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC), device;

	if (fd >= 0 || errno != EPERM)
		return fd;
	device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	if (device < 0)
		return -1;
	fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC);
	close(device);
	return fd;
}

const char *os_faults_open(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MOVE };
	int saved = errno;

	faults_fd = open_faults();
	errno = saved;
	if (faults_fd < 0)
		return "there is no userfaultfd for faults of system calls (it takes "
		       "CAP_SYS_PTRACE, access to /dev/userfaultfd, or "
		       "vm.unprivileged_userfaultfd=1)";
	if (!control(UFFDIO_API, &api))
		return NULL;
	close(faults_fd);
	errno = saved;
	faults_fd = -1;
	return "the kernel cannot move a page (UFFDIO_MOVE; Linux 6.8)";
}

/* A program that closes all descriptors must not close this one of its handler's. */
void os_faults_apart(void)
{
	if (unshare(CLONE_FILES))
		return;
	if (faults_fd > 0)
		close_range(0, (unsigned)faults_fd - 1, 0);
	close_range((unsigned)faults_fd + 1, ~0u, 0);
}

int os_faults_watch(void *addr, size_t size)
{
	struct uffdio_register r = { .range = { (uintptr_t)addr, size },
				     .mode = UFFDIO_REGISTER_MODE_MISSING };

	return control(UFFDIO_REGISTER, &r);
}

int os_faults_wait(struct os_faults *f, int64_t timeout_ns)
{
	const struct uffd_msg *msgs = (const void *)f->room;
	const size_t max = sizeof(f->at) / sizeof(f->at[0]);
	struct pollfd readable = { .fd = faults_fd, .events = POLLIN };
	ssize_t n;
	int k = 0;

	_Static_assert(sizeof(f->at) / sizeof(f->at[0]) * sizeof(*msgs) <= sizeof(f->room), "room");
	wipe_below();
	if (timeout_ns >= 0 && poll(&readable, 1, (int)(timeout_ns / GORO_MILLISECOND)) <= 0)
		return 0;
	n = read(faults_fd, f->room, max * sizeof(*msgs));
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	for (size_t i = 0; i < (size_t)n / sizeof(*msgs); i++)
		if (msgs[i].event == UFFD_EVENT_PAGEFAULT)
			f->at[k++] = (uintptr_t)msgs[i].arg.pagefault.address;
	return k;
}

int os_page_move(void *to, void *from)
{
	struct uffdio_move m = { .dst = (uintptr_t)to,
				 .src = (uintptr_t)from,
				 .len = os_page_size() };
	int err;

	for (int i = 0; i < 100; i++) {
		err = control(UFFDIO_MOVE, &m);
		if (err != -EAGAIN)
			break;
	}
	return err;
}

int os_page_fill(void *page, const void *bytes)
{
	struct uffdio_copy c = { .dst = (uintptr_t)page,
				 .src = (uintptr_t)bytes,
				 .len = os_page_size() };
	int err = control(UFFDIO_COPY, &c);
	struct uffdio_range range = { (uintptr_t)page, os_page_size() };

	if (err != -EEXIST)
		return err;
	/* Somebody else has. Nobody sleeps on that, but this costs nothing. */
	control(UFFDIO_WAKE, &range);
	return 0;
}

uint64_t os_signals_block(void)
{
	uint64_t all = ~(uint64_t)0, old = 0;

	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old, sizeof(old));
	return old;
}

void os_signals_restore(uint64_t old)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &old, NULL, sizeof(old));
}

void os_around_fork(void (*before)(void), void (*parent)(void), void (*child)(void))
{
	pthread_atfork(before, parent, child);
}
