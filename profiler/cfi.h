/* SPDX-License-Identifier: MIT */
/*
 * cfi.h - call frame information, compiled into rows.
 *
 * .eh_frame is a program for a small machine, run again for every frame of every stack by most
 * unwinders. Here it runs once: what comes out is a sorted table, pc -> how to find the caller.
 * Only the stack pointer, the frame pointer and the return address are followed; whatever needs
 * more than these says so in its row. (The kernel's ORC, async-profiler and framehop do the same.)
 */
#ifndef GORO_CFI_H
#define GORO_CFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cfi_cfa {
	CFI_NONE,    /* no information for these addresses */
	CFI_SP,	     /* CFA = stack pointer + cfa_offset */
	CFI_FP,	     /* CFA = frame pointer + cfa_offset */
	CFI_AT_FP,   /* CFA = what lies at frame pointer + cfa_offset */
	CFI_COMPLEX, /* an expression, another register, a signal frame */
};

enum cfi_reg {
	CFI_SAME,
	CFI_SAVED,	 /* at CFA + offset */
	CFI_UNDEFINED,	 /* return address: this is the outermost frame */
	CFI_SAVED_AT_FP, /* frame pointer: at itself + offset */
};

struct cfi_rule {
	int32_t cfa_offset, fp_offset, ra_offset;
	uint8_t cfa;	/* enum cfi_cfa */
	uint8_t fp, ra; /* enum cfi_reg */
};

struct cfi_table {
	uint64_t base; /* rows count from here, in the file's addresses */
	uint32_t *pcs; /* rising; a row holds up to the next one */
	struct cfi_rule *rules;
	size_t n;
};

struct cfi_section {
	const uint8_t *data;
	size_t size;
	uint64_t address; /* of data[0], in the file's addresses */
	bool eh;	  /* .eh_frame, not .debug_frame */
	unsigned machine; /* ELF e_machine */
};

/* NULL: out of memory, a machine we do not know, or nothing usable in it. */
struct cfi_table *cfi_compile(const struct cfi_section *s);
void cfi_free(struct cfi_table *t);

/* Where the entry of the function at `start` lies; both are addresses of the file. */
struct cfi_entry {
	uint64_t start, address;
};

/* All of them, sorted by start: what .eh_frame_hdr holds when there is one. NULL: none. */
struct cfi_entry *cfi_index(const struct cfi_section *s, size_t *n);

/* The rule of pc (an address of the file), or NULL. */
const struct cfi_rule *cfi_find(const struct cfi_table *t, uint64_t pc);

/* Does the frame pointer, where a function keeps one, tell the CFA (CFA = frame pointer + 16)? */
bool cfi_frame_pointer_is_exact(unsigned machine);

/* DWARF's number of the frame pointer; 0: a machine that we do not know. */
unsigned cfi_frame_pointer(unsigned machine);

#endif /* GORO_CFI_H */
