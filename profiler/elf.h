/* SPDX-License-Identifier: MIT */
/*
 * elf.h - the executables and libraries that are mapped in a target.
 *
 * A module is one ELF file at one load address. Its file is opened through the target, so that a
 * deleted executable or a container's library is the very file that runs, not its namesake here.
 */
#ifndef GORO_ELF_H
#define GORO_ELF_H

#include <libelf.h>
#include "error.h"
#include "target.h"

struct cfi_table;

struct module {
	struct target *target; /* whose it is */
	char *path;	       /* as the target sees it */
	uint64_t dev, inode;
	uint64_t lo, hi; /* what its maps span in the target */
	uint64_t bias;	 /* address in the target - address in the file */
	int fd;		 /* its file, or -1 */
	int no_file;	 /* errno: why there is none, or 0 */
	Elf *elf;	 /* NULL without a file */
	unsigned machine;
	char build_id[41]; /* hex, or "" */

	struct cfi_table *eh_frame, *debug_frame; /* see unwind.c; made at the first use */
	bool eh_frame_tried, debug_frame_tried;
	char *no_split; /* a .dwo that it names and that is not there; or NULL */
	bool seen;	/* by the refresh that runs */
};

/* One executable map of a module, or of nothing (code made at run time). */
struct module_text {
	uint64_t lo, hi;
	struct module *module; /* or NULL */
};

struct modules {
	struct target_maps maps;
	struct module **v;
	size_t n;
	struct module_text *text; /* sorted by address */
	size_t ntext;
	unsigned generation; /* +1 when modules come or go */
	bool without_files;  /* set before the first refresh: open none */
};

/* Read the memory map again. Modules that are still there keep their address and their caches. */
struct goro_error *modules_refresh(struct modules *ms, struct target *t);
void modules_free(struct modules *ms);

/* The executable map that contains pc, or NULL. */
const struct module_text *modules_find_text(const struct modules *ms, uint64_t pc);
/* The module that contains address, or NULL. */
struct module *modules_find(const struct modules *ms, uint64_t address);

/* A section's content, decompressed; NULL if there is none. *address: where it lies in the file's
 * address space. */
const uint8_t *module_section(struct module *m, const char *name, size_t *size, uint64_t *address);

/* The build id of a file, or of the bytes of a PT_NOTE segment, as hex; "" if it has none. */
void elf_build_id(Elf *elf, char id[41]);
void elf_note_build_id(const uint8_t *notes, size_t size, uint64_t align, char id[41]);

/* A symbol of .symtab or .dynsym as an address in the target; 0: none. */
uint64_t module_symbol(struct module *m, const char *name);

#endif /* GORO_ELF_H */
