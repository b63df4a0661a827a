/* SPDX-License-Identifier: MIT */
/*
 * elf.c - modules of a target, through libelf.
 */
#include "elf.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "cfi.h"

#define VDSO_MAX (1u << 16) /* bytes */

/* ---- one module ------------------------------------------------------------------------------ */

static void module_free(struct module *m)
{
	cfi_free(m->eh_frame);
	cfi_free(m->debug_frame);
	elf_end(m->elf);
	if (m->fd >= 0)
		close(m->fd);
	free(m->no_split);
	free(m->path);
	free(m);
}

/*
 * The kernel maps the page of the file that holds a segment's first byte at the page that holds
 * its first address. So any map of the file that matches a segment tells the bias.
 */
static bool find_bias(struct module *m, const struct target_map *map)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	size_t n;

	if (elf_getphdrnum(m->elf, &n) < 0)
		return false;
	for (size_t i = 0; i < n && i < 4096; i++) {
		GElf_Phdr ph;
		uint64_t first;

		if (!gelf_getphdr(m->elf, (int)i, &ph) || ph.p_type != PT_LOAD)
			continue;
		first = ph.p_offset & ~(page - 1);
		if (map->offset < first || map->offset >= ph.p_offset + ph.p_filesz ||
		    map->executable != !!(ph.p_flags & PF_X))
			continue;
		m->bias = map->lo - (map->offset - first) - (ph.p_vaddr & ~(page - 1));
		return true;
	}
	return false;
}

void elf_note_build_id(const uint8_t *notes, size_t size, uint64_t align, char id[41])
{
	size_t at = 0;

	align = align == 8 ? 8 : 4;
	*id = '\0';
	while (at <= size && size - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr nh;
		uint64_t name = at + sizeof nh, desc, next;

		memcpy(&nh, notes + at, sizeof nh);
		desc = (name + nh.n_namesz + align - 1) & ~(align - 1);
		next = (desc + nh.n_descsz + align - 1) & ~(align - 1);
		if (desc + nh.n_descsz > size)
			return;
		if (nh.n_type == NT_GNU_BUILD_ID && nh.n_namesz == 4 &&
		    memcmp(notes + name, "GNU", 4) == 0) {
			for (size_t j = 0; j < nh.n_descsz && j < 20; j++)
				snprintf(id + 2 * j, 3, "%02x", notes[desc + j]);
			return;
		}
		at = next;
	}
}

void elf_build_id(Elf *elf, char id[41])
{
	size_t n;

	*id = '\0';
	if (elf_getphdrnum(elf, &n) < 0)
		return;
	for (size_t i = 0; i < n && i < 4096 && !*id; i++) {
		GElf_Phdr ph;
		Elf_Data *data;

		if (!gelf_getphdr(elf, (int)i, &ph) || ph.p_type != PT_NOTE)
			continue;
		data = elf_getdata_rawchunk(elf, (int64_t)ph.p_offset, ph.p_filesz, ELF_T_BYTE);
		if (data && data->d_buf)
			elf_note_build_id(data->d_buf, data->d_size, ph.p_align, id);
	}
}

/* The library that the kernel maps into each process comes from no file, but is one. */
static bool is_vdso(const struct target_map *map)
{
	return !map->inode && map->path && strcmp(map->path, TARGET_VDSO) == 0 &&
	       map->hi - map->lo <= VDSO_MAX;
}

/* As it lies in the target's memory, in a file of our own; -errno. */
static int vdso_open(struct target *t, const struct target_map *map)
{
	const size_t size = map->hi - map->lo;
	char *bytes = malloc(size);
	int fd = bytes ? memfd_create("vdso", MFD_CLOEXEC) : -1;
	bool ok = false;

	if (fd >= 0)
		goro_error_free(target_read_at(t, map->lo, bytes, size, &ok));
	ok = ok && write(fd, bytes, size) == (ssize_t)size;
	free(bytes);
	if (ok)
		return fd;
	if (fd >= 0)
		close(fd);
	return -ENOENT;
}

