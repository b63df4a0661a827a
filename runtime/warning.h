/* SPDX-License-Identifier: MIT */
/*
 * warning.h - what a program under GORO_LOCKORDER or GORO_DEBUG says about itself and goes on.
 */
#ifndef GORO_WARNING_H
#define GORO_WARNING_H

#include <stdio.h>

#include "runtime.h"

enum { STACK_FRAMES = 12 };

/* Return addresses, leaf first. */
struct call_stack {
	uint32_t n;
	uintptr_t pc[STACK_FRAMES];
};

/* The calling thread's stack, from the function that called the runtime. */
void goro_stack_take(struct call_stack *at);
/* The same from where `pc` is the return address of a call. */
void goro_stack_take_from(struct call_stack *at, uintptr_t pc);

/*
 * On a thread's stack, since libdw needs more than a goroutine has, and without a P: it may take a
 * while. Between begin and end nobody else writes a warning.
 */
void goro_warning_begin(void);
/* The program's own frames; what is below main is the C library's. */
void goro_warning_stack(FILE *out, const struct call_stack *at);
void goro_warning_end(void);

/* To stderr, and for `goro check` at its gate. kind: what its line there begins with. */
void goro_warning_say(const char *kind, const char *text);

#endif /* GORO_WARNING_H */
