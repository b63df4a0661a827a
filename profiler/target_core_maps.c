/* SPDX-License-Identifier: MIT */
/*
 * target_core_maps.c - the memory map of a process, from its core file and the files it names.
 */
#include "target_core.h"

#include <gelf.h>
#include <stdlib.h>
#include <string.h>

size_t core_find_mapping(const struct core_file *f, uint64_t address)
{
	size_t lo = 0, hi = f->nmappings;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (address < f->mappings[mid].lo)
			hi = mid;
		else if (address >= f->mappings[mid].hi)
			lo = mid + 1;
		else
			return mid;
	}
	return SIZE_MAX;
}

/* gdb leaves out what it need not write, permissions included: the file's own headers have them. */
static void flags_of_file(struct core *c, size_t mapping, struct target_map *m)
{
	const struct core_backing *b = core_backing_use(c, mapping);
	size_t n = 0;

	m->readable = true;
	if (!b->elf || elf_getphdrnum(b->elf, &n) < 0)
		return;
	for (size_t i = 0; i < n && i < CORE_MAX_PHDRS; i++) {
		GElf_Phdr ph;

		if (!gelf_getphdr(b->elf, (int)i, &ph) || ph.p_type != PT_LOAD ||
		    m->offset < (ph.p_offset & ~(uint64_t)(CORE_PAGE - 1)) ||
		    m->offset >= ph.p_offset + ph.p_filesz)
			continue;
		m->writable = ph.p_flags & PF_W;
		m->executable = ph.p_flags & PF_X;
		/* A page on a border is mapped twice; the segment that begins there is meant. */
		if ((ph.p_offset & ~(uint64_t)(CORE_PAGE - 1)) == m->offset)
			return;
	}
}

static void flags_of_segment(const struct core_segment *s, struct target_map *m)
{
	m->readable = s->readable;
	m->writable = s->writable;
	m->executable = s->executable;
}

/* Name the file of a map that lies within one mapping or within none. */
static void name_map(struct core *c, struct target_map *m)
{
	size_t i = core_find_mapping(&c->file, m->lo);
	const struct core_mapping *f;

	if (i == SIZE_MAX) {
		if (m->lo == c->file.vdso)
			m->path = strdup(TARGET_VDSO);
		return;
	}
	f = &c->file.mappings[i];
	m->offset = f->offset + (m->lo - f->lo);
	m->dev = 1;
	m->inode = c->backing_of[i] + 1u;
	m->path = strdup(f->path);
}

/*
 * The borders of all segments and mappings cut the address space into pieces; each piece lies in at
 * most one of either.
 */
static size_t add_piece(struct core *c, struct target_maps *maps, uint64_t lo, uint64_t hi)
{
	const struct core_segment *s = core_file_find(&c->file, lo);
	size_t mapping = core_find_mapping(&c->file, lo);
	struct target_map *m = &maps->v[maps->n];

	if (lo >= hi || (!s && mapping == SIZE_MAX))
		return maps->n;
	*m = (struct target_map){ .lo = lo, .hi = hi };
	name_map(c, m);
	if (s)
		flags_of_segment(s, m);
	else
		flags_of_file(c, mapping, m);
	return ++maps->n;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

struct goro_error *core_maps(struct target *t, struct target_maps *ret)
{
	struct core *c = (struct core *)t;
	const struct core_file *f = &c->file;
	size_t n = 2 * (f->nsegments + f->nmappings), k = 0;
	uint64_t *borders = calloc(n + 1, sizeof *borders);

	*ret = (struct target_maps){ .v = calloc(n + 1, sizeof *ret->v) };
	if (!borders || !ret->v) {
		free(borders);
		free(ret->v);
		ret->v = NULL;
		return &goro_enomem;
	}
	for (size_t i = 0; i < f->nsegments; i++) {
		borders[k++] = f->segments[i].lo;
		borders[k++] = f->segments[i].hi;
	}
	for (size_t i = 0; i < f->nmappings; i++) {
		borders[k++] = f->mappings[i].lo;
		borders[k++] = f->mappings[i].hi;
	}
	qsort(borders, n, sizeof *borders, by_value);
	for (size_t i = 0; i + 1 < n; i++)
		add_piece(c, ret, borders[i], borders[i + 1]);
	free(borders);
	return NULL;
}
