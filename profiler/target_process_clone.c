/* SPDX-License-Identifier: MIT */
/*
 * target_process_clone.c - one consistent view of a live process, for a pause of milliseconds.
 *
 * The first choice is to copy it while it runs (target_process_track.c). Where that is not possible
 * all threads are stopped, their registers read, and one of them is made to clone() the process.
 * The child shares every page until somebody writes to it, never runs an instruction, and is what
 * we read afterwards, at leisure, while the target runs on. What a child does not have (shared
 * mappings, MADV_DONTFORK) or has without its content (MADV_WIPEONFORK) is copied during the stop.
 * Where no child may be made (seccomp, limits, a machine whose registers we do not know) all is
 * copied during the stop, within bounds.
 *
 * The work is done by a keeper, a process of its own: should we be killed at any instant, it sees
 * the end of a socket, lets the target go, kills the child and has the target wait for it, so that
 * not even a zombie stays. Should the keeper be killed too, the kernel still lets the target's
 * threads go and kills the child (PTRACE_O_EXITKILL). The child's exit signal is 0: the target's
 * SIGCHLD handler and its wait() do not see it. It shares the table of descriptors, so that it
 * holds nothing open.
 *
 * Rejected: to read while the program runs (an adversary makes every second proof wrong); to copy
 * all of it during the stop as the rule (half a second for a gigabyte); to trace from the thread
 * that analyses (nobody cleans up when it dies).
 */
#include "target_process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "target_absent.h"

#define ROOM_FIXED   (512ull << 20) /* for registers, maps and the list of copies */
#define MAX_THREADS  4096
#define MAX_VECTOR   16384u	/* bytes of a thread's vector state */
#define FORK_NS_GB   25000000ll /* what a fork takes for each GiB that is resident, generously */
#define COPY_NS_GB   700000000ll
#define COPY_NS_MB   (COPY_NS_GB >> 10)
#define MOST_CHANGES (16ull << 20) /* to copy while it stands; with more a fork is faster */
#define REAP_NS	     2000000000ll
#define PATIENCE     2000 /* times to try while another keeper is at work there */
#define PATIENCE_US  1000
#define NO_STACK     16 /* where the child's stack is said to be: it must never run */

/* A piece of memory that was copied during the stop. */
struct copy {
	uint64_t lo, hi;
	uint64_t at; /* in the shared memory */
};

/* What the keeper tells us. It lies at the start of the shared memory. */
struct shared {
	size_t size, used;
	int error; /* errno, or -1: see message */
	char message[256];
	bool tracked;	  /* copied by target_process_track.c */
	int child;	  /* 0: none, all is copied */
	long child_there; /* its id where the target lives */
	int64_t pause_ns;
	size_t nthreads;
	uint64_t threads; /* struct target_thread[nthreads]; vector is an offset */
	uint64_t maps, maps_len;
	uint64_t copies, ncopies; /* sorted */
};

struct keeper {
	struct shared *sh;
	const struct target_freeze *how;
	const struct process *p;
	struct stop stop;
	int dir, pagemap;
	struct target_maps live;
	struct process_track *track; /* or NULL */
	struct process_wiped wiped;  /* just before the stop */
	struct copy *copies;
	size_t ncopies, copies_cap;
	uint64_t copied;
};

/* ---- the keeper: shared memory --------------------------------------------------------------- */

/* An offset, or 0: no room. */
static uint64_t reserve(struct shared *sh, size_t size)
{
	uint64_t at = (sh->used + 63) & ~63ull;

	if (size > sh->size || at > sh->size - size)
		return 0;
	sh->used = at + size;
	return at;
}

static void *at(struct shared *sh, uint64_t offset)
{
	return (char *)sh + offset;
}

__attribute__((format(printf, 2, 3))) static bool refuse(struct keeper *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(k->sh->message, sizeof k->sh->message, fmt, ap);
	va_end(ap);
	k->sh->error = -1;
	return false;
}

