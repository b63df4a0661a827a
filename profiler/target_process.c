/* SPDX-License-Identifier: MIT */
/*
 * target_process.c - a live process as a target.
 *
 * The only file that knows /proc, process_vm_readv and the kernel's rules of who may look into
 * whom. The process is held by a descriptor of its /proc directory, so that a reused process id is
 * never taken for it.
 */
#include "target.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define BATCH	      1024	   /* IOV_MAX */
#define MAX_TEXT      (256u << 20) /* of a file in /proc */
#define CAP_PTRACE    19	   /* CAP_SYS_PTRACE */
#define KERNEL_THREAD 0x00200000u  /* PF_KTHREAD in the flags of stat */
#define PAGE_PRESENT  (1ull << 63) /* in an entry of pagemap */

struct process {
	struct target target;
	int dir;     /* of /proc/PID */
	int pagemap; /* -1: not opened yet; -2: cannot be */
};

/* ---- files in /proc -------------------------------------------------------------------------- */

/* The whole file as a string, *len long; NULL with errno set. */
static char *read_text(int dir, const char *name, size_t *len)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	size_t cap = 4096, n = 0;
	char *text = NULL;

	if (fd < 0)
		return NULL;
	for (;;) {
		char *bigger = realloc(text, cap);
		ssize_t got;

		if (!bigger)
			break;
		text = bigger;
		got = read(fd, text + n, cap - n - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		n += (size_t)got;
		if (got == 0) {
			text[n] = '\0';
			*len = n;
			close(fd);
			return text;
		}
		if (cap - n < 4096 && (cap *= 2) > MAX_TEXT) {
			errno = EFBIG;
			break;
		}
	}
	n = (size_t)errno;
	free(text);
	close(fd);
	errno = (int)n;
	return NULL;
}

/* The number after "key" in a file of "key: number" lines. */
static bool status_number(const char *text, const char *key, int base, unsigned long long *ret)
{
	size_t len = strlen(key);

	for (const char *p = text; p; p = strchr(p, '\n')) {
		if (*p == '\n')
			p++;
		if (strncmp(p, key, len) == 0 && p[len] == ':') {
			*ret = strtoull(p + len + 1, NULL, base);
			return true;
		}
	}
	return false;
}

static bool read_status_number(int dir, const char *file, const char *key, int base,
			       unsigned long long *ret)
{
	size_t len;
	char *text = read_text(dir, file, &len);
	bool found = text && status_number(text, key, base, ret);

	free(text);
	return found;
}

/* Fields of stat by their number in proc(5), from 3 (state) on. The name before them may hold
 * anything, so count from the last parenthesis. */
static const char *stat_field(const char *text, int number)
{
	const char *p = strrchr(text, ')');

	if (!p)
		return NULL;
	p += 1;
	for (int i = 2; *p; p++) {
		if (*p == ' ' && ++i == number)
			return p + 1;
	}
	return NULL;
}

static char *program_name(int dir)
{
	char path[PATH_MAX];
	ssize_t n = readlinkat(dir, "exe", path, sizeof path - 1);
	static const char deleted[] = " (deleted)";
	size_t len;
	char *comm;

	if (n > 0) {
		path[n] = '\0';
		len = (size_t)n;
		if (len > sizeof deleted && strcmp(path + len - (sizeof deleted - 1), deleted) == 0)
			path[len - (sizeof deleted - 1)] = '\0';
		return strdup(goro_basename(path));
	}
	comm = read_text(dir, "comm", &len);
	if (comm && len && comm[len - 1] == '\n')
		comm[len - 1] = '\0';
	return comm;
}

/* ---- why not --------------------------------------------------------------------------------- */

static struct goro_error *gone(const struct process *p)
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
	char *text = read_text(p->dir, "stat", &len);
	const char *state = text ? stat_field(text, 3) : NULL;
	const char *threads = text ? stat_field(text, 20) : NULL;
	bool is = !state || *state == 'X' ||
		  (*state == 'Z' && (!threads || strtol(threads, NULL, 10) <= 1));

	free(text);
	return is;
}

/*
 * The kernel finds the thread first and prints its state later. In between execve() may have let
 * another thread take over the id, and what is printed is the first thread's end. A second look
 * finds the new one.
 */
static bool ended(const struct process *p)
{
	return seems_ended(p) && seems_ended(p);
}

/* It had no memory a moment ago: it is ending, or becoming another program. Which, is soon clear.
 */
static struct goro_error *ending(const struct process *p)
{
	for (int i = 0; i < 100; i++) {
		if (ended(p))
			return gone(p);
		usleep(2000);
	}
	return goro_error_new(GORO_UNSUPPORTED, "process %d has become another program",
			      p->target.pid);
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
	bool know_uid = read_status_number(p->dir, "status", "Uid", 10, &uid);
	int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char hint[1024];
	size_t len = 0, n;
	char *text = read_text(AT_FDCWD, "/proc/sys/kernel/yama/ptrace_scope", &n);

