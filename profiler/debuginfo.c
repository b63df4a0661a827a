/* SPDX-License-Identifier: MIT */
/*
 * debuginfo.c - where separate debug files lie: first as the observer sees the file system, which
 * libdwfl searches, then as the target does, if it lives in a container.
 *
 * Names: by build id under /usr/lib/debug/.build-id, and what .gnu_debuglink says beside the
 * program, in .debug/ there, and under /usr/lib/debug. A file from the target's own world is
 * believed only if it has the module's build id.
 */
#include "debuginfo.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "elf.h"

#define DEBUG_DIRECTORY "/usr/lib/debug"

/* Open it in the target's world if it is the module's; else -1. */
static int open_if_its(const struct module *m, const char *path)
{
	char id[sizeof m->build_id] = "";
	int fd = m->target->ops->open_path(m->target, path);
	struct stat st;
	Elf *elf = NULL;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (elf && elf_kind(elf) == ELF_K_ELF)
		elf_build_id(elf, id);
	elf_end(elf);
	if (strcmp(id, m->build_id) == 0)
		return fd;
	close(fd);
	return -1;
}

static int find_there(const struct module *m, const char *link, char **found)
{
	const char *slash = strrchr(m->path, '/');
	int len = slash ? (int)(slash - m->path) : 0, fd = -1;
	char path[4][PATH_MAX];
	size_t n = 0;

	snprintf(path[n++], PATH_MAX, DEBUG_DIRECTORY "/.build-id/%.2s/%s.debug", m->build_id,
		 m->build_id + 2);
	if (link && *link && !strchr(link, '/')) {
		snprintf(path[n++], PATH_MAX, "%.*s/%s", len, m->path, link);
		snprintf(path[n++], PATH_MAX, "%.*s/.debug/%s", len, m->path, link);
		snprintf(path[n++], PATH_MAX, DEBUG_DIRECTORY "%.*s/%s", len, m->path, link);
	}
	for (size_t i = 0; i < n && fd < 0; i++) {
		fd = open_if_its(m, path[i]);
		if (fd >= 0)
			*found = strdup(path[i]);
	}
	return fd;
}

int goro_find_debuginfo(Dwfl_Module *mod, void **userdata, const char *name, Dwarf_Addr base,
			const char *file, const char *link, GElf_Word crc, char **found)
{
	const struct module *m = *userdata;
	int fd = dwfl_standard_find_debuginfo(mod, userdata, name, base, file, link, crc, found);

	if (fd >= 0 || *found || !m || !*m->build_id || !m->target->ops->open_path)
		return fd;
	return find_there(m, link, found);
}
