/* SPDX-License-Identifier: MIT */
/*
 * target_process_sent.c - pointers on their way from one thread of a process to another.
 *
 * Who sends one as bytes of a socket or with a signal may have it nowhere else until it is
 * received. Both can be seen without taking anything away: recv(MSG_PEEK) of a copy of the
 * descriptor (pidfd_getfd(), Linux 5.6), and PTRACE_PEEKSIGINFO. Only Unix sockets are looked at:
 * nobody sends a pointer over a network. Of datagrams and of message queues one could see the first
 * only, so where there are any, nothing is known; and neither where the kernel or a sandbox permits
 * no copy.
 *
 * A peek must not change anything: whoever has set SO_PEEK_OFF moves it by that, and a pending
 * error is told to whoever asks first. Such a socket is not asked.
 */
#include "target_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "reach_skip.h"

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#define MQUEUE_MAGIC 0x19800202

#define MOST_BYTES   (8 << 20) /* in one socket */
#define MOST_SIGNALS 4096      /* of a process or a thread */

/* ---- sockets -----------------------------------------------------------------------------------
 */

/* Ours of it, or -1. */
static int copy_of(const struct process_kept *k, int fd)
{
	if (k->pidfd > 0 && !reach_skips("pidfd"))
		return (int)syscall(SYS_pidfd_getfd, k->pidfd, fd, 0);
	errno = EPERM;
	return -1;
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof value;

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) ? -1 : value;
}

/* Is that inode one of the process's sockets? */
static bool is_its(const struct process_kept *k, int dir, unsigned long long inode)
{
	char name[32], what[32], wanted[32];

	snprintf(wanted, sizeof wanted, "socket:[%llu]", inode);
	for (size_t i = 0; i < k->nsockets; i++) {
		ssize_t n;

		snprintf(name, sizeof name, "fd/%d", k->sockets[i]);
		n = readlinkat(dir, name, what, sizeof what - 1);
		if (n > 0 && (what[n] = '\0', !strcmp(what, wanted)))
			return true;
	}
	return false;
}

/*
 * Without a copy of its descriptors: has it a Unix socket that is connected? The lines are "Num:
 * RefCount Protocol Flags Type St Inode Path", of all in its network.
 */
static bool has_connected(const struct process_kept *k, int dir)
{
	size_t len;
	char *text = process_text(dir, "net/unix", &len), *rest = text, *line;
	bool is = !text;

	while (!is && rest && (line = strsep(&rest, "\n"))) {
		unsigned long long inode;
		unsigned state;

		if (sscanf(line, "%*s %*x %*x %*x %*x %x %llu", &state, &inode) == 2)
			is = state == 3 && is_its(k, dir, inode);
	}
	free(text);
	return is;
}

void process_sent_list(struct process_kept *k, int pid, int dir)
{
	size_t n = 0;

	if (k->nsockets && !k->pidfd)
		k->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	for (size_t i = 0; i < k->nsockets; i++) {
		int fd = copy_of(k, k->sockets[i]);

		if (fd < 0 && errno != EBADF) {
			/* If it is being killed, whoever reads its memory says so. */
			if (errno != ESRCH && has_connected(k, dir))
				k->hides = "a Unix socket that we may not look into";
			break;
		}
		if (fd >= 0 && option(fd, SO_DOMAIN) == AF_UNIX)
			k->sockets[n++] = k->sockets[i];
		if (fd >= 0)
			close(fd);
	}
	k->nsockets = n;
}

/* Leaves what it copies; also that there are descriptors, which we do not take. */
static bool peek_bytes(struct process_kept *k, int fd, uint8_t *bytes, size_t n)
{
	struct iovec to = { bytes, n };
	struct msghdr message = { .msg_iov = &to, .msg_iovlen = 1 };

	if (recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT) != (ssize_t)n)
		return false;
	if (message.msg_flags & MSG_CTRUNC)
		k->hides = "descriptors on their way in a Unix socket";
	return true;
}

static bool peek(struct process_kept *k, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t *bytes;
	bool ok = true;
	int n = 0;

	if (poll(&p, 1, 0) <= 0 || !(p.revents & POLLIN) || option(fd, SO_ACCEPTCONN) == 1)
		return true;
	if (option(fd, SO_TYPE) != SOCK_STREAM) {
		k->hides = "a Unix socket with messages";
		return true;
	}
	if (ioctl(fd, FIONREAD, &n) || n <= 0)
		return true;
	bytes = n <= MOST_BYTES ? malloc((size_t)n) : NULL;
	if (!bytes || p.revents & POLLERR || option(fd, SO_PEEK_OFF) >= 0 ||
	    !peek_bytes(k, fd, bytes, (size_t)n))
		k->hides = "a Unix socket with bytes that cannot be looked at";
	else
		ok = process_kept_bytes(k, bytes, (size_t)n);
	free(bytes);
	return ok;
}