	if (text)
		scope = strtoull(text, NULL, 10);
	free(text);
	read_status_number(self, "status", "CapEff", 16, &caps);
	read_status_number(self, "status", "Seccomp", 10, &seccomp);
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
		ADD("seccomp: a filter of your container may forbid process_vm_readv: start it "
		    "with --security-opt seccomp=unconfined\n");
	if (len == 0)
		ADD("a security module (SELinux, AppArmor) may forbid it: see the kernel log\n");
#undef ADD
	if (len >= sizeof hint)
		len = sizeof hint - 1;
	hint[len - 1] = '\0';
	return goro_error_hint(err, "%s", hint);
}

static struct goro_error *explain(const struct process *p, int error, const char *what)
{
	if (ended(p))
		return gone(p);
	if (error == ESRCH || error == ENOENT)
		return ending(p);
	if (error == EPERM || error == EACCES)
		return denied(p);
	return goro_error_new(GORO_PERMISSION, "cannot read %s of process %d: %s", what,
			      p->target.pid, strerror(error));
}

/* ---- target_ops ------------------------------------------------------------------------------ */

static bool parse_map(char *line, struct target_map *m)
{
	char perms[5];
	unsigned long long lo, hi, offset, inode;
	unsigned major, minor;
	int path = 0;

	if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu %n", &lo, &hi, perms, &offset, &major,
		   &minor, &inode, &path) < 7 ||
	    lo >= hi)
		return false;
	*m = (struct target_map){
		.lo = lo,
		.hi = hi,
		.offset = offset,
		.dev = (uint64_t)major << 32 | minor,
		.inode = inode,
		.readable = perms[0] == 'r',
		.writable = perms[1] == 'w',
		.executable = perms[2] == 'x',
	};
	if (path && line[path])
		m->path = strdup(line + path);
	return true;
}

static struct goro_error *process_maps(struct target *t, struct target_maps *ret)
{
	struct process *p = (struct process *)t;
	size_t len, lines = 0;
	char *text = read_text(p->dir, "maps", &len), *line, *save;

	*ret = (struct target_maps){ 0 };
	if (!text)
		return explain(p, errno, "the memory map");
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	if (lines == 0) {
		free(text);
		if (ended(p))
			return gone(p);
		return goro_error_new(GORO_UNSUPPORTED,
				      "process %d has no memory of its own: a kernel thread",
				      t->pid);
	}
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

/*
 * One call reads a batch. It stops at the first piece that faults: leave that one out and go on
 * behind it.
 */
static struct goro_error *process_read(struct target *t, struct target_read *v, size_t n)
{
	struct process *p = (struct process *)t;
	struct iovec local[BATCH], remote[BATCH];
	size_t done = 0;

	while (done < n) {
		size_t batch = n - done < BATCH ? n - done : BATCH, i;
		ssize_t got;

		for (i = 0; i < batch; i++) {
			struct target_read *r = &v[done + i];

			r->ok = false;
			local[i] = (struct iovec){ r->to, r->len };
			remote[i] = (struct iovec){ (void *)(uintptr_t)r->address, r->len };
		}
		got = process_vm_readv(t->pid, local, batch, remote, batch, 0);
		if (got < 0 && errno != EFAULT && errno != EINVAL)
			return explain(p, errno, "the memory");
		if (got > 0)
			t->bytes_read += (uint64_t)got;
		else
			got = 0;
		for (i = 0; i < batch && (size_t)got >= v[done + i].len; i++) {
			got -= (ssize_t)v[done + i].len;
			v[done + i].ok = true;
		}
		done += i < batch ? i + 1 : i;
	}
	return NULL;
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

/*
 * Stacks lie close to each other, so read the page map of many at once: from the first to the
 * last one that is not too far behind.
 */
static void process_resident(struct target *t, struct target_range *v, size_t n)
{
	struct process *p = (struct process *)t;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), entries[8192];
	const uint64_t window = page * (sizeof entries / sizeof *entries);
	uint64_t at = 0, end = 0; /* addresses that entries[] describes now */

