/* SPDX-License-Identifier: MIT */
/*
 * code_use.h - at which address the code that follows uses a pointer that it has.
 *
 * Compilers keep pointers that lie outside of what they lead to. Of a loop over an array of structs
 * that waits for two fields of each, gcc makes one that steps on before it waits for the first and
 * then loads the second from behind the pointer: at the last element, nothing is left that points
 * into the array. So it does not do to know a word: what it leads to is where it is used.
 *
 * From a point in the code all ways are followed, until each register and each word of the frame
 * was used once as an address. (C's pointers do not leave their object. So what is used first tells
 * which one it is, and what else is done with it says nothing new.) Only uses beside what the word
 * says are of interest: so many bytes, and so many times what another word says, as in a loop that
 * uses a[i - n], of which a - n was made before it.
 *
 * What is not followed: pointers in registers that are not general ones. Where there are more ways
 * than anybody has the time for, that is said.
 */
#ifndef GORO_CODE_USE_H
#define GORO_CODE_USE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a word is, when the point is reached. Below these: a register, as DWARF counts them. */
enum {
	CODE_USE_FRAME = 32, /* in memory, `slot` bytes from the stack pointer */
	CODE_USE_FP,	     /* and from the frame pointer */
};

struct code_place {
	uint8_t in;
	int32_t slot;
};

/* The address that is used is the word, `factor` times the index, if that is not 0, and `beside`.
 */
struct code_use {
	struct code_place word, index;
	int32_t factor;
	int32_t beside;
};

enum { CODE_USES_MAX = 96 };

struct code_point {
	uint64_t pc, end;   /* end: of the function's code; 0: not known */
	bool returned;	    /* a call returns there: it has preserved some registers only */
	bool frame_pointer; /* the function has one, in the register that is used for it */
	/* Bytes of code, as many as there are: 0 to size. */
	size_t (*read)(void *arg, uint64_t address, void *to, size_t size);
	void *arg;
};

/* How many of them there are. *all: and there are no others. */
size_t code_uses_x86_64(const struct code_point *point, struct code_use ret[CODE_USES_MAX],
			bool *all);

#endif /* GORO_CODE_USE_H */