/* The file is opened by the executable map, because that is there for any module with code. */
static struct module *module_open(struct target *t, const struct target_map *map, bool file)
{
	struct module *m = calloc(1, sizeof *m);
	GElf_Ehdr eh;

	if (!m)
		return NULL;
	m->target = t;
	m->fd = -1;
	m->path = strdup(map->path ? map->path : "");
	m->dev = map->dev;
	m->inode = map->inode;
	m->lo = map->lo;
	m->hi = map->hi;
	if (file)
		m->fd = is_vdso(map) ? vdso_open(t, map) : t->ops->open_file(t, map);
	if (m->fd < 0) {
		m->no_file = file && !is_vdso(map) ? -m->fd : 0;
		m->fd = -1;
		return m;
	}
	m->elf = elf_begin(m->fd, ELF_C_READ_MMAP, NULL);
	if (!m->elf || !gelf_getehdr(m->elf, &eh) || elf_kind(m->elf) != ELF_K_ELF ||
	    !find_bias(m, map)) {
		elf_end(m->elf);
		m->elf = NULL;
		return m;
	}
	m->machine = eh.e_machine;
	elf_build_id(m->elf, m->build_id);
	return m;
}

static bool same_file(const struct module *m, const struct target_map *map)
{
	return m->dev == map->dev && m->inode == map->inode;
}

const uint8_t *module_section(struct module *m, const char *name, size_t *size, uint64_t *address)
{
	size_t names;
	Elf_Scn *scn = NULL;

	if (!m->elf || elf_getshdrstrndx(m->elf, &names) < 0)
		return NULL;
	while ((scn = elf_nextscn(m->elf, scn))) {
		GElf_Shdr sh;
		const char *s;
		Elf_Data *data;

		if (!gelf_getshdr(scn, &sh) || !(s = elf_strptr(m->elf, names, sh.sh_name)) ||
		    strcmp(s, name) != 0 || sh.sh_type == SHT_NOBITS)
			continue;
		if (sh.sh_flags & SHF_COMPRESSED && elf_compress(scn, 0, 0) < 0)
			return NULL;
		data = elf_getdata(scn, NULL);
		if (!data || !data->d_buf)
			return NULL;
		*size = data->d_size;
		*address = sh.sh_addr;
		return data->d_buf;
	}
	return NULL;
}

uint64_t module_symbol(struct module *m, const char *name)
{
	Elf_Scn *scn = NULL;

	while (m->elf && (scn = elf_nextscn(m->elf, scn))) {
		GElf_Shdr sh;
		Elf_Data *data;
		GElf_Sym sym;

		if (!gelf_getshdr(scn, &sh) ||
		    (sh.sh_type != SHT_SYMTAB && sh.sh_type != SHT_DYNSYM) || !sh.sh_entsize ||
		    !(data = elf_getdata(scn, NULL)))
			continue;
		for (size_t i = 0; i < data->d_size / sh.sh_entsize; i++) {
			const char *s;

			if (gelf_getsym(data, (int)i, &sym) && sym.st_shndx != SHN_UNDEF &&
			    (s = elf_strptr(m->elf, sh.sh_link, sym.st_name)) &&
			    strcmp(s, name) == 0)
				return sym.st_value + m->bias;
		}
	}
	return 0;
}

/* ---- all modules ----------------------------------------------------------------------------- */

static struct module *module_of(struct modules *ms, const struct target_map *map)
{
	for (size_t i = 0; i < ms->n; i++) {
		struct module *m = ms->v[i];

		/* Two copies of one library have gaps between them that no map of one copy fits. */
		if (same_file(m, map) && m->lo <= map->lo && map->hi <= m->hi)
			return m;
	}
	return NULL;
}

/* Between segments that are further apart than pages are big, nothing may be accessed: the kernel
 * and ld.so leave maps of the file there, an emulator maps of nothing. */
static bool is_hole(const struct target_map *map)
{
	return !map->inode && !map->readable && !map->writable && !map->executable;
}

