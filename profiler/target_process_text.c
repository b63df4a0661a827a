/* SPDX-License-Identifier: MIT */
/*
 * target_process_text.c - the files in /proc, which are text.
 */
#include "target_process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_TEXT (256u << 20) /* of a file in /proc */

char *process_text(int dir, const char *name, size_t *len)
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

bool process_status(int dir, const char *file, const char *key, int base, unsigned long long *ret)
{
	size_t len;
	char *text = process_text(dir, file, &len);
	bool found = text && status_number(text, key, base, ret);

	free(text);
	return found;
}

/* The name before the fields may hold anything, so count from the last parenthesis. */
const char *process_stat(const char *text, int number)
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

char *process_name(int dir)
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
	comm = process_text(dir, "comm", &len);
	if (comm && len && comm[len - 1] == '\n')
		comm[len - 1] = '\0';
	return comm;
}

uint64_t process_asleep_at(struct target *t, uint32_t tid)
{
	const struct process *p = (const struct process *)t;
	char name[48], *text, *pc, *sp = NULL;
	uint64_t at = 0;
	size_t len;

	snprintf(name, sizeof name, "task/%u/syscall", tid);
	text = process_text(p->dir, name, &len);
	/* NUMBER ARGUMENT... SP PC, or "running" */
	pc = text ? strrchr(text, ' ') : NULL;
	if (pc) {
		*pc = '\0';
		sp = strrchr(text, ' ');
	}
	if (sp)
		at = strtoull(sp + 1, NULL, 16);
	free(text);
	return at;
}
