/* SPDX-License-Identifier: MIT */
/*
 * text.h - durations, sizes and numbers for people. Data formats have plain nanoseconds and bytes.
 */
#ifndef GORO_TEXT_H
#define GORO_TEXT_H

#include <stdint.h>

#define TEXT_NUMBER 24 /* room for one of them, or for an address */

const char *text_duration(char text[TEXT_NUMBER], uint64_t ns); /* "850ms", "3.2s", "12m5s" */
const char *text_bytes(char text[TEXT_NUMBER], uint64_t bytes); /* "512 B", "1.2 MiB" */

/* What ends a word of which there are so many: "2 goroutines", "1 goroutine". */
static inline const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

#endif /* GORO_TEXT_H */