/* What the maps of the file around maps->v[i] span. */
static void span(const struct target_maps *maps, size_t i, struct module *m)
{
	size_t a = i, b = i;

	while (a > 0 && (maps->v[a - 1].inode == 0 || same_file(m, &maps->v[a - 1])) &&
	       maps->v[a - 1].hi == maps->v[a].lo && maps->v[a].offset != 0)
		a--;
	while (b + 1 < maps->n &&
	       (same_file(m, &maps->v[b + 1])
			? maps->v[b + 1].offset != 0
			: is_hole(&maps->v[b + 1]) && maps->v[b + 1].lo == maps->v[b].hi))
		b++;
	while (a < i && !same_file(m, &maps->v[a]))
		a++;
	while (b > i && !same_file(m, &maps->v[b]))
		b--;
	m->lo = maps->v[a].lo;
	m->hi = maps->v[b].hi;
}

static bool add_text(struct modules *ms, const struct target_map *map, struct module *m,
		     size_t *cap)
{
	if (ms->ntext == *cap) {
		struct module_text *bigger;

		*cap = *cap ? *cap * 2 : 32;
		bigger = realloc(ms->text, *cap * sizeof *bigger);
		if (!bigger)
			return false;
		ms->text = bigger;
	}
	ms->text[ms->ntext++] = (struct module_text){ map->lo, map->hi, m };
	return true;
}

static void forget_unseen(struct modules *ms)
{
	size_t kept = 0;

	for (size_t i = 0; i < ms->n; i++) {
		if (ms->v[i]->seen) {
			ms->v[kept++] = ms->v[i];
			continue;
		}
		module_free(ms->v[i]);
		ms->generation++;
	}
	ms->n = kept;
}

struct goro_error *modules_refresh(struct modules *ms, struct target *t)
{
	struct target_maps maps;
	struct goro_error *err = t->ops->maps(t, &maps);
	size_t cap = 0;

	if (err)
		return err;
	elf_version(EV_CURRENT);
	target_maps_free(&ms->maps);
	ms->maps = maps;
	free(ms->text);
	ms->text = NULL;
	ms->ntext = 0;
	for (size_t i = 0; i < ms->n; i++)
		ms->v[i]->seen = false;
	for (size_t i = 0; i < maps.n; i++) {
		const struct target_map *map = &maps.v[i];
		struct module *m;

		if (!map->executable)
			continue;
		m = map->inode || is_vdso(map) ? module_of(ms, map) : NULL;
		if (!m && (map->inode || is_vdso(map))) {
			struct module **bigger = realloc(ms->v, (ms->n + 1) * sizeof *bigger);

			if (!bigger)
				return &goro_enomem;
			ms->v = bigger;
			m = module_open(t, map, !ms->without_files);
			if (!m)
				return &goro_enomem;
			if (map->inode)
				span(&maps, i, m);
			ms->v[ms->n++] = m;
			ms->generation++;
		}
		if (m)
			m->seen = true;
		if (!add_text(ms, map, m, &cap))
			return &goro_enomem;
	}
	forget_unseen(ms);
	return NULL;
}

void modules_free(struct modules *ms)
{
	for (size_t i = 0; i < ms->n; i++)
		module_free(ms->v[i]);
	free(ms->v);
	free(ms->text);
	target_maps_free(&ms->maps);
	*ms = (struct modules){ 0 };
}

const struct module_text *modules_find_text(const struct modules *ms, uint64_t pc)
{
	size_t lo = 0, hi = ms->ntext;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (pc < ms->text[mid].lo)
			hi = mid;
		else if (pc >= ms->text[mid].hi)
			lo = mid + 1;
		else
			return &ms->text[mid];
	}
	return NULL;
}

struct module *modules_find(const struct modules *ms, uint64_t address)
{
	for (size_t i = 0; i < ms->n; i++) {
		if (address >= ms->v[i]->lo && address < ms->v[i]->hi)
			return ms->v[i];
	}
	return NULL;
}
