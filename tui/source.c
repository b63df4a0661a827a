/* SPDX-License-Identifier: MIT */
/*
 * source.c - read a source file named by the target's debug information.
 *
 * The name is not to be trusted: only regular files are read, without waiting (a FIFO must not
 * block the screen), and only their first megabytes.
 */
#define _GNU_SOURCE
#include "source.h"
#include "util.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SIZE (4u << 20)

void source_free(struct source *s)
{
	free(s->path);
	free(s->text);
	free(s->lines);
	memset(s, 0, sizeof(*s));
}

static char *read_text(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	char *text = NULL;
	ssize_t n;

	*size = 0;
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		text = xcalloc(MAX_SIZE + 1, 1);
		while (*size < MAX_SIZE && (n = read(fd, text + *size, MAX_SIZE - *size)) > 0)
			*size += (size_t)n;
	}
	close(fd);
	return text;
}

/* Tabs to columns is the drawing's business; here only line ends are cut. */
static void split(struct source *s, size_t size)
{
	size_t room = 0;

	for (char *p = s->text, *end = s->text + size; p < end;) {
		char *newline = memchr(p, '\n', (size_t)(end - p));

		if (s->n == room) {
			room = room ? room * 2 : 256;
			s->lines = xrealloc(s->lines, room, sizeof(*s->lines));
		}
		s->lines[s->n++] = p;
		if (!newline)
			break;
		*newline = '\0';
		if (newline > p && newline[-1] == '\r')
			newline[-1] = '\0';
		p = newline + 1;
	}
}

void source_load(struct source *s, const char *path)
{
	size_t size;

	if (s->path && path && strcmp(s->path, path) == 0)
		return;
	source_free(s);
	if (!path)
		return;
	s->path = xstrdup(path);
	s->text = read_text(path, &size);
	if (s->text)
		split(s, size);
}
