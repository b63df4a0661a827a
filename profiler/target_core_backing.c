/* SPDX-License-Identifier: MIT */
/*
 * target_core_backing.c - the files that a process had mapped, as its core file names them.
 *
 * Code and constants are mostly not in a core file but in the programs and libraries that it names
 * by path. Such a file is used only when it is the one that was mapped: same build id; without one,
 * the same first page; and when nothing of it is in the core, at least older than the core.
 */
#include "target_core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "elf.h"

#define MAX_NOTES (64u << 10)

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct core_backing *)a)->path,
		      ((const struct core_backing *)b)->path);
}

bool core_backings_list(struct core *c)
{
	const struct core_file *f = &c->file;

	c->backings = calloc(f->nmappings + 1, sizeof *c->backings);
	c->backing_of = calloc(f->nmappings + 1, sizeof *c->backing_of);
	if (!c->backings || !c->backing_of)
		return false;
	for (size_t i = 0; i < f->nmappings; i++)
		c->backings[i].path = f->mappings[i].path;
	qsort(c->backings, f->nmappings, sizeof *c->backings, by_path);
	for (size_t i = 0; i < f->nmappings; i++) {
		if (!i || strcmp(c->backings[i].path, c->backings[c->nbackings - 1].path) != 0)
			c->backings[c->nbackings++] = c->backings[i];
	}
	for (size_t i = 0; i < f->nmappings; i++) {
		const struct core_backing key = { .path = f->mappings[i].path };
		struct core_backing *b =
			bsearch(&key, c->backings, c->nbackings, sizeof key, by_path);

		c->backing_of[i] = (uint32_t)(b - c->backings);
		if (f->mappings[i].offset == 0 && !b->has_base) {
			b->base = f->mappings[i].lo;
			b->has_base = true;
		}
	}
	return true;
}

/* The build id of the image at base, as far as the core file itself holds it. */
static void image_build_id(const struct core_file *f, uint64_t base, char id[41])
{
	Elf64_Ehdr eh;
	Elf64_Phdr ph[CORE_MAX_PHDRS];
	uint64_t bias = base;
	size_t size;
	uint8_t *notes;

	*id = '\0';
	if (core_file_read(f, base, &eh, sizeof eh) < sizeof eh ||
	    memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_phnum > CORE_MAX_PHDRS)
		return;
	size = eh.e_phnum * sizeof *ph;
	if (core_file_read(f, base + eh.e_phoff, ph, size) < size)
		return;
	for (size_t i = 0; i < eh.e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD && ph[i].p_offset < CORE_PAGE) {
			bias = base - (ph[i].p_vaddr & ~(uint64_t)(CORE_PAGE - 1));
			break;
		}
	}
	for (size_t i = 0; i < eh.e_phnum && !*id; i++) {
		if (ph[i].p_type != PT_NOTE || ph[i].p_filesz > MAX_NOTES)
			continue;
		notes = malloc(ph[i].p_filesz + 1);
		if (notes && core_file_read(f, ph[i].p_vaddr + bias, notes, ph[i].p_filesz) ==
				     ph[i].p_filesz)
			elf_note_build_id(notes, ph[i].p_filesz, ph[i].p_align, id);
		free(notes);
	}
}

/* Is the file on disk the one that was mapped? 0 or -ESTALE. */
static int verify(const struct core *c, struct core_backing *b)
{
	char mapped[41] = "", here[41];
	uint8_t first[CORE_PAGE], there[CORE_PAGE];
	struct stat st;
	size_t n = 0;

	if (b->has_base) {
		image_build_id(&c->file, b->base, mapped);
		n = core_file_read(&c->file, b->base, first, sizeof first);
	}
	elf_build_id(b->elf, here);
	b->unchanged =
		(*mapped && strcmp(mapped, here) == 0) ||
		(fstat(b->fd, &st) == 0 &&
		 (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec <= c->file.mtime_ns);
	if (*mapped && *here)
		return strcmp(mapped, here) == 0 ? 0 : -ESTALE;
	if (n == sizeof first && !*mapped)
		return pread(b->fd, there, sizeof there, 0) == (ssize_t)sizeof there &&
				       memcmp(first, there, sizeof there) == 0
			       ? 0
			       : -ESTALE;
	if (*mapped || fstat(b->fd, &st))
		return -ESTALE;
	return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec <= c->file.mtime_ns
		       ? 0
		       : -ESTALE;
}

/* The path is a stranger's word: no device is opened, nothing is waited for. */
struct core_backing *core_backing_use(struct core *c, size_t mapping)
{
	struct core_backing *b = &c->backings[c->backing_of[mapping]];
	struct stat st;
	int fd, bad;

	if (b->tried)
		return b;
	b->tried = true;
	fd = open(b->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		b->fd = -errno;
		return b;
	}
	b->fd = fd;
	bad = fstat(fd, &st) ? -errno : S_ISREG(st.st_mode) ? 0 : -ENOENT;
	if (!bad) {
		b->elf = elf_begin(fd, ELF_C_READ, NULL);
		bad = verify(c, b);
	}
	if (bad) {
		elf_end(b->elf);
		close(fd);
		b->elf = NULL;
		b->fd = bad;
	}
	return b;
}

void core_backings_free(struct core *c)
{
	for (size_t i = 0; i < c->nbackings; i++) {
		elf_end(c->backings[i].elf);
		if (c->backings[i].tried && c->backings[i].fd >= 0)
			close(c->backings[i].fd);
	}
	free(c->backings);
	free(c->backing_of);
}