	for (size_t i = 0; i < n; i++)
		v[i].resident = 0;
	if (p->pagemap == -1) {
		p->pagemap = openat(p->dir, "pagemap", O_RDONLY | O_CLOEXEC);
		if (p->pagemap < 0)
			p->pagemap = -2;
	}
	if (p->pagemap < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		uint64_t a = v[i].lo & ~(page - 1);

		while (a < v[i].hi) {
			if (a < at || a >= end) {
				uint64_t last = a;
				ssize_t got;

				for (size_t j = i;
				     j < n && v[j].lo < a + window && v[j].lo < last + window / 8;
				     j++)
					last = v[j].hi;
				last = last < a + window ? last : a + window;
				if (last <= a)
					break;
				got = pread(p->pagemap, entries, (last - a + page - 1) / page * 8,
					    (off_t)(a / page * 8));
				if (got < 8)
					break;
				at = a;
				end = a + (uint64_t)got / 8 * page;
			}
			for (; a < v[i].hi && a < end; a += page)
				v[i].resident += entries[(a - at) / page] & PAGE_PRESENT ? page : 0;
		}
	}
}

static struct goro_error *process_usage(struct target *t, struct target_usage *ret)
{
	struct process *p = (struct process *)t;
	size_t len;
	char *text = read_text(p->dir, "stat", &len);
	const char *state, *times, *rss;

	if (!text)
		return explain(p, errno, "the state");
	state = stat_field(text, 3);
	times = stat_field(text, 14);
	rss = stat_field(text, 24);
	if (!state || *state == 'Z' || *state == 'X' || !times || !rss) {
		free(text);
		return gone(p);
	}
	unsigned long long user = 0, system = 0;

	sscanf(times, "%llu %llu", &user, &system);
	ret->cpu_ns = (user + system) * (1000000000ull / (unsigned long long)sysconf(_SC_CLK_TCK));
	ret->rss = strtoull(rss, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
	free(text);
	return NULL;
}

static void process_close(struct target *t)
{
	struct process *p = (struct process *)t;

	if (p->pagemap >= 0)
		close(p->pagemap);
	close(p->dir);
	free(t->name);
	free(p);
}

static const struct target_ops process_ops = {
	.maps = process_maps,
	.read = process_read,
	.open_file = process_open_file,
	.resident = process_resident,
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
	p->dir = pid > 0 ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (p->dir < 0) {
		free(p);
		return goro_error_new(GORO_NO_TARGET, "there is no process %d", pid);
	}
	p->target.name = program_name(p->dir);
	if (ended(p))
		err = gone(p);
	if (err) {
		process_close(&p->target);
		return err;
	}
	*ret = &p->target;
	return NULL;
}

/* ---- the list of processes ------------------------------------------------------------------- */

/* Arguments are separated by NULs, and may hold anything that would confuse a terminal. */
static char *command_line(int dir)
{
	size_t len;
	char *text = read_text(dir, "cmdline", &len);

	if (!text)
		return NULL;
	while (len && !text[len - 1])
		len--;
	for (size_t i = 0; i < len; i++) {
		if (!text[i])
			text[i] = ' ';
		else if (iscntrl((unsigned char)text[i]))
			text[i] = '?';
	}
	return text;
}

static bool describe(int proc, const char *name, struct target_process_info *info)
{
	int dir = openat(proc, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unsigned long long uid = 0;
	const char *state, *flags, *threads, *rss;
	char *text;
	size_t len;
	bool ok = false;

	if (dir < 0)
		return false;
	text = read_text(dir, "stat", &len);
	state = text ? stat_field(text, 3) : NULL;
	flags = text ? stat_field(text, 9) : NULL;
	threads = text ? stat_field(text, 20) : NULL;
	rss = text ? stat_field(text, 24) : NULL;
	if (state && *state != 'Z' && *state != 'X' && flags && threads && rss &&
	    !(strtoul(flags, NULL, 10) & KERNEL_THREAD)) {
		read_status_number(dir, "status", "Uid", 10, &uid);
		*info = (struct target_process_info){
			.pid = atoi(name),
			.uid = (unsigned)uid,
			.name = program_name(dir),
			.command = command_line(dir),
			.rss = strtoull(rss, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE),
			.threads = atoi(threads),
		};
		ok = true;
	}
	free(text);
	close(dir);
	return ok;
}

static int by_pid(const void *a, const void *b)
{
	const struct target_process_info *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

struct goro_error *target_list_processes(struct target_process_info **ret, size_t *n)
{
	DIR *dir = opendir("/proc");
	struct target_process_info *v = NULL;
	struct dirent *entry;
	size_t count = 0, cap = 0;

	if (!dir)
		return goro_error_new(GORO_PERMISSION, "cannot read /proc: %s", strerror(errno));
	while ((entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == getpid())
			continue;
		if (count == cap) {
			struct target_process_info *bigger =
				realloc(v, (cap = cap ? cap * 2 : 64) * sizeof *v);

			if (!bigger) {
				target_list_free(v, count);
				closedir(dir);
				return &goro_enomem;
			}
			v = bigger;
		}
		if (describe(dirfd(dir), entry->d_name, &v[count]))
			count++;
	}
	closedir(dir);
	if (count)
		qsort(v, count, sizeof *v, by_pid);
	*ret = v;
	*n = count;
	return NULL;
}

void target_list_free(struct target_process_info *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(v[i].name);
		free(v[i].command);
	}
	free(v);
}
