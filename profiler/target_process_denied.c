/* SPDX-License-Identifier: MIT */
/*
 * target_process_denied.c - why a process cannot be looked into: it has ended, it is becoming
 * another program, or the kernel's rules forbid it; then what would help.
 */
#include "target_process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CAP_PTRACE 19 /* CAP_SYS_PTRACE */

struct goro_error *process_gone(const struct process *p)
{
	return goro_error_new(GORO_NO_TARGET, "process %d has ended", p->target.pid);
}

/*
 * A zombie with threads left has not ended: its first thread has, or another one is calling
 * execve(), which takes over the process id in the end.
 */
static bool seems_ended(const struct process *p)
{
	size_t len;
	char *text = process_text(p->dir, "stat", &len);
	bool ours = !text && (errno == EMFILE || errno == ENFILE || errno == ENOMEM);
	const char *state = text ? process_stat(text, 3) : NULL;
	const char *threads = text ? process_stat(text, 20) : NULL;
	bool is = (!state && !ours) || (state && *state == 'X') ||
		  (state && *state == 'Z' && (!threads || strtol(threads, NULL, 10) <= 1));

	free(text);
	return is;
}

/*
 * The kernel finds the thread first and prints its state later. In between execve() may have let
 * another thread take over the id, and what is printed is the first thread's end. A second look
 * finds the new one.
 */
bool process_ended(const struct process *p)
{
	return seems_ended(p) && seems_ended(p);
}

bool process_has_memory(const struct process *p)
{
	size_t len;
	char *text = process_text(p->dir, "statm", &len);
	bool has = text && strtoull(text, NULL, 10) > 0;

	free(text);
	return has;
}

static bool first_thread_ended(const struct process *p)
{
	size_t len;
	char *text = process_text(p->dir, "stat", &len);
	const char *state = text ? process_stat(text, 3) : NULL;
	bool has = state && *state == 'Z';

	free(text);
	return has;
}

/*
 * It had no memory a moment ago: it is ending, which takes a big one seconds, or a thread of it is
 * becoming another program, which takes the memory's place at once. Its first thread may also have
 * ended alone, by pthread_exit(), and it is the one by which the kernel shows the memory.
 */
static struct goro_error *ending(const struct process *p)
{
	enum { STEP_US = 2000, PATIENCE = 10 * 1000000 / STEP_US, ALONE = 1000000 / STEP_US };
	int alone = 0;

	for (int i = 0; i < PATIENCE && alone < ALONE; i++) {
		if (process_ended(p))
			return process_gone(p);
		if (process_has_memory(p))
			return goro_error_new(GORO_UNSUPPORTED,
					      "process %d has become another program",
					      p->target.pid);
		alone = first_thread_ended(p) ? alone + 1 : 0;
		usleep(STEP_US);
	}
	if (alone)
		return goro_error_new(GORO_UNSUPPORTED,
				      "the first thread of process %d has ended, and the kernel "
				      "shows its memory no more",
				      p->target.pid);
	return goro_error_new(GORO_NO_TARGET, "process %d is ending", p->target.pid);
}

static bool same_namespace(int dir, const char *name)
{
	char path[32], ours[64], theirs[64];
	int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t n, m;

	snprintf(path, sizeof path, "ns/%s", name);
	n = readlinkat(self, path, ours, sizeof ours);
	m = readlinkat(dir, path, theirs, sizeof theirs);
	if (self >= 0)
		close(self);
	/* Not allowed to know is no difference. */
	return n < 0 || m < 0 || (n == m && memcmp(ours, theirs, (size_t)n) == 0);
}

/* All that keeps us out, one line each, with what would help. */
static struct goro_error *denied(const struct process *p)
{
	struct goro_error *err =
		goro_error_new(GORO_PERMISSION, "no permission to look into process %d (%s)",
			       p->target.pid, p->target.name ? p->target.name : "?");
	unsigned long long uid = 0, caps = 0, seccomp = 0, scope = 0;
	unsigned me = geteuid();
	bool know_uid = process_status(p->dir, "status", "Uid", 10, &uid);
	int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char hint[1024];
	size_t len = 0, n;
	char *text = process_text(AT_FDCWD, "/proc/sys/kernel/yama/ptrace_scope", &n);

	if (text)
		scope = strtoull(text, NULL, 10);
	free(text);
	process_status(self, "status", "CapEff", 16, &caps);
	process_status(self, "status", "Seccomp", 10, &seccomp);
	if (self >= 0)
		close(self);

#define ADD(...) \
	(len +=  \
	 (size_t)snprintf(hint + len, len < sizeof hint ? sizeof hint - len : 0, __VA_ARGS__))
	bool capable = caps >> CAP_PTRACE & 1;

	if (know_uid && uid != me && !capable)
		ADD("uid: it belongs to user %llu and you are %u: run this as that user, or with "
		    "sudo\n",
		    uid, me);
	if (know_uid && uid == me && !capable && scope == 0)
		ADD("dumpable: it changed its user or gained privileges, or forbade it with "
		    "prctl(PR_SET_DUMPABLE): use sudo\n");
	if (scope == 1 && !capable)
		ADD("ptrace_scope: kernel.yama.ptrace_scope is 1, so only its ancestors may look: "
		    "use sudo, or sysctl kernel.yama.ptrace_scope=0\n");
	if (scope == 2 && !capable)
		ADD("ptrace_scope: kernel.yama.ptrace_scope is 2, so only administrators may look: "
		    "use sudo\n");
	if (scope == 3)
		ADD("ptrace_scope: kernel.yama.ptrace_scope is 3, which forbids it to everybody "
		    "until the next boot\n");
	if (!capable)
		ADD("capability: you lack CAP_SYS_PTRACE: sudo, setcap cap_sys_ptrace+ep on this "
		    "program, or --cap-add=SYS_PTRACE for your container\n");
	if (!same_namespace(p->dir, "user") || !same_namespace(p->dir, "pid"))
		ADD("container: it runs in another namespace: run this on the host as root, or "
		    "inside the same container\n");
	if (seccomp)
		ADD("seccomp: a filter of your container may forbid ptrace and process_vm_readv: "
		    "start it with --cap-add=SYS_PTRACE, or --security-opt "
		    "seccomp=unconfined\n");
	if (len == 0)
		ADD("a security module (SELinux, AppArmor) may forbid it: see the kernel log\n");
#undef ADD
	if (len >= sizeof hint)
		len = sizeof hint - 1;
	hint[len - 1] = '\0';
	return goro_error_hint(err, "%s", hint);
}

struct goro_error *process_explain(const struct process *p, int error, const char *what)
{
	if (process_ended(p))
		return process_gone(p);
	if (error == ESRCH || error == ENOENT)
		return ending(p);
	if (error == EPERM || error == EACCES)
		return denied(p);
	return goro_error_new(GORO_PERMISSION, "cannot read %s of process %d: %s", what,
			      p->target.pid, strerror(error));
}
