/* SPDX-License-Identifier: MIT */
/*
 * cfi_entries.h - the functions that .eh_frame or .debug_frame describes: where each begins and
 * ends, and the instructions that cfi.c compiles. Private to the two.
 */
#ifndef GORO_CFI_ENTRIES_H
#define GORO_CFI_ENTRIES_H

#include <string.h>
#include "cfi.h"

/* DWARF register numbers of the three that are followed. */
struct cfi_machine {
	unsigned elf_machine, sp, fp, ra;
	bool exact; /* CFA = fp + 16 */
};

/* NULL: one that we do not know. */
const struct cfi_machine *cfi_find_machine(unsigned elf_machine);

/* ---- reading --------------------------------------------------------------------------------- */

struct cursor {
	const uint8_t *p, *end;
	bool bad; /* read behind the end, or found nonsense */
};

static inline uint64_t get(struct cursor *c, unsigned bytes)
{
	uint64_t v = 0;

	if ((size_t)(c->end - c->p) < bytes) {
		c->bad = true;
		c->p = c->end;
		return 0;
	}
	memcpy(&v, c->p, bytes);
	c->p += bytes;
	return v;
}

static inline uint64_t get_uleb(struct cursor *c)
{
	uint64_t v = 0;

	for (unsigned shift = 0; !c->bad; shift += 7) {
		uint64_t byte = get(c, 1);

		if (shift < 64)
			v |= (byte & 0x7f) << shift;
		if (!(byte & 0x80))
			break;
	}
	return v;
}

static inline int64_t get_sleb(struct cursor *c)
{
	uint64_t v = 0, byte = 0;
	unsigned shift = 0;

	while (!c->bad) {
		byte = get(c, 1);
		if (shift < 64)
			v |= (byte & 0x7f) << shift;
		shift += 7;
		if (!(byte & 0x80))
			break;
	}
	if (shift < 64 && byte & 0x40)
		v |= ~0ull << shift;
	return (int64_t)v;
}

static inline void skip(struct cursor *c, uint64_t n)
{
	if (n > (uint64_t)(c->end - c->p)) {
		c->bad = true;
		n = (uint64_t)(c->end - c->p);
	}
	c->p += n;
}

/* ---- entries --------------------------------------------------------------------------------- */

struct cie {
	const uint8_t *at; /* which one this is; NULL: none yet */
	bool usable;
	bool has_size, signal;
	uint8_t encoding;
	uint64_t code_align;
	int64_t data_align;
	unsigned ra;
	struct cursor program;
};

struct fde {
	uint64_t start, end; /* addresses in the file */
	uint64_t address;    /* of the entry itself */
	const uint8_t *cie;
	struct cursor program;
};

/* All functions of a section, by rising start. */
struct cfi_functions {
	const struct cfi_section *s;
	const struct cfi_machine *m;
	struct cie cie; /* the last one parsed: neighbours share theirs */
	struct fde *fdes;
	size_t nfdes, cap;
	bool no_memory;
};

/* False: out of memory, a machine that we do not know, or there are none. Else free fdes. */
bool cfi_functions(struct cfi_functions *f, const struct cfi_section *s);
/* Makes f->cie the head at `at`, which may turn out not to be usable. */
void cfi_parse_cie(struct cfi_functions *f, const uint8_t *at);

#endif /* GORO_CFI_ENTRIES_H */
