/* SPDX-License-Identifier: MIT */
/*
 * target_core.h - what the files target_core*.c share: a core file as a target.
 *
 * core_file.h takes the file apart, and core_threads.h reads the registers. target_core_backing.c
 * opens the files that were mapped, target_core_maps.c puts the memory map together,
 * target_core_memory.c reads what is mapped and says what is not there, target_core_kept.c whether
 * the kernel may have had something.
 */
#ifndef GORO_TARGET_CORE_H
#define GORO_TARGET_CORE_H

#include <libelf.h>

#include "core_file.h"
#include "core_threads.h"
#include "target.h"

#define CORE_PAGE      4096u
#define CORE_MAX_PHDRS 64u /* of a mapped file, to look at */

/* One file that was mapped, however many times. */
struct core_backing {
	const char *path;
	uint64_t base; /* where its first byte was mapped, if `has_base` */
	bool has_base, tried;
	int fd;		/* -errno: cannot be used */
	bool unchanged; /* nobody wrote to it since: its content is what was mapped */
	Elf *elf;
};

struct core {
	struct target target;
	struct core_file file;
	struct core_backing *backings; /* by path */
	size_t nbackings;
	uint32_t *backing_of; /* index of each mapping's */
	struct core_threads threads;
};

/* ---- target_core_backing.c: the files behind the maps -------------------------------------- */

/* Name them all. False: no memory. */
bool core_backings_list(struct core *c);
/* The one behind that mapping, opened if it is the one that was mapped. */
struct core_backing *core_backing_use(struct core *c, size_t mapping);
void core_backings_free(struct core *c);

/* ---- target_core_maps.c -------------------------------------------------------------------- */

/* The index of the mapping that address lies in, or SIZE_MAX. */
size_t core_find_mapping(const struct core_file *f, uint64_t address);
struct goro_error *core_maps(struct target *t, struct target_maps *ret);

/* ---- target_core_memory.c: see struct target_ops ------------------------------------------- */

struct goro_error *core_read(struct target *t, struct target_read *v, size_t n);
bool core_own_pages(struct target *t, uint64_t lo, uint64_t hi, uint8_t *own);
void core_resident(struct target *t, struct target_range *v, size_t n);
bool core_missing(struct target *t, uint64_t lo, uint64_t hi, struct target_gap *ret);

/* ---- target_core_kept.c: see struct target_ops --------------------------------------------- */

bool core_gives(struct target *t, struct target_gives *ret);

#endif /* GORO_TARGET_CORE_H */