/* ---- the keeper: copying while it stands ------------------------------------------------------
 */

static bool copy_range(struct keeper *k, uint64_t lo, uint64_t hi)
{
	struct target_read r = { .address = lo, .len = hi - lo };
	uint64_t offset;

	k->copied += hi - lo;
	if (k->copied > k->how->max_copy)
		return refuse(k, "more than %llu MiB would have to be copied",
			      (unsigned long long)(k->how->max_copy >> 20));
	offset = reserve(k->sh, hi - lo);
	if (!offset)
		return refuse(k, "no memory for the copy");
	r.to = at(k->sh, offset);
	goro_error_free(process_read_pid((struct target *)&k->p->target, k->p->target.pid, &r, 1));
	if (!r.ok) {
		/* One page of it cannot be read by its owner either: take the others. */
		uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

		for (uint64_t a = lo; hi - lo > page && a < hi; a += page)
			if (!copy_range(k, a, a + page))
				return false;
		return true;
	}
	if (k->ncopies == k->copies_cap) {
		size_t cap = k->copies_cap ? k->copies_cap * 2 : 256;
		struct copy *bigger = realloc(k->copies, cap * sizeof *bigger);

		if (!bigger)
			return refuse(k, "out of memory");
		k->copies = bigger;
		k->copies_cap = cap;
	}
	k->copies[k->ncopies++] = (struct copy){ lo, hi, offset };
	return true;
}

/* The pages of a map that are its own, in runs. */
static bool copy_own(struct keeper *k, const struct target_map *m)
{
	enum { PAGES = 4096 };
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), run = 0;
	uint8_t own[PAGES];

	for (uint64_t lo = m->lo, hi; lo < m->hi; lo = hi) {
		hi = m->hi - lo > PAGES * page ? lo + PAGES * page : m->hi;
		if (!process_own_pages(k->dir, &k->pagemap, lo, hi, own))
			return refuse(k, "its page map cannot be read");
		for (uint64_t a = lo; a < hi; a += page) {
			bool is = own[(a - lo) / page];

			if (is && !run)
				run = a;
			if (!is && run) {
				if (!copy_range(k, run, a))
					return false;
				run = 0;
			}
		}
	}
	return !run || copy_range(k, run, m->hi);
}

/*
 * Is what lies in a shared map the program's memory? Not if it is a file on a device, opened for
 * reading only: what is in there came by another way than through memory.
 */
static bool is_memory(const struct keeper *k, const struct target_map *m)
{
	char name[64];
	struct stat st;

	if (m->writable || m->dev >> 32 == 0)
		return true;
	snprintf(name, sizeof name, "map_files/%llx-%llx", (unsigned long long)m->lo,
		 (unsigned long long)m->hi);
	/* The link has the permissions with which the file was opened. */
	return fstatat(k->dir, name, &st, AT_SYMLINK_NOFOLLOW) || st.st_mode & S_IWUSR;
}

/*
 * What a child would see change, or not at all, and what does not look like the program's own: see
 * process_own_pages(). Maps without permission to read are not asked for: nobody can follow a
 * pointer in there.
 */
static bool copy_shared(struct keeper *k)
{
	for (size_t i = 0; i < k->live.n; i++) {
		const struct target_map *m = &k->live.v[i];
		uint64_t word;
		struct target_read first = { .address = m->lo, .to = &word, .len = sizeof word };

		if (!m->shared || !m->readable || !is_memory(k, m))
			continue;
		/* A device's memory: nobody can read it from outside. */
		goro_error_free(process_read_pid((struct target *)&k->p->target, k->p->target.pid,
						 &first, 1));
		if (first.ok && !copy_range(k, m->lo, m->hi))
			return false;
	}
	return true;
}

static bool copy_all(struct keeper *k)
{
	for (size_t i = 0; i < k->live.n; i++) {
		const struct target_map *m = &k->live.v[i];

		if (!m->shared && m->readable && !copy_own(k, m))
			return false;
	}
	return true;
}

