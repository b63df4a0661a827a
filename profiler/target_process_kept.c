/* SPDX-License-Identifier: MIT */
/*
 * target_process_kept.c - pointers of a process that only the kernel has.
 *
 * A program may give a pointer away and get it back with an event: the data of an epoll instance,
 * the value of a timer, the bytes in a pipe from one thread to another. For so long it can be
 * nowhere in its memory. The kernel shows these to whoever may look into the process, and what an
 * eventfd counts, what is in sockets and on its way with signals (target_process_sent.c). What it
 * shows to nobody are the requests of io_uring and of aio, and memory of memfd_secret(): a process
 * that has such things could have its pointers there, and nothing is known of it.
 *
 * This must be read in the very moment in which the memory is: a pointer that is in neither now and
 * in one before, in the other later, would be missed. But to look at thousands of descriptors takes
 * longer than a process shall stand still. If there are so many, they are listed before and again
 * afterwards, and what appeared in between makes the view void.
 */
#include "target_process.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FEW	  1000	     /* descriptors that can be looked at while it stands */
#define MOST_PIPE (1u << 20) /* bytes in one */

static bool add_number(int **v, size_t *n, int number)
{
	int *bigger = *v;

	if (!(*n & (*n - 1)))
		bigger = realloc(*v, (*n ? *n * 2 : 1) * sizeof *bigger);
	if (!bigger)
		return false;
	*v = bigger;
	bigger[(*n)++] = number;
	return true;
}

static bool add_word(struct process_kept *k, uint64_t word)
{
	uint64_t *bigger = k->words;

	if (!(k->nwords & (k->nwords - 1)))
		bigger = realloc(k->words, (k->nwords ? k->nwords * 2 : 1) * sizeof *bigger);
	if (!bigger)
		return false;
	k->words = bigger;
	bigger[k->nwords++] = word;
	return true;
}

/* ---- what there is -----------------------------------------------------------------------------
 */

/* A pipe has no name, or one in a file system; the size and times of what is there nobody needs. */
static bool is_pipe(int fds, const char *name, const char *what)
{
	struct statx st;

	if (!strncmp(what, "pipe:[", 6))
		return true;
	return what[0] == '/' && !statx(fds, name, AT_STATX_DONT_SYNC, STATX_TYPE, &st) &&
	       S_ISFIFO(st.stx_mode);
}

static const char *hides_in_maps(const struct target_maps *maps)
{
	for (size_t i = 0; i < maps->n; i++) {
		const char *path = maps->v[i].path;

		if (path && strstr(path, "[aio]"))
			return "an aio context";
		if (path && strstr(path, "[io_uring]"))
			return "an io_uring";
		if (path && !strncmp(path, "/secretmem", 10))
			return "memory of memfd_secret()";
	}
	return NULL;
}

static bool add_file(struct process_kept *k, int fds, const char *name)
{
	char what[32] = "";
	struct stat st;

	k->nfds++;
	if (readlinkat(fds, name, what, sizeof what - 1) < 0)
		return true; /* closed meanwhile */
	if (!strcmp(what, "anon_inode:[io_uring]"))
		k->hides = "an io_uring";
	if (process_sent_in_queue(fds, name, what))
		k->hides = "messages in a message queue";
	if (!strcmp(what, "anon_inode:[eventpoll]"))
		return add_number(&k->epolls, &k->nepolls, atoi(name));
	if (!strcmp(what, "anon_inode:[eventfd]"))
		return add_number(&k->counters, &k->ncounters, atoi(name));
	if (!strncmp(what, "socket:[", 8))
		return add_number(&k->sockets, &k->nsockets, atoi(name));
	/* The link has the permissions with which it was opened. */
	if (is_pipe(fds, name, what) && !fstatat(fds, name, &st, AT_SYMLINK_NOFOLLOW) &&
	    st.st_mode & S_IRUSR)
		return add_number(&k->pipes, &k->npipes, atoi(name));
	return true;
}

