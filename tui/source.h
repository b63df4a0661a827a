/* SPDX-License-Identifier: MIT */
/* source.h - the text of a source file, for the lines around a frame. */
#ifndef GOTOP_SOURCE_H
#define GOTOP_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

struct source {
	char *path; /* of the file that was last asked for, or NULL */
	char *text;
	char **lines; /* lines[0] is line 1; into text */
	size_t n;     /* 0: it could not be read */
};

/* Reads the file unless it is the one that is there already. NULL forgets it. */
void source_load(struct source *s, const char *path);
void source_free(struct source *s);

#endif /* GOTOP_SOURCE_H */
