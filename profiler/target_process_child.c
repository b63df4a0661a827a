/* SPDX-License-Identifier: MIT */
/*
 * target_process_child.c - the child that a process is made to have, and how it goes; see
 * target_process_keeper.h.
 */
#include "target_process_keeper.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define REAP_NS	 2000000000ll
#define NO_STACK 16 /* where the child's stack is said to be: it must never run */

/* ---- may there be one? -------------------------------------------------------------------------
 */

unsigned long long keeper_resident_bytes(const struct keeper *k)
{
	unsigned long long kb = 0;

	process_status(k->dir, "status", "VmRSS", 10, &kb);
	return kb << 10;
}

/*
 * Pages that are written while the child lives are paid for by the target's memory cgroup. An
 * eighth of what is resident must fit.
 */
static bool cgroup_has_room(const struct keeper *k)
{
	return process_memory_room(k->dir) > keeper_resident_bytes(k) / 8;
}

/* A filter may kill it for a system call that it never makes. */
bool keeper_may_inject(const struct keeper *k)
{
	unsigned long long seccomp = 1;

	return stop_instruction_size && process_status(k->dir, "status", "Seccomp", 10, &seccomp) &&
	       !seccomp;
}

bool keeper_may_fork(const struct keeper *k)
{
	return keeper_may_inject(k) && cgroup_has_room(k);
}

/* ---- making it ---------------------------------------------------------------------------------
 */

/* A system call instruction in the target: the vdso has one. */
uint64_t keeper_find_instruction(const struct keeper *k)
{
	enum { WINDOW = 16384 };
	static uint8_t code[WINDOW];

	for (size_t i = 0; i < k->live.n; i++) {
		const struct target_map *m = &k->live.v[i];
		struct target_read r = { .address = m->lo, .to = code };
		uint8_t *found;

		if (!m->executable || !m->path || strcmp(m->path, TARGET_VDSO) != 0)
			continue;
		r.len = m->hi - m->lo < WINDOW ? m->hi - m->lo : WINDOW;
		goro_error_free(
			process_read_pid((struct target *)&k->p->target, k->p->target.pid, &r, 1));
		found = r.ok ? memmem(code, r.len, stop_instruction, stop_instruction_size) : NULL;
		if (found)
			return m->lo + (uint64_t)(found - code);
	}
	return 0;
}

bool keeper_make_child(struct keeper *k)
{
	const uint64_t args[6] = { CLONE_FILES | CLONE_FS, NO_STACK };
	uint64_t text = keeper_find_instruction(k);
	int child = 0;

	for (size_t i = 0; text && i < k->stop.n && i < 4; i++) {
		long there = stop_inject(k->stop.tids[i], text, stop_nr_clone, args, &child);

		if (child) {
			k->sh->child = child;
			k->sh->child_there = there;
			return true;
		}
		if (there == -EAGAIN || there == -ENOMEM || there == -EPERM)
			break;
	}
	return false;
}

/* Should memory run out, this is the one to go, not the target. */
void keeper_offer_to_oom_killer(int pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof path, "/proc/%d/oom_score_adj", pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	/* If that fails it is as likely as the target. */
	(void)!write(fd, "1000", 4);
	close(fd);
}

/* ---- what it leaves behind ---------------------------------------------------------------------
 */

/* Have some thread of the target wait for the child. -EPERM: somebody else traces them all now. */
static int try_reap(struct keeper *k, uint64_t text)
{
	const uint64_t args[6] = { (uint64_t)k->sh->child_there, 0, __WALL | WNOHANG, 0 };
	int result = -ESRCH;
	struct dirent *e;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%d/task", k->p->target.pid);
	dir = opendir(path);
	while (result && dir && (e = readdir(dir))) {
		struct stop one;
		long got;

		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		result = stop_one(&one, k->p->target.pid, atoi(e->d_name), REAP_NS);
		if (result)
			continue;
		got = stop_inject(one.tids[0], text, stop_nr_wait4, args, NULL);
		stop_end(&one);
		result = got == k->sh->child_there || got == -ECHILD ? 0 : -ESRCH;
	}
	if (dir)
		closedir(dir);
	return result;
}

/* The target is the child's parent: it must wait for it, or a zombie stays. */
static void reap(struct keeper *k)
{
	uint64_t text = keeper_find_instruction(k);

	for (int i = 0; text && i < PATIENCE && try_reap(k, text) == -EPERM; i++)
		usleep(PATIENCE_US);
}

void keeper_end_child(struct keeper *k)
{
	int status;

	if (!k->sh->child)
		return;
	kill(k->sh->child, SIGKILL);
	while (waitpid(k->sh->child, &status, __WALL) == k->sh->child && WIFSTOPPED(status))
		;
	reap(k);
}
