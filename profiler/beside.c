/* SPDX-License-Identifier: MIT */
/*
 * beside.c - see beside.h.
 */
#include "beside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int beside_open(const char *name, const struct stat *st, char **path)
{
	char *real = realpath(name, NULL);
	int fd;

	if (!real || asprintf(path, "%s.XXXXXX", real) < 0)
		*path = NULL;
	free(real);
	fd = *path ? mkostemp(*path, O_CLOEXEC) : -1;
	if (fd >= 0 && fchmod(fd, st->st_mode & 0777) == 0 &&
	    (fchown(fd, st->st_uid, st->st_gid) == 0 || st->st_uid == geteuid()))
		return fd;
	if (fd >= 0) {
		close(fd);
		unlink(*path);
	}
	free(*path);
	*path = NULL;
	return -1;
}

int beside_take_place(const char *path, const char *name)
{
	char *real = realpath(name, NULL);
	int error = !real || rename(path, real) ? errno : 0;

	free(real);
	return error;
}

int beside_our_output(const struct stat *st)
{
	struct stat ours;

	for (int fd = 1; fd <= 2; fd++) {
		if (!fstat(fd, &ours) && ours.st_dev == st->st_dev && ours.st_ino == st->st_ino)
			return fd;
	}
	return -1;
}