/* ---- the keeper: may there be a child? --------------------------------------------------------
 */

static unsigned long long resident_bytes(const struct keeper *k)
{
	unsigned long long kb = 0;

	process_status(k->dir, "status", "VmRSS", 10, &kb);
	return kb << 10;
}

static bool read_number(const char *directory, const char *name, unsigned long long *ret)
{
	char path[512], text[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
	if (fd >= 0)
		close(fd);
	if (n <= 0 || !isdigit((unsigned char)text[0]))
		return false;
	text[n] = '\0';
	*ret = strtoull(text, NULL, 10);
	return true;
}

/*
 * Pages that are written while the child lives are paid for by the target's memory cgroup. An
 * eighth of what is resident must fit.
 */
static bool cgroup_has_room(const struct keeper *k)
{
	unsigned long long max, current;
	char directory[300];
	size_t len;
	char *text = process_text(k->dir, "cgroup", &len), *unified, *end;
	bool room = true;

	unified = text ? strstr(text, "0::/") : NULL;
	end = unified ? strchr(unified, '\n') : NULL;
	if (end && (unified == text || unified[-1] == '\n')) {
		*end = '\0';
		snprintf(directory, sizeof directory, "/sys/fs/cgroup%s", unified + 3);
		if (read_number(directory, "memory.max", &max) &&
		    read_number(directory, "memory.current", &current))
			room = current < max && max - current > resident_bytes(k) / 8;
	}
	free(text);
	return room;
}

/* A filter may kill it for a system call that it never makes. */
static bool may_inject(const struct keeper *k)
{
	unsigned long long seccomp = 1;

	return stop_instruction_size && process_status(k->dir, "status", "Seccomp", 10, &seccomp) &&
	       !seccomp;
}

static bool child_allowed(const struct keeper *k)
{
	return may_inject(k) && cgroup_has_room(k);
}

/* A system call instruction in the target: the vdso has one. */
static uint64_t find_instruction(const struct keeper *k)
{
	enum { WINDOW = 16384 };
	static uint8_t code[WINDOW];

	for (size_t i = 0; i < k->live.n; i++) {
		const struct target_map *m = &k->live.v[i];
		struct target_read r = { .address = m->lo, .to = code };
		uint8_t *found;

		if (!m->executable || !m->path || strcmp(m->path, "[vdso]") != 0)
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

static bool make_child(struct keeper *k)
{
	const uint64_t args[6] = { CLONE_FILES | CLONE_FS, NO_STACK };
	uint64_t text = find_instruction(k);
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
static void offer_to_oom_killer(int pid)
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

/* ---- the keeper: the stop ---------------------------------------------------------------------
 */

static bool read_threads(struct keeper *k)
{
	static uint8_t vector[MAX_VECTOR];
	struct shared *sh = k->sh;
	struct target_thread *threads;

	if (k->stop.n > MAX_THREADS)
		return refuse(k, "it has more than %d threads", MAX_THREADS);
	sh->threads = reserve(sh, k->stop.n * sizeof *threads);
	if (!sh->threads)
		return refuse(k, "no memory for its registers");
	threads = at(sh, sh->threads);
	for (size_t i = 0; i < k->stop.n; i++) {
		size_t size = sizeof vector;
		int err = stop_registers(k->stop.tids[i], &threads[i], vector, &size);
		uint64_t offset = err ? 0 : reserve(sh, size);

		if (err == -ESRCH) {
			sh->error = ESRCH;
			return false;
		}
		if (!offset)
			return refuse(k, "the registers of thread %d cannot be read",
				      k->stop.tids[i]);
		memcpy(at(sh, offset), vector, size);
		threads[i].vector = (const uint8_t *)(uintptr_t)offset;
		threads[i].vector_size = size;
	}
	sh->nthreads = k->stop.n;
	return true;
}

static bool read_maps(struct keeper *k)
{
	size_t len;
	char *text = process_text(k->dir, "maps", &len);
	struct goro_error *err;

	if (!text) {
		k->sh->error = errno;
		return false;
	}
	k->sh->maps = reserve(k->sh, len + 1);
	if (!k->sh->maps) {
		free(text);
		return refuse(k, "no memory for its memory map");
	}
	memcpy(at(k->sh, k->sh->maps), text, len + 1);
	k->sh->maps_len = len;
	target_maps_free(&k->live);
	err = process_parse_maps(text, len, &k->live);
	goro_error_free(err);
	return err ? refuse(k, "out of memory") : true;
}

static bool is_wiped(const struct keeper *k, const struct target_map *m)
{
	for (size_t i = 0; i < k->wiped.n; i++)
		if (k->wiped.v[i].lo < m->hi && m->lo < k->wiped.v[i].hi)
			return true;
	return false;
}

/*
 * A private map that the child does not have was kept from it: MADV_DONTFORK. Others it has, but
 * empty: MADV_WIPEONFORK.
 */
static bool copy_what_child_lacks(struct keeper *k)
{
	struct target_maps theirs = { 0 };
	char path[64];
	size_t len;
	char *text;
	bool ok = true;

	snprintf(path, sizeof path, "/proc/%d/maps", k->sh->child);
	text = process_text(AT_FDCWD, path, &len);
	if (!text || process_parse_maps(text, len, &theirs))
		return refuse(k, "the copy's memory map cannot be read");
	for (size_t i = 0; ok && i < k->live.n; i++) {
		const struct target_map *m = &k->live.v[i];

		if (!m->shared && m->readable &&
		    (!target_maps_find(&theirs, m->lo) || is_wiped(k, m)))
			ok = copy_own(k, m);
	}
	target_maps_free(&theirs);
	return ok;
}

/* The target runs again. Is there any map that was wiped for the child, and not known to be? */
static bool check_wiped(struct keeper *k)
{
	struct process_wiped theirs;
	char path[64];
	bool ok = true;

	snprintf(path, sizeof path, "/proc/%d/smaps", k->sh->child);
	if (!process_wiped_read(AT_FDCWD, path, &theirs))
		return refuse(k, "the copy's memory map cannot be read");
	for (size_t i = 0; i < theirs.n; i++)
		ok &= process_wiped_has(&k->wiped, theirs.v[i].lo, theirs.v[i].hi);
	process_wiped_free(&theirs);
	return ok || refuse(k, "it kept memory from children while it was stopped");
}

static bool too_long(struct keeper *k, int64_t ns_per_gb, const char *what)
{
	unsigned long long rss = resident_bytes(k);
	int64_t ns = (int64_t)((double)rss / (1u << 30) * (double)ns_per_gb);

	if (ns <= (int64_t)k->how->max_pause_ns)
		return false;
	refuse(k, "%s its %llu MiB could pause it for some %lld ms, more than --max-pause", what,
	       rss >> 20, (long long)(ns / 1000000) + 1);
	return true;
}

static bool look(struct keeper *k)
{
	bool child = child_allowed(k);

	if (!child && too_long(k, COPY_NS_GB, "copying"))
		return false;
	if (child && too_long(k, FORK_NS_GB, "forking"))
		return false;
	if (!read_maps(k) || !read_threads(k) || !copy_shared(k))
		return false;
	if (child && make_child(k))
		return copy_what_child_lacks(k);
	if (child && too_long(k, COPY_NS_GB, "no child can be made, and copying"))
		return false;
	return copy_all(k);
}

/* ---- the keeper: what it leaves behind ---------------------------------------------------------
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
	uint64_t text = find_instruction(k);

	for (int i = 0; text && i < PATIENCE && try_reap(k, text) == -EPERM; i++)
		usleep(PATIENCE_US);
}

static void end_child(struct keeper *k)
{
	int status;

	if (!k->sh->child)
		return;
	kill(k->sh->child, SIGKILL);
	while (waitpid(k->sh->child, &status, __WALL) == k->sh->child && WIFSTOPPED(status))
		;
	reap(k);
}

/*
 * No signals, and no terminal, group or name that somebody who kills us would hit. Nothing that we
 * have open stays open for its sake: a pipe behind us must see the end of us.
 */
static void keep_apart(int *socket, int *dir)
{
	int s = fcntl(*socket, F_DUPFD, 16), d = fcntl(*dir, F_DUPFD, 16);
	int null = fcntl(open("/dev/null", O_RDWR), F_DUPFD, 16);
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
	prctl(PR_SET_NAME, "snapshot-keeper");
	for (int fd = 0; fd <= 2; fd++)
		dup2(null, fd);
	*socket = dup2(s, 3);
	*dir = dup2(d, 4);
	close_range(5, ~0u, 0);
}

static int by_lo(const void *a, const void *b)
{
	const struct copy *x = a, *y = b;

	return (x->lo > y->lo) - (x->lo < y->lo);
}

static void publish_copies(struct keeper *k)
{
	struct shared *sh = k->sh;

	if (k->ncopies)
		qsort(k->copies, k->ncopies, sizeof *k->copies, by_lo);
	sh->copies = reserve(sh, (k->ncopies + 1) * sizeof *k->copies);
	if (!sh->copies) {
		refuse(k, "no memory for the copy");
		return;
	}
	if (k->ncopies)
		memcpy(at(sh, sh->copies), k->copies, k->ncopies * sizeof *k->copies);
	sh->ncopies = k->ncopies;
}

static bool stop_them(struct keeper *k)
{
	int err = 0;

	for (int i = 0; i < PATIENCE / 10; i++) {
		err = stop_all(&k->stop, k->p->target.pid, (int64_t)k->how->max_pause_ns);
		/* On a busy machine a thread may wait long for a core to stop on. */
		if (err != -EPERM && (err != -ETIME || i >= 3))
			break;
		usleep(PATIENCE_US);
	}
	if (err == -ETIME)
		return refuse(k, "its threads did not all stop within --max-pause");
	k->sh->error = -err;
	return !err;
}

static void let_go(struct keeper *k)
{
	int64_t ns = stop_end(&k->stop);

	k->sh->pause_ns = ns > k->sh->pause_ns ? ns : k->sh->pause_ns;
}

/* Make what was copied while it ran right. False: not so. */
static bool look_at_changes(struct keeper *k)
{
	uint64_t budget = k->how->max_pause_ns / COPY_NS_MB << 20;

	budget = budget < MOST_CHANGES ? budget : MOST_CHANGES;
	if (!read_maps(k) || !read_threads(k) || !copy_shared(k))
		return false;
	for (size_t i = 0; i < k->live.n; i++) {
		const struct target_map *m = &k->live.v[i];

		switch (process_track_map(k->track, m, &budget)) {
		case TRACKED_ALL:
			break;
		case TRACKED_NOT:
			if (!m->shared && m->readable && !copy_own(k, m))
				return false;
			break;
		default:
			return false;
		}
	}
	return true;
}

/* The first choice: hardly anything is left to do while it stands. */
static bool track(struct keeper *k)
{
	const uint64_t most = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	const uint64_t used = k->sh->used;

	if (k->track && may_inject(k) && resident_bytes(k) < most / 2 && read_maps(k) &&
	    !process_written_unseen(k->dir, &k->live) &&
	    process_track_begin(k->track, (struct target *)&k->p->target, k->dir,
				find_instruction(k), (int64_t)k->how->max_pause_ns) &&
	    stop_them(k)) {
		k->sh->tracked = look_at_changes(k);
		let_go(k);
	}
	if (k->track)
		process_track_end(k->track);
	if (!k->sh->tracked) {
		k->sh->used = used;
		k->sh->error = 0;
		k->copied = k->ncopies = 0;
	}
	return k->sh->tracked;
}

/* Stop them all, look, let them go on. */
static void stop_and_look(struct keeper *k)
{
	if (track(k))
		return;
	if (!process_wiped_read(k->dir, "smaps", &k->wiped)) {
		k->sh->error = errno;
		return;
	}
	if (!stop_them(k))
		return;
	look(k);
	let_go(k);
	if (!k->sh->error && k->sh->child)
		check_wiped(k);
}

__attribute__((noreturn)) static void keeper_main(struct keeper *k, int socket)
{
	char byte = 0;

	k->dir = k->p->dir;
	k->pagemap = -1;
	keep_apart(&socket, &k->dir);
	stop_and_look(k);
	if (k->sh->child)
		offer_to_oom_killer(k->sh->child);
	if (!k->sh->error)
		publish_copies(k);
	if (k->sh->error)
		end_child(k);
	if (write(socket, &byte, 1) == 1 && !k->sh->error) {
		while (read(socket, &byte, 1) < 0 && errno == EINTR)
			;
		end_child(k);
	} else if (!k->sh->error) {
		end_child(k);
	}
	_exit(0);
}

/* ---- our side ---------------------------------------------------------------------------------
 */

struct frozen {
	struct target target;
	struct process *live;
	struct shared *sh;
	struct process_track *track;
	size_t size;
	int socket;
	pid_t keeper;
	int dir, pagemap; /* of the child */
	struct target_thread *threads;
};

/* Put what was copied during the stop over what was read. */
static void overlay(const struct frozen *f, struct target_read *r)
{
	const struct copy *v = at(f->sh, f->sh->copies);
	uint64_t hi = r->address + r->len, covered = 0;
	size_t lo = 0, n = f->sh->ncopies;

	while (lo < n) {
		size_t mid = (lo + n) / 2;

		if (v[mid].hi <= r->address)
			lo = mid + 1;
		else
			n = mid;
	}
	for (; lo < f->sh->ncopies && v[lo].lo < hi; lo++) {
		uint64_t from = v[lo].lo > r->address ? v[lo].lo : r->address;
		uint64_t to = v[lo].hi < hi ? v[lo].hi : hi;

		memcpy((char *)r->to + (from - r->address),
		       (char *)at(f->sh, v[lo].at) + (from - v[lo].lo), to - from);
		covered += to - from;
	}
	if (covered == r->len)
		r->ok = true;
}

/* What is not in the copy is what does not change: a file's, or nothing. */
static struct goro_error *read_tracked(struct frozen *f, struct target_read *v, size_t n)
{
	struct goro_error *err;
	bool all = true;

	for (size_t i = 0; i < n; i++)
		all &= v[i].ok = process_track_fill(f->track, &v[i]);
	if (all)
		return NULL;
	err = process_read_pid(&f->live->target, f->target.pid, v, n);
	for (size_t i = 0; !err && i < n; i++) {
		overlay(f, &v[i]);
		v[i].ok |= process_track_fill(f->track, &v[i]);
	}
	return err;
}

/*
 * Without a child: pages that were not copied are a file's, and do not change. But those of a stack
 * that was cold are back now, perhaps, with what was written since.
 */
static struct goro_error *read_copied(struct target *t, struct target_read *v, size_t n)
{
	struct frozen *f = (struct frozen *)t;

	if (!t->absent.n)
		return process_read_pid(&f->live->target, t->pid, v, n);
	for (size_t i = 0; i < n; i++) {
		struct goro_error *err;

		if (target_absent_touches(t, v[i].address, v[i].address + v[i].len)) {
			memset(v[i].to, 0, v[i].len);
			v[i].ok = true;
			continue;
		}
		err = process_read_pid(&f->live->target, t->pid, &v[i], 1);
		if (err)
			return err;
	}
	return NULL;
}

static struct goro_error *read_still(struct target *t, struct target_read *v, size_t n)
{
	struct frozen *f = (struct frozen *)t;
	struct goro_error *err;

	if (f->sh->tracked)
		return read_tracked(f, v, n);
	err = f->sh->child ? process_read_pid(&f->live->target, f->sh->child, v, n)
			   : read_copied(t, v, n);
	if (err && f->sh->child) {
		goro_error_free(err);
		return goro_error_new(GORO_PARTIAL, "the copy of process %d was killed", t->pid);
	}
	for (size_t i = 0; !err && f->sh->ncopies && i < n; i++)
		overlay(f, &v[i]);
	return err;
}

static const struct target_absent_ops absent_ops = { .read = read_still };

static struct goro_error *frozen_read(struct target *t, struct target_read *v, size_t n)
{
	return target_absent_read(t, &absent_ops, v, n);
}

static struct goro_error *frozen_maps(struct target *t, struct target_maps *ret)
{
	struct frozen *f = (struct frozen *)t;
	char *text = malloc(f->sh->maps_len + 1);

	*ret = (struct target_maps){ 0 };
	if (!text)
		return &goro_enomem;
	memcpy(text, at(f->sh, f->sh->maps), f->sh->maps_len + 1);
	return process_parse_maps(text, f->sh->maps_len, ret);
}

static bool frozen_own_pages(struct target *t, uint64_t lo, uint64_t hi, uint8_t *own)
{
	struct frozen *f = (struct frozen *)t;
	const struct copy *v = at(f->sh, f->sh->copies);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (!f->sh->child)
		memset(own, 0, (hi - lo) / page);
	if (f->sh->tracked)
		process_track_own(f->track, lo, hi, own);
	else if (!f->sh->child)
		;
	else if (!process_own_pages(f->dir, &f->pagemap, lo, hi, own))
		return false;
	for (size_t i = 0; i < f->sh->ncopies; i++) {
		uint64_t from = v[i].lo > lo ? v[i].lo : lo, to = v[i].hi < hi ? v[i].hi : hi;

		if (from < to)
			memset(own + (from - lo) / page, 1, (to - from) / page);
	}
	target_absent_own(t, &absent_ops, lo, hi, own);
	return true;
}

static const uint8_t *frozen_direct(struct target *t, uint64_t lo, uint64_t hi)
{
	struct frozen *f = (struct frozen *)t;

	return f->sh->tracked ? process_track_at(f->track, lo, hi) : NULL;
}

static void frozen_resident(struct target *t, struct target_range *v, size_t n)
{
	struct frozen *f = (struct frozen *)t;

	f->live->target.ops->resident(&f->live->target, v, n);
}

static int frozen_open_file(struct target *t, const struct target_map *map)
{
	struct frozen *f = (struct frozen *)t;

	return f->live->target.ops->open_file(&f->live->target, map);
}

static struct goro_error *frozen_usage(struct target *t, struct target_usage *ret)
{
	(void)t;
	*ret = (struct target_usage){ 0 };
	return NULL;
}

static void frozen_close(struct target *t)
{
	struct frozen *f = (struct frozen *)t;

	if (f->socket >= 0)
		close(f->socket); /* the keeper cleans up */
	while (f->keeper > 0 && waitpid(f->keeper, NULL, 0) < 0 && errno == EINTR)
		;
	if (f->pagemap >= 0)
		close(f->pagemap);
	if (f->dir >= 0)
		close(f->dir);
	munmap(f->sh, f->size);
	process_track_free(f->track);
	free(f->threads);
	target_absent_free(t);
	free(t->name);
	free(f);
}

static const struct target_ops frozen_ops = {
	.maps = frozen_maps,
	.read = frozen_read,
	.open_file = frozen_open_file,
	.resident = frozen_resident,
	.own_pages = frozen_own_pages,
	.direct = frozen_direct,
	.usage = frozen_usage,
	.close = frozen_close,
};

static struct goro_error *start_keeper(struct frozen *f, const struct target_freeze *how)
{
	struct keeper k = { .sh = f->sh, .how = how, .p = f->live, .track = f->track };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return goro_error_new(GORO_PARTIAL, "no consistent view: %s", strerror(errno));
	f->keeper = fork();
	if (f->keeper == 0) {
		close(pair[0]);
		keeper_main(&k, pair[1]);
	}
	close(pair[1]);
	f->socket = pair[0];
	if (f->keeper < 0)
		return goro_error_new(GORO_PARTIAL, "no consistent view: cannot fork: %s",
				      strerror(errno));
	return NULL;
}

static struct goro_error *result(struct frozen *f)
{
	char byte;
	ssize_t n;

	do
		n = read(f->socket, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		return goro_error_new(GORO_PARTIAL,
				      "no consistent view of process %d: the keeper was killed",
				      f->target.pid);
	if (f->sh->error == -1)
		return goro_error_new(GORO_PARTIAL, "no consistent view of process %d: %.255s",
				      f->target.pid, f->sh->message);
	if (f->sh->error == EPERM)
		return goro_error_new(GORO_PARTIAL,
				      "no consistent view of process %d: it may not be stopped, or "
				      "a debugger holds it",
				      f->target.pid);
	if (f->sh->error)
		return process_explain(f->live, f->sh->error, "the threads");
	return NULL;
}

static struct goro_error *take_threads(struct frozen *f, struct target_frozen *ret)
{
	size_t n = f->sh->nthreads;
	char path[64];

	f->threads = calloc(n + 1, sizeof *f->threads);
	if (!f->threads)
		return &goro_enomem;
	memcpy(f->threads, at(f->sh, f->sh->threads), n * sizeof *f->threads);
	for (size_t i = 0; i < n; i++)
		f->threads[i].vector = at(f->sh, (uintptr_t)f->threads[i].vector);
	if (f->sh->child) {
		snprintf(path, sizeof path, "/proc/%d", f->sh->child);
		f->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	*ret = (struct target_frozen){
		.memory = &f->target,
		.threads = f->threads,
		.nthreads = n,
		.pause_ns = (uint64_t)f->sh->pause_ns,
		.copied = !f->sh->child && !f->sh->tracked,
	};
	return NULL;
}

static struct goro_error *make_room(struct frozen *f)
{
	struct target_maps maps;
	struct goro_error *err = f->live->target.ops->maps(&f->live->target, &maps);

	if (err)
		return err;
	f->track = process_track_room(&maps);
	target_maps_free(&maps);
	return NULL;
}

struct goro_error *process_freeze(struct target *t, const struct target_freeze *how,
				  struct target_frozen *ret)
{
	struct frozen *f = calloc(1, sizeof *f);
	struct goro_error *err;

	if (!f)
		return &goro_enomem;
	*f = (struct frozen){
		.target = { .ops = &frozen_ops,
			    .pid = t->pid,
			    .name = strdup(t->name ? t->name : "?") },
		.live = (struct process *)t,
		.size = ROOM_FIXED + how->max_copy,
		.socket = -1,
		.keeper = -1,
		.dir = -1,
		.pagemap = -1,
	};
	f->sh = mmap(NULL, f->size, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (f->sh == MAP_FAILED) {
		err = goro_error_new(GORO_PARTIAL,
				     "no consistent view of process %d: no room for a copy in our "
				     "own address space (see ulimit -v)",
				     t->pid);
		free(f->target.name);
		free(f);
		return err;
	}
	f->sh->size = f->size;
	f->sh->used = sizeof *f->sh;
	err = make_room(f);
	if (!err)
		err = start_keeper(f, how);
	if (!err)
		err = result(f);
	if (!err)
		err = take_threads(f, ret);
	if (err)
		frozen_close(&f->target);
	return err;
}
