/* SPDX-License-Identifier: MIT */
/*
 * target_process.c - a live process as a target: its memory map and its files.
 */
#include "target_process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "target_absent.h"

#define PAGE_FILE  (1ull << 61)	       /* a file's, or shared */
#define PAGE_GUARD (UINT64_C(1) << 58) /* since Linux 6.15; nobody may read it */

/* ---- target_ops ------------------------------------------------------------------------------ */

/* A number, and past what ends it. */
static bool parse_number(char **at, int base, char end, uint64_t *ret)
{
	char *past;

	*ret = strtoull(*at, &past, base);
	if (past == *at || *past != end)
		return false;
	*at = past + 1;
	return true;
}

/* There may be thousands, and they are read while the process stands: no sscanf(). */
static bool parse_map(char *line, struct target_map *m)
{
	uint64_t lo, hi, offset, major, minor, inode;
	const char *perms;

	if (!parse_number(&line, 16, '-', &lo) || !parse_number(&line, 16, ' ', &hi) || lo >= hi ||
	    strnlen(line, 5) < 5)
		return false;
	perms = line;
	line += 5;
	if (!parse_number(&line, 16, ' ', &offset) || !parse_number(&line, 16, ':', &major) ||
	    !parse_number(&line, 16, ' ', &minor))
		return false;
	inode = strtoull(line, &line, 10);
	*m = (struct target_map){
		.lo = lo,
		.hi = hi,
		.offset = offset,
		.dev = major << 32 | minor,
		.inode = inode,
		.readable = perms[0] == 'r',
		.writable = perms[1] == 'w',
		.executable = perms[2] == 'x',
		.shared = perms[3] == 's',
	};
	line += strspn(line, " ");
	if (*line)
		m->path = strdup(line);
	return true;
}

/* Takes text over. */
struct goro_error *process_parse_maps(char *text, size_t len, struct target_maps *ret)
{
	size_t lines = 1;
	char *line, *save;

	*ret = (struct target_maps){ 0 };
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	ret->v = calloc(lines, sizeof *ret->v);
	if (!ret->v) {
		free(text);
		return &goro_enomem;
	}
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (ret->n < lines && parse_map(line, &ret->v[ret->n]))
			ret->n++;
	}
	free(text);
	return NULL;
}

/* And not a process that is about to end, which has no memory any more either. */
static bool is_kernel_thread(const struct process *p)
{
	const unsigned long flag = 0x200000; /* the kernel's PF_KTHREAD */
	size_t len;
	char *text = process_text(p->dir, "stat", &len);
	const char *flags = text ? process_stat(text, 9) : NULL;
	bool is = flags && strtoul(flags, NULL, 10) & flag;

	free(text);
	return is;
}

static struct goro_error *process_maps(struct target *t, struct target_maps *ret)
{
	struct process *p = (struct process *)t;
	size_t len;
	char *text = process_text(p->dir, "maps", &len);

	*ret = (struct target_maps){ 0 };
	if (!text)
		return process_explain(p, errno, "the memory map");
	if (!strchr(text, '\n')) {
		free(text);
		if (!is_kernel_thread(p))
			return process_explain(p, ESRCH, "the memory map");
		return goro_error_new(GORO_UNSUPPORTED,
				      "process %d has no memory of its own: a kernel thread",
				      t->pid);
	}
	return process_parse_maps(text, len, ret);
}

static int process_open_file(struct target *t, const struct target_map *map)
{
	struct process *p = (struct process *)t;
	char path[PATH_MAX];
	struct stat st;
	int fd;

	/* Exact for deleted and replaced files too, but needs a capability. */
	snprintf(path, sizeof path, "map_files/%llx-%llx", (unsigned long long)map->lo,
		 (unsigned long long)map->hi);
	fd = openat(p->dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0)
		return fd;
	fd = openat(p->dir, "exe", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == map->inode)
		return fd;
	if (fd >= 0)
		close(fd);
	if (!map->path || snprintf(path, sizeof path, "root%s", map->path) >= (int)sizeof path)
		return -ENOENT;
	fd = openat(p->dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && st.st_ino == map->inode)
		return fd;
	close(fd);
	return -ESTALE;
}

