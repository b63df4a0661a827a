/* SPDX-License-Identifier: MIT */
/*
 * symbolize.h - program counter -> functions, files and lines, through libdw.
 *
 * Each pc is looked up once in the life of a symbolizer; strings and arrays live as long as it.
 */
#ifndef GORO_SYMBOLIZE_H
#define GORO_SYMBOLIZE_H

#include "elf.h"
#include "profiler.h"

struct symbolizer;

/* runtime_pc: an address in the runtime's code, by which the rest of it is known. */
struct symbolizer *symbolizer_new(struct modules *ms, uint64_t runtime_pc);
void symbolizer_free(struct symbolizer *s);

/*
 * Give back what the debug information takes: of a program and its libc some 15 MB. What was looked
 * up stays; the next pc that was not opens the files of its module again.
 */
void symbolizer_close_files(struct symbolizer *s);

/* Where the runtime's functions are: they are known by that where they have no names. The ranges
 * live longer than the symbolizer looks anything up. */
struct goro_text_range;
void symbolizer_runtime_text(struct symbolizer *s, const struct goro_text_range *v, size_t n);

/* One that knows nothing but what it is told. Told again, the last word counts. */
struct symbolizer *symbolizer_new_told(void);
bool symbolizer_tell(struct symbolizer *s, uint64_t pc, bool is_return,
		     const struct goro_frame *frames, size_t n);

/* One copy of a string for the life of the symbolizer; NULL for NULL and when memory is out. */
const char *symbolizer_keep(struct symbolizer *s, const char *string);

/* The frames of pc, inlined ones first; at least one. NULL: out of memory. */
const struct goro_frame *symbolize(struct symbolizer *s, uint64_t pc, bool is_return, size_t *n);

#endif /* GORO_SYMBOLIZE_H */
