/* SPDX-License-Identifier: MIT */
/*
 * os_linux_peers.c - the system calls for other processes: the gate of `goro check', who may ask
 * for something (see reclaim.c), and programs to start.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime.h"

/* ---- the gate ----------------------------------------------------------------------------------
 */

static int gate_connect(const char *path, bool abstract)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	size_t n = strlen(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	memcpy(sa.sun_path + abstract, path, n);
	if (connect(fd, (struct sockaddr *)&sa,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1))) {
		int err = errno;

		close(fd);
		return -err;
	}
	return fd;
}

/* Who has another user or another root by now does not come to the path; to the name, which is
 * that path, he does. */
int os_gate_connect(const char *path)
{
	int fd = gate_connect(path, false);

	return fd == -EACCES || fd == -ENOENT ? gate_connect(path, true) : fd;
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
