/* SPDX-License-Identifier: MIT */
/*
 * target_process_room.c - how much memory the cgroups of a process leave, before something is
 * killed.
 *
 * A limit may be set at any of the groups around it: of a pod, of a slice, of a container. So all
 * of them count, up to the first one that we see. Version 1 has a hierarchy for memory, version 2
 * one for everything; the files' names differ. What a group holds of files goes when memory is
 * short and is no use of it.
 */
#include "target_process.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct kind {
	const char *mount, *max, *current, *files;
};

static const struct kind version_1 = { "/sys/fs/cgroup/memory", "memory.limit_in_bytes",
				       "memory.usage_in_bytes", "total_inactive_file " };
static const struct kind version_2 = { "/sys/fs/cgroup", "memory.max", "memory.current",
				       "inactive_file " };

static bool read_file(const struct kind *kind, const char *group, const char *name, char **ret)
{
	char path[512];
	size_t len;

	*ret = NULL;
	if (snprintf(path, sizeof path, "%s%s/%s", kind->mount, group, name) < (int)sizeof path)
		*ret = process_text(AT_FDCWD, path, &len);
	return *ret;
}

/* False: there is none, or "max". */
static bool read_number(const struct kind *kind, const char *group, const char *name, uint64_t *ret)
{
	char *text;
	bool is = read_file(kind, group, name, &text) && isdigit((unsigned char)*text);

	if (is)
		*ret = strtoull(text, NULL, 10);
	free(text);
	return is;
}

static uint64_t files_of(const struct kind *kind, const char *group)
{
	char *text, *line = NULL;
	uint64_t n = 0;

	if (read_file(kind, group, "memory.stat", &text))
		line = strstr(text, kind->files);
	/* The same word may end another line's name. */
	while (line && line != text && line[-1] != '\n')
		line = strstr(line + 1, kind->files);
	if (line)
		n = strtoull(line + strlen(kind->files), NULL, 10);
	free(text);
	return n;
}

static uint64_t room_of(const struct kind *kind, const char *group)
{
	uint64_t max, current, files;

	if (!read_number(kind, group, kind->max, &max) ||
	    !read_number(kind, group, kind->current, &current))
		return UINT64_MAX;
	files = files_of(kind, group);
	current -= files < current ? files : current;
	return current < max ? max - current : 0;
}

/* Of a group and of all around it; `group` is spoilt. */
static uint64_t least_room(const struct kind *kind, char *group)
{
	uint64_t least = UINT64_MAX;

	for (char *slash = group + strlen(group); slash; slash = strrchr(group, '/')) {
		uint64_t room;

		*slash = '\0';
		room = room_of(kind, group);
		least = room < least ? room : least;
	}
	return least;
}

/* Is "memory" one of the words between commas? */
static bool has_memory(const char *controllers, const char *end)
{
	static const char word[] = "memory";
	size_t n = sizeof word - 1;

	for (const char *at = controllers; at < end; at++) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *stop = comma ? comma : end;

		if ((size_t)(stop - at) == n && !memcmp(at, word, n))
			return true;
		at = stop;
	}
	return false;
}

uint64_t process_memory_room(int dir)
{
	size_t len;
	char *text = process_text(dir, "cgroup", &len), *line, *save;
	uint64_t least = UINT64_MAX;

	/* Lines are number:controllers:group, in version 2 without controllers. */
	for (line = text ? strtok_r(text, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *controllers = strchr(line, ':');
		char *group = controllers ? strchr(++controllers, ':') : NULL;
		uint64_t room = UINT64_MAX;

		if (!group || group[1] != '/')
			continue;
		if (group == controllers)
			room = least_room(&version_2, group + 1);
		else if (has_memory(controllers, group))
			room = least_room(&version_1, group + 1);
		least = room < least ? room : least;
	}
	free(text);
	return least;
}

/* ---- our own -----------------------------------------------------------------------------------
 */

uint64_t target_our_room(void)
{
	int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t room = self < 0 ? UINT64_MAX : process_memory_room(self);

	if (self >= 0)
		close(self);
	return room;
}

/* Whoever may raise it may take it back. It is inherited, so it does not stay. */
static const char score_file[] = "/proc/self/oom_score_adj";
static int score_before;
static bool score_known;

static void write_score(int score)
{
	int fd = open(score_file, O_WRONLY | O_CLOEXEC);
	char text[16];

	if (fd < 0)
		return;
	/* If that fails we are as likely to go as the target. */
	(void)!write(fd, text, (size_t)snprintf(text, sizeof text, "%d", score));
	close(fd);
}

void target_offer_us_begin(void)
{
	size_t len;
	char *text = process_text(AT_FDCWD, score_file, &len);

	score_known = text;
	if (text)
		score_before = (int)strtol(text, NULL, 10);
	free(text);
	if (score_known)
		write_score(1000);
}

void target_offer_us_end(void)
{
	if (score_known)
		write_score(score_before);
}
