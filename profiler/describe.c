/* SPDX-License-Identifier: MIT */
/*
 * describe.c - what lies at an address of data, in words.
 */
#include <gelf.h>
#include <inttypes.h>
#include <string.h>

#include "scope.h"

/* A variable of this module that contains the address. */
static bool find_variable(struct module *m, uint64_t address, char *text, size_t size)
{
	Elf_Scn *scn = NULL;

	while (m->elf && (scn = elf_nextscn(m->elf, scn))) {
		GElf_Shdr sh;
		Elf_Data *data;
		size_t n;

		if (!gelf_getshdr(scn, &sh) ||
		    (sh.sh_type != SHT_SYMTAB && sh.sh_type != SHT_DYNSYM) || !sh.sh_entsize)
			continue;
		data = elf_getdata(scn, NULL);
		n = data ? data->d_size / sh.sh_entsize : 0;
		for (size_t i = 0; i < n; i++) {
			GElf_Sym sym;
			const char *name;
			uint64_t at;

			if (!gelf_getsym(data, (int)i, &sym) ||
			    GELF_ST_TYPE(sym.st_info) != STT_OBJECT || !sym.st_size)
				continue;
			at = sym.st_value + m->bias;
			name = elf_strptr(m->elf, sh.sh_link, sym.st_name);
			if (address < at || address - at >= sym.st_size || !name)
				continue;
			if (address == at)
				snprintf(text, size, "the variable %s of %s", name, m->path);
			else
				snprintf(text, size, "the variable %s+%" PRIu64 " of %s", name,
					 address - at, m->path);
			return true;
		}
	}
	return false;
}

static void describe(struct goro_scope *scope, uint64_t address, char *text, size_t size)
{
	const struct target_map *map = target_maps_find(&scope->modules.maps, address);

	for (size_t i = 0; i < scope->modules.n; i++) {
		if (find_variable(scope->modules.v[i], address, text, size))
			return;
	}
	if (map && map->path && map->inode)
		snprintf(text, size, "data of %s", map->path);
	else if (map && map->path)
		snprintf(text, size, "%s", map->path);
	else
		snprintf(text, size, "a mapping without a name, of %" PRIu64 " KiB",
			 map ? (map->hi - map->lo) >> 10 : 0);
}

void goro_scope_describe(struct goro_scope *scope, uint64_t address, char *text, size_t size)
{
	pthread_mutex_lock(&scope->lock);
	describe(scope, address, text, size);
	pthread_mutex_unlock(&scope->lock);
}
