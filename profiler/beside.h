/* SPDX-License-Identifier: MIT */
/*
 * beside.h - a file that is written beside the one whose place it takes when it is good.
 *
 * So what a user had under that name is there until something better is, whatever goes wrong.
 * Rejected: O_TMPFILE, for a link cannot take the place of a file.
 */
#ifndef GORO_BESIDE_H
#define GORO_BESIDE_H

#include <sys/stat.h>

/*
 * A new file in the directory of `name`, with the owner and the permissions of *st, which is the
 * regular file that is there; *path: its own name, to be freed. -1: there can be none, so only
 * `name` itself can be written.
 */
int beside_open(const char *name, const struct stat *st, char **path);

/* `path` becomes `name`; 0 or errno. Symbolic links stay. */
int beside_take_place(const char *path, const char *name);

/* The descriptor, 1 or 2, by which our output goes to that file as well, as to /dev/stdout; or -1:
 * then it must not be replaced. */
int beside_our_output(const struct stat *st);

#endif /* GORO_BESIDE_H */
