/* SPDX-License-Identifier: MIT */
/*
 * symtab.c - pc -> function inside this process, from the symbol tables of the files it is made of.
 *
 * It allocates nothing, since the program may have died in malloc: libunwind's and libdw's ways to
 * a name both allocate. Files are mapped whole once and stay mapped; whoever asks ends the process.
 */
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <string.h>

#include "lines.h"
#include "runtime.h"

enum { MODULES_MAX = 64 };

struct module {
	uintptr_t lo, hi, bias;
	bool executable;
	const char *path;
	const unsigned char *image; /* NULL: no such file any more */
	size_t size;
};

struct search {
	uintptr_t pc;
	struct module found;
};

static int look_at(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct search *s = arg;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t lo = info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type != PT_LOAD || s->pc < lo || s->pc - lo >= ph->p_memsz)
			continue;
		s->found = (struct module){ lo,
					    lo + ph->p_memsz,
					    info->dlpi_addr,
					    ph->p_flags & PF_X,
					    info->dlpi_name,
					    NULL,
					    0 };
		return 1;
	}
	return 0;
}

static const struct module *module_of(uintptr_t pc)
{
	static struct module modules[MODULES_MAX];
	static int n;
	struct search s = { .pc = pc };
	struct module *m = &s.found;

	for (int i = 0; i < n; i++)
		if (pc >= modules[i].lo && pc < modules[i].hi)
			return &modules[i];
	if (!dl_iterate_phdr(look_at, &s))
		return NULL;
	m->image = os_map_file(m->path && m->path[0] ? m->path : NULL, &m->size);
	if (!m->path || !m->path[0])
		m->path = program_invocation_name;
	if (n == MODULES_MAX) /* the last one makes room */
		n--;
	modules[n] = *m;
	return &modules[n++];
}

/* A part of the file, or NULL if the file does not have so much. */
static const void *part(const struct module *m, uint64_t offset, uint64_t size)
{
	return offset <= m->size && size <= m->size - offset ? m->image + offset : NULL;
}

static const ElfW(Shdr) * section(const struct module *m, uint32_t type)
{
	const ElfW(Ehdr) *eh = part(m, 0, sizeof(*eh));
	const ElfW(Shdr) * sh;

	if (!eh || memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0 || eh->e_shentsize != sizeof(*sh))
		return NULL;
	sh = part(m, eh->e_shoff, (uint64_t)eh->e_shnum * sizeof(*sh));
	for (int i = 0; sh && i < eh->e_shnum; i++)
		if (sh[i].sh_type == type && sh[i].sh_link < eh->e_shnum)
			return &sh[i];
	return NULL;
}

/* The function that the address (as the file counts) lies in; what has no size reaches on. */
static const ElfW(Sym) * symbol(const struct module *m, const ElfW(Shdr) * table, uintptr_t addr)
{
	const ElfW(Sym) *syms = part(m, table->sh_offset, table->sh_size), *best = NULL;

	for (uint64_t i = 0; syms && i < table->sh_size / sizeof(*syms); i++) {
		const ElfW(Sym) *sym = &syms[i];

		if (ELF64_ST_TYPE(sym->st_info) == STT_FUNC && sym->st_shndx != SHN_UNDEF &&
		    sym->st_value <= addr &&
		    (!sym->st_size || addr - sym->st_value < sym->st_size) &&
		    (!best || sym->st_value > best->st_value))
			best = sym;
	}
	return best;
}

static const char *name_in(const struct module *m, uint32_t type, uintptr_t addr, uintptr_t *offset)
{
	const ElfW(Shdr) *table = m->image ? section(m, type) : NULL;
	const ElfW(Sym) *sym = table ? symbol(m, table, addr) : NULL;
	const ElfW(Ehdr) *eh = (const void *)m->image;
	const ElfW(Shdr) * names;
	const char *name;

	if (!sym)
		return NULL;
	names = part(m, eh->e_shoff + table->sh_link * sizeof(*names), sizeof(*names));
	name = names && sym->st_name < names->sh_size
		       ? part(m, names->sh_offset + sym->st_name, names->sh_size - sym->st_name)
		       : NULL;
	if (!name || !memchr(name, '\0', names->sh_size - sym->st_name))
		return NULL;
	*offset = addr - sym->st_value;
	return name;
}

const char *goro_function_of(uintptr_t pc, const char **module, uintptr_t *offset)
{
	const struct module *m = module_of(pc);
	const char *name;

	if (!m)
		return NULL;
	*module = m->path;
	*offset = pc - m->bias;
	name = name_in(m, SHT_SYMTAB, pc - m->bias, offset);
	return name ? name : name_in(m, SHT_DYNSYM, pc - m->bias, offset);
}

bool goro_is_code(uintptr_t pc)
{
	const struct module *m = module_of(pc);

	return m && m->executable;
}
