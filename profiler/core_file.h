/* SPDX-License-Identifier: MIT */
/*
 * core_file.h - a core file taken apart: memory, notes, threads.
 *
 * What the kernel writes and what gdb's gcore writes differ in order and in what is left out; both
 * are read here. Every number in the file is taken for hostile: what does not fit is left out, and
 * time and memory are linear in the size that the file really has.
 */
#ifndef GORO_CORE_FILE_H
#define GORO_CORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "error.h"

/* Memory [lo, hi), of which the first `filesz` bytes are in the core file. */
struct core_segment {
	uint64_t lo, hi;
	uint64_t offset, filesz;
	bool readable, writable, executable;
};

/* Memory [lo, hi) that was mapped from a file. */
struct core_mapping {
	uint64_t lo, hi;
	uint64_t offset;  /* in that file */
	const char *path; /* as the process saw it */
};

/* A thread as it was when it stopped. Registers are as the kernel lays them out. */
struct core_thread {
	uint32_t tid;
	int signal; /* that it stopped for, or 0 */
	const uint8_t *registers, *float_registers, *xstate, *sve;
	size_t registers_size, float_registers_size, xstate_size, sve_size;
	bool sme; /* AArch64: it has registers of the matrix extension, too */
};

struct core_file {
	int fd;
	uint64_t size;	 /* of the file as it is */
	uint64_t claims; /* its size by its own headers: more when it was cut short */
	int64_t mtime_ns;
	bool sparse; /* holes in it are pages that were never touched */
	unsigned machine;
	uint8_t *notes; /* what the strings and registers point into */
	size_t notes_size;

	struct core_segment *segments; /* by rising address, not overlapping */
	size_t nsegments;
	struct core_mapping *mappings; /* likewise */
	size_t nmappings;
	struct core_thread *threads;
	size_t nthreads;

	int pid;
	char name[17];
	uint64_t entry; /* AT_ENTRY: an address in the program, or 0 */
	uint64_t hwcap; /* AT_HWCAP */
	uint64_t vdso;	/* AT_SYSINFO_EHDR: where the kernel mapped its library, or 0 */

	/* NT_SIGINFO of the first thread, which is the one that the kernel made the core for. */
	int signal, signal_code;
	uint64_t signal_address;

	unsigned nnotes;
	bool other_order; /* of its notes than the kernel's */
	bool dropped;	  /* some of it made no sense or found no memory, and was left out */
	/*
	 * It says of all memory that the process had, whether it is in it. The kernel's core files
	 * do. gdb leaves out what is marked by MADV_DONTDUMP, and what it could not read it writes
	 * as zeros; neither shows.
	 */
	bool lists_all;
};

/* Takes the descriptor over, also when it fails. `path` is for messages. */
struct goro_error *core_file_open(struct core_file *core, int fd, const char *path);
void core_file_close(struct core_file *core);

/* The segment that holds address, or NULL. */
const struct core_segment *core_file_find(const struct core_file *core, uint64_t address);

/* Read memory that is in the core file itself; how many bytes from the start are there. */
size_t core_file_read(const struct core_file *core, uint64_t address, void *to, size_t len);

#endif /* GORO_CORE_FILE_H */
