/* SPDX-License-Identifier: MIT */
/*
 * lines.h - pc -> function, file, line inside this process, for fatal reports.
 */
#ifndef GORO_LINES_H
#define GORO_LINES_H

#include <stdbool.h>
#include <stdint.h>

struct line {
	char function[256]; /* "?" if unknown */
	char file[512];	    /* else the module's path */
	int number;	    /* 0: unknown */
	uintptr_t offset;   /* pc in the function, or in the module */
};

void goro_lines_init(void);
/* From now on functions only: allocates nothing. */
void goro_lines_plain(void);

/* symtab.c: the function, or NULL, and the pc's offset in it; in the module if NULL. */
const char *goro_function_of(uintptr_t pc, const char **module, uintptr_t *offset);
bool goro_is_code(uintptr_t pc);
void goro_line_of(uintptr_t pc, bool is_return, struct line *line);

#endif /* GORO_LINES_H */