bool process_sent_sockets(struct process_kept *k)
{
	bool ok = true;

	for (size_t i = 0; ok && i < k->nsockets; i++) {
		int fd = copy_of(k, k->sockets[i]);

		if (fd < 0)
			continue; /* closed before it stood still */
		ok = peek(k, fd);
		close(fd);
	}
	return ok;
}

/* ---- message queues ----------------------------------------------------------------------------
 */

/* "QSIZE:8  NOTIFY:0  SIGNO:10  NOTIFY_PID:4711": messages, or a value for who waits for one. */
static bool says_empty(const char *text)
{
	const char *size = strstr(text, "QSIZE:"), *pid = strstr(text, "NOTIFY_PID:");

	return size && pid && !strtoul(size + 6, NULL, 10) && !strtoul(pid + 11, NULL, 10);
}

/* Its name is "/name", as nearly no file's is. */
bool process_sent_in_queue(int fds, const char *name, const char *path)
{
	char text[128] = "";
	struct statfs fs;
	bool is;
	int fd;

	if (path[0] != '/' || strchr(path + 1, '/'))
		return false;
	fd = openat(fds, name, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return false;
	is = !fstatfs(fd, &fs) && fs.f_type == MQUEUE_MAGIC;
	close(fd);
	if (!is)
		return false;
	fd = openat(fds, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, sizeof text - 1) > 0)
		is = !says_empty(text);
	if (fd >= 0)
		close(fd);
	return is;
}

/* ---- System V ----------------------------------------------------------------------------------
 */

/* /proc/sysvipc shows what is in our namespace. */
static bool is_in_our_ipc(int dir)
{
	char its[64] = "", ours[64] = "";

	return readlinkat(dir, "ns/ipc", its, sizeof its - 1) > 0 &&
	       readlink("/proc/self/ns/ipc", ours, sizeof ours - 1) > 0 && !strcmp(its, ours);
}

/* key msqid perms cbytes qnum lspid lrpid ...: who sent and received last */
static bool is_filled(const char *line, int pid)
{
	unsigned long n;
	int sender, receiver;

	return sscanf(line, "%*d %*d %*o %*u %lu %d %d", &n, &sender, &receiver) == 3 && n &&
	       (sender == pid || receiver == pid);
}

/* key shmid perms size cpid lpid nattch ...: who made it, and attached or left it last */
static bool is_detached(const char *line, int pid)
{
	unsigned long n;
	int maker, last;

	return sscanf(line, "%*d %*d %*o %*u %d %d %lu", &maker, &last, &n) == 3 && !n &&
	       (maker == pid || last == pid);
}

static bool any_line(const char *path, bool (*is)(const char *line, int pid), int pid)
{
	size_t len;
	char *text = process_text(AT_FDCWD, path, &len), *rest = text, *line;
	bool any = false;

	while (!any && rest && (line = strsep(&rest, "\n")))
		any = is(line, pid);
	free(text);
	return any;
}

void process_sent_system_v(struct process_kept *k, int pid, int dir)
{
	if (!is_in_our_ipc(dir))
		return;
	if (any_line("/proc/sysvipc/msg", is_filled, pid))
		k->hides = "messages in a System V queue";
	if (any_line("/proc/sysvipc/shm", is_detached, pid))
		k->hides = "System V memory that is not attached";
}

/* ---- signals -----------------------------------------------------------------------------------
 */

static bool read_signals(struct process_kept *k, int tid, unsigned flags)
{
	siginfo_t info[16];
	struct __ptrace_peeksiginfo_args args = { .flags = flags, .nr = 16 };
	bool ok = true;
	long n;

	do {
		n = ptrace(PTRACE_PEEKSIGINFO, tid, &args, info);
		for (long i = 0; ok && i < n; i++)
			ok = process_kept_bytes(k, (const uint8_t *)&info[i], sizeof info[i]);
		args.off += n > 0 ? (uint64_t)n : 0;
	} while (ok && n > 0 && args.off < MOST_SIGNALS);
	if (n > 0 || (n < 0 && errno != ESRCH))
		k->hides = "signals that cannot be looked at";
	return ok;
}

bool process_sent_signals(struct process_kept *k, const int *tids, size_t n)
{
	bool ok = true;

	for (size_t i = 0; ok && i < n; i++)
		ok = read_signals(k, tids[i], 0);
	return ok && n ? read_signals(k, tids[0], PTRACE_PEEKSIGINFO_SHARED) : ok;
}
