/* SPDX-License-Identifier: MIT */
/*
 * target_process_unseen.c - may a process's memory change without its page tables telling?
 *
 * A device writes to pages that the kernel has pinned: a read with O_DIRECT, io_uring, libaio, what
 * a driver holds for long (VmPin). The kernel sees a write when such a page is pinned, and the
 * bytes come later. Between the two, and only there, the mark of target_process_track.c would lie.
 */
#include "target_process.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MOST_FILES 4096 /* to look at; with more nothing is known */

/* Was this descriptor opened for reading past the page cache, or for a ring of requests? */
static bool is_direct(int fds, int infos, const char *name)
{
	static const char ring[] = "anon_inode:[io_uring]";
	unsigned long long flags = 0;
	char what[sizeof ring] = "";

	if (readlinkat(fds, name, what, sizeof what - 1) < 0)
		return false; /* closed meanwhile */
	return !strcmp(what, ring) ||
	       (process_status(infos, name, "flags", 8, &flags) && flags & O_DIRECT);
}

static bool has_direct_files(int dir)
{
	int fds = openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int infos = openat(dir, "fdinfo", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fds < 0 ? NULL : fdopendir(fds);
	bool ret = !list || infos < 0;
	const struct dirent *e;

	for (int n = 0; !ret && (e = readdir(list)); n++)
		ret = n > MOST_FILES || (e->d_name[0] != '.' && is_direct(fds, infos, e->d_name));
	if (list)
		closedir(list);
	else if (fds >= 0)
		close(fds);
	if (infos >= 0)
		close(infos);
	return ret;
}

bool process_written_unseen(int dir, const struct target_maps *maps)
{
	unsigned long long pinned = 1;

	for (size_t i = 0; i < maps->n; i++)
		if (maps->v[i].path && strstr(maps->v[i].path, "[aio]"))
			return true;
	return !process_status(dir, "status", "VmPin", 10, &pinned) || pinned ||
	       has_direct_files(dir);
}