static bool list_files(struct process_kept *k, int pid, int dir)
{
	int fds = openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fds < 0 ? NULL : fdopendir(fds);
	const struct dirent *e;
	bool ok = list;

	k->nfds = k->nepolls = k->ncounters = k->npipes = k->nsockets = 0;
	while (ok && (e = readdir(list)))
		ok = e->d_name[0] == '.' || add_file(k, fds, e->d_name);
	if (list)
		closedir(list);
	else if (fds >= 0)
		close(fds);
	if (ok)
		process_sent_list(k, pid, dir);
	return ok;
}

bool process_kept_list(struct process_kept *k, int pid, int dir, const struct target_maps *maps)
{
	k->hides = hides_in_maps(maps);
	return list_files(k, pid, dir);
}

/* ---- reading it --------------------------------------------------------------------------------
 */

/* "tfd:  7 events: 19 data: 7f0c4c000b70 pos:0 ino:15 sdev:f" */
static bool read_epoll(struct process_kept *k, int dir, int fd)
{
	char name[32];
	size_t len;
	char *text, *rest, *line;
	bool ok = true;

	snprintf(name, sizeof name, "fdinfo/%d", fd);
	rest = text = process_text(dir, name, &len);
	while (ok && rest && (line = strsep(&rest, "\n"))) {
		const char *data = !strncmp(line, "tfd:", 4) ? strstr(line, "data:") : NULL;

		if (data)
			ok = add_word(k, strtoull(data + 5, NULL, 16));
	}
	free(text);
	return ok;
}

/* "eventfd-count:     7f0c4c000b70" */
static bool read_counter(struct process_kept *k, int dir, int fd)
{
	static const char key[] = "eventfd-count:";
	char name[32];
	size_t len;
	char *text;
	const char *count;
	bool ok = true;

	snprintf(name, sizeof name, "fdinfo/%d", fd);
	text = process_text(dir, name, &len);
	count = text ? strstr(text, key) : NULL;
	if (count)
		ok = add_word(k, strtoull(count + sizeof key - 1, NULL, 16));
	free(text);
	return ok;
}

/* "signal: 10/00007f0c4c000b70"; a kernel that has no such file is built without. */
static bool read_timers(struct process_kept *k, int dir)
{
	size_t len;
	char *text = process_text(dir, "timers", &len), *rest = text, *line;
	unsigned long long value;
	bool ok = true;

	while (ok && rest && (line = strsep(&rest, "\n"))) {
		if (sscanf(line, "signal: %*d/%llx", &value) == 1)
			ok = add_word(k, value);
	}
	free(text);
	return ok;
}

bool process_kept_bytes(struct process_kept *k, const uint8_t *bytes, size_t n)
{
	bool ok = true;

	for (size_t i = 0; ok && i + 8 <= n; i++) {
		uint64_t word;

		memcpy(&word, bytes + i, sizeof word);
		/* Most of it is text, or nothing. */
		ok = !word || word >> 56 || add_word(k, word);
	}
	return ok;
}

/* tee() leaves in the pipe what it copies. Returns how many bytes that were. */
static size_t copy_pipe(int pipe, uint8_t *bytes)
{
	ssize_t got = -1;
	int ours[2];

	if (pipe2(ours, O_CLOEXEC | O_NONBLOCK))
		return 0;
	fcntl(ours[1], F_SETPIPE_SZ, MOST_PIPE);
	got = tee(pipe, ours[1], MOST_PIPE, SPLICE_F_NONBLOCK);
	if (got > 0)
		got = read(ours[0], bytes, (size_t)got);
	close(ours[0]);
	close(ours[1]);
	return got > 0 ? (size_t)got : 0;
}