/* Its links must not lead into our world; a pipe must not make us wait. */
static int process_open_path(struct target *t, const char *path)
{
	struct process *p = (struct process *)t;
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int root = openat(p->dir, "root", O_PATH | O_CLOEXEC), fd;

	if (root < 0)
		return -errno;
	fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
	if (fd < 0)
		fd = -errno;
	close(root);
	return fd;
}

/* In RAM or swapped out, and of no file: see pagemap in the kernel's documentation. */
bool process_own_pages(int dir, int *pagemap, uint64_t lo, uint64_t hi, uint8_t *own)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), entries[4096];

	if (*pagemap == -1) {
		*pagemap = openat(dir, "pagemap", O_RDONLY | O_CLOEXEC);
		if (*pagemap < 0)
			*pagemap = -2;
	}
	if (*pagemap < 0)
		return false;
	for (uint64_t at = lo; at < hi;) {
		size_t want = (hi - at) / page < 4096 ? (hi - at) / page : 4096;
		ssize_t got = pread(*pagemap, entries, want * 8, (off_t)(at / page * 8));

		if (got < 8)
			return false;
		for (size_t i = 0; i < (size_t)got / 8; i++, at += page)
			*own++ = entries[i] >> 62 && !(entries[i] & (PAGE_FILE | PAGE_GUARD));
	}
	return true;
}

static bool own_pages(struct target *t, uint64_t lo, uint64_t hi, uint8_t *own)
{
	struct process *p = (struct process *)t;

	return process_own_pages(p->dir, &p->pagemap, lo, hi, own);
}

static struct goro_error *process_usage(struct target *t, struct target_usage *ret)
{
	struct process *p = (struct process *)t;
	size_t len;
	char *text = process_text(p->dir, "stat", &len);
	const char *state, *times, *rss;

	if (!text)
		return process_explain(p, errno, "the state");
	state = process_stat(text, 3);
	times = process_stat(text, 14);
	rss = process_stat(text, 24);
	/* A first thread that is none any more makes way for one that calls execve(), too. */
	if (!state || *state == 'Z' || *state == 'X' || !times || !rss) {
		free(text);
		return process_explain(p, ESRCH, "the state");
	}
	unsigned long long user = 0, system = 0;

	ret->stopped = *state == 'T' || *state == 't';
	sscanf(times, "%llu %llu", &user, &system);
	ret->cpu_ns = (user + system) * (1000000000ull / (unsigned long long)sysconf(_SC_CLK_TCK));
	ret->rss = strtoull(rss, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
	free(text);
	return NULL;
}

static void forget_memory(struct process *p)
{
	if (p->pagemap >= 0)
		close(p->pagemap);
	if (p->mem >= 0)
		close(p->mem);
	p->pagemap = p->mem = -1;
}

/* Its directory is of the process; these files are of the memory that
 * it had when they were opened. */
static void process_renew(struct target *t)
{
	struct process *p = (struct process *)t;
	char *name = process_name(p->dir);

	forget_memory(p);
	if (!name)
		return;
	free(t->name);
	t->name = name;
}

static void process_close(struct target *t)
{
	struct process *p = (struct process *)t;

	forget_memory(p);
	close(p->dir);
	target_absent_free(t);
	free(t->name);
	free(p);
}

static const struct target_ops process_ops = {
	.threads = true,
	.maps = process_maps,
	.read = process_read,
	.open_file = process_open_file,
	.open_path = process_open_path,
	.resident = process_resident,
	.own_pages = own_pages,
	.freeze = process_freeze,
	.asleep_at = process_asleep_at,
	.renew = process_renew,
	.usage = process_usage,
	.close = process_close,
};

struct goro_error *target_open_process(struct target **ret, int pid)
{
	struct process *p = calloc(1, sizeof *p);
	struct goro_error *err = NULL;
	char path[32];

	if (!p)
		return &goro_enomem;
	snprintf(path, sizeof path, "/proc/%d", pid);
	p->target.ops = &process_ops;
	p->target.pid = pid;
	p->pagemap = -1;
	p->mem = -1;
	p->dir = pid > 0 ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (p->dir < 0) {
		free(p);
		err = target_proc(false);
		return err ? err : goro_error_new(GORO_NO_TARGET, "there is no process %d", pid);
	}
	p->target.name = process_name(p->dir);
	if (process_ended(p))
		err = process_gone(p);
	if (err) {
		process_close(&p->target);
		return err;
	}
	*ret = &p->target;
	return NULL;
}
