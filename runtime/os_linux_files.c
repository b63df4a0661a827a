/* SPDX-License-Identifier: MIT */
/*
 * os_linux_files.c - the system calls for descriptors: polling, files, sockets, names of hosts.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime.h"

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

/*
 * Not by the C library's name: that one in a program's imports tells who looks into its core file
 * that the program gives pointers to the kernel (profiler/target_core_kept.c). We give none.
 */
static int poll_control(int poll_fd, int operation, int fd, struct epoll_event *event)
{
	return (int)CALL(syscall(SYS_epoll_ctl, poll_fd, operation, fd, event));
}

int os_poll_create(void)
{
	return (int)CALL(epoll_create1(EPOLL_CLOEXEC));
}

int os_poll_add(int poll_fd, int fd, uint64_t data)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				     .data.u64 = data };
	int err = poll_control(poll_fd, EPOLL_CTL_ADD, fd, &event);

	/* The kernel's is of one that was closed behind our back, and lives on in a duplicate. */
	if (err == -EEXIST)
		err = poll_control(poll_fd, EPOLL_CTL_MOD, fd, &event);
	return err;
}

void os_poll_remove(int poll_fd, int fd)
{
	poll_control(poll_fd, EPOLL_CTL_DEL, fd, NULL);
}

/* By one that can always be read, and says so once each time. One caller at a time: sched.lock. */
void os_poll_rouse(int poll_fd)
{
	static int fd = -1;
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT, .data.u64 = OS_POLL_ROUSED };

	if (fd >= 0) {
		poll_control(poll_fd, EPOLL_CTL_MOD, fd, &event);
		return;
	}
	fd = (int)CALL(syscall(SYS_eventfd2, 1, EFD_CLOEXEC)); /* as above */
	if (fd >= 0 && poll_control(poll_fd, EPOLL_CTL_ADD, fd, &event)) {
		os_close(fd);
		fd = -1;
	}
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
		wipe_below();
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
	/* recv() of nothing waits for something, or takes a packet; read() does neither. */
	if (n && (kind == FD_SOCKET || kind == FD_STREAM))
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

/* To the C library a file of names that it cannot open for want of a descriptor has no names. */
static int resolve_error(int err, int saved_errno)
{
	if (errno == EMFILE || errno == ENFILE)
		return (int)result(-1, saved_errno);
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
	errno = 0;
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