static bool read_pipe(struct process_kept *k, int dir, int fd)
{
	uint8_t *bytes = NULL;
	char name[32];
	int pipe, n = 0;
	bool ok = true;

	snprintf(name, sizeof name, "fd/%d", fd);
	pipe = openat(dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (pipe < 0)
		return true;
	if (!ioctl(pipe, FIONREAD, &n) && n >= 8) {
		bytes = malloc(MOST_PIPE);
		if (bytes && copy_pipe(pipe, bytes) == (size_t)n)
			ok = process_kept_bytes(k, bytes, (size_t)n);
		else
			k->hides = "a pipe with bytes that cannot be looked at";
	}
	free(bytes);
	close(pipe);
	return ok;
}

/* The runtime's thread that brings cold stacks back has its userfaultfd alone, and no pointers. */
static bool has_only_faults(int dir, int tid)
{
	static const char faults[] = "anon_inode:[userfaultfd]";
	char name[32], what[sizeof faults + 1] = "";
	const struct dirent *e;
	DIR *list;
	bool ok;
	int fds;

	snprintf(name, sizeof name, "task/%d/fd", tid);
	fds = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	list = fds < 0 ? NULL : fdopendir(fds);
	if (!list && fds >= 0)
		close(fds);
	ok = list;
	while (ok && (e = readdir(list))) {
		if (e->d_name[0] == '.')
			continue;
		memset(what, 0, sizeof what);
		ok = readlinkat(fds, e->d_name, what, sizeof what - 1) > 0 && !strcmp(what, faults);
	}
	if (list)
		closedir(list);
	return ok;
}

/* A thread may have descriptors that no other has. A kernel that does not tell is built so. */
static bool share_files(const struct stop *stop, int dir)
{
	for (size_t i = 0; i < stop->n; i++) {
		if (stop->tids[i] != stop->pid &&
		    syscall(SYS_kcmp, stop->pid, stop->tids[i], KCMP_FILES, 0, 0) > 0 &&
		    !has_only_faults(dir, stop->tids[i]))
			return false;
	}
	return true;
}

bool process_kept_read(struct process_kept *k, const struct stop *stop, int dir,
		       const struct target_maps *maps, unsigned netpoll)
{
	bool ok = true;

	k->nwords = 0;
	if (k->nfds <= FEW)
		ok = process_kept_list(k, stop->pid, dir, maps);
	for (size_t i = 0; ok && i < k->nepolls; i++)
		ok = k->epolls[i] + 1u == netpoll || read_epoll(k, dir, k->epolls[i]);
	for (size_t i = 0; ok && i < k->ncounters; i++)
		ok = read_counter(k, dir, k->counters[i]);
	for (size_t i = 0; ok && i < k->npipes; i++)
		ok = read_pipe(k, dir, k->pipes[i]);
	if (!share_files(stop, dir))
		k->hides = "descriptors of one thread only";
	process_sent_system_v(k, stop->pid, dir);
	return ok && process_sent_sockets(k) && process_sent_signals(k, stop->tids, stop->n) &&
	       read_timers(k, dir);
}

/* ---- afterwards --------------------------------------------------------------------------------
 */

static bool has(const int *v, size_t n, int number)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == number)
			return true;
	return false;
}

bool process_kept_all(const struct process_kept *k, int pid, int dir)
{
	struct process_kept now = { 0 };
	bool ok;

	if (k->nfds <= FEW)
		return true;
	ok = list_files(&now, pid, dir) && !now.hides;
	for (size_t i = 0; ok && i < now.nepolls; i++)
		ok = has(k->epolls, k->nepolls, now.epolls[i]);
	for (size_t i = 0; ok && i < now.ncounters; i++)
		ok = has(k->counters, k->ncounters, now.counters[i]);
	for (size_t i = 0; ok && i < now.npipes; i++)
		ok = has(k->pipes, k->npipes, now.pipes[i]);
	for (size_t i = 0; ok && i < now.nsockets; i++)
		ok = has(k->sockets, k->nsockets, now.sockets[i]);
	process_kept_free(&now);
	return ok;
}

void process_kept_free(struct process_kept *k)
{
	free(k->epolls);
	free(k->counters);
	free(k->pipes);
	free(k->sockets);
	free(k->words);
	if (k->pidfd > 0)
		close(k->pidfd);
	*k = (struct process_kept){ 0 };
}
