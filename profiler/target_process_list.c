/* SPDX-License-Identifier: MIT */
/*
 * target_process_list.c - which processes there are.
 */
#include "target_process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KERNEL_THREAD 0x00200000u /* PF_KTHREAD in the flags of stat */

/* Arguments are separated by NULs, and may hold anything that would confuse a terminal. */
static char *command_line(int dir)
{
	size_t len;
	char *text = process_text(dir, "cmdline", &len);

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
	text = process_text(dir, "stat", &len);
	state = text ? process_stat(text, 3) : NULL;
	flags = text ? process_stat(text, 9) : NULL;
	threads = text ? process_stat(text, 20) : NULL;
	rss = text ? process_stat(text, 24) : NULL;
	if (state && *state != 'Z' && *state != 'X' && flags && threads && rss &&
	    !(strtoul(flags, NULL, 10) & KERNEL_THREAD)) {
		process_status(dir, "status", "Uid", 10, &uid);
		*info = (struct target_process_info){
			.pid = atoi(name),
			.uid = (unsigned)uid,
			.name = process_name(dir),
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

struct goro_error *target_proc(bool ours)
{
	char text[16] = "";

	if (readlink("/proc/self", text, sizeof text - 1) < 0)
		return goro_error_hint(goro_error_new(GORO_PERMISSION,
						      "there is no /proc here: no process can be "
						      "looked into"),
				       "where it may be mounted: mount -t proc proc /proc");
	if (ours && atoi(text) != getpid())
		return goro_error_hint(
			goro_error_new(GORO_PERMISSION,
				       "/proc is that of another pid namespace: it does not show "
				       "the processes that run here"),
			"start it with unshare --mount-proc, or here: mount -t proc proc /proc");
	return NULL;
}

struct goro_error *target_list_processes(struct target_process_info **ret, size_t *n)
{
	struct goro_error *err = target_proc(false);
	DIR *dir = err ? NULL : opendir("/proc");
	struct target_process_info *v = NULL;
	struct dirent *entry;
	size_t count = 0, cap = 0;

	if (err)
		return err;
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

bool target_process_env_is(int pid, const char *name, const char *value)
{
	const size_t n = strlen(name);
	char path[32], *text;
	size_t len = 0;
	bool found = false;
	int dir;

	snprintf(path, sizeof path, "/proc/%d", pid);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return false;
	text = process_text(dir, "environ", &len);
	for (const char *p = text; p && p < text + len && !found; p += strlen(p) + 1)
		found = !strncmp(p, name, n) && p[n] == '=' && !strcmp(p + n + 1, value);
	free(text);
	close(dir);
	return found;
}
