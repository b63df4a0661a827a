/* SPDX-License-Identifier: MIT */
/*
 * expect.h - what the head comment of a target program says that an observer must see.
 *
 *	stack COUNT STATE [truncated]
 *		FUNCTION @MARK [*TIMES[+]]
 *		...
 *
 * A mark is the line of the source that carries the mark in a comment of its own. "+": at least.
 */
#ifndef GORO_TEST_EXPECT_H
#define GORO_TEST_EXPECT_H

#include <stdbool.h>
#include <stddef.h>

#define MAX_STACKS 32
#define MAX_FRAMES 16

struct expected_frame {
	char function[64];
	unsigned line, times;
	bool at_least;
};

struct expected_stack {
	unsigned count;
	char state[64];
	bool truncated;
	struct expected_frame frames[MAX_FRAMES];
	size_t n;
};

struct expectation {
	char *file; /* the source, without directories */
	struct expected_stack stacks[MAX_STACKS];
	size_t n;
};

/* Fails the test when the source cannot be read or says nonsense. */
void expect_read(struct expectation *e, const char *source);
void expect_free(struct expectation *e);

#endif /* GORO_TEST_EXPECT_H */
