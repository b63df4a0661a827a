/* SPDX-License-Identifier: MIT */
/*
 * error.h - how the library's functions fail.
 *
 * A function that can fail returns `struct goro_error *`, NULL for success. The code is an exit
 * status, the message says what was wrong with what, the hint what to do. A read that hits an
 * unmapped page is no error but data (see target.h), because in a process that goes on running it
 * is an everyday event.
 */
#ifndef GORO_ERROR_H
#define GORO_ERROR_H

#include "profiler.h"

/* Out of memory: a static object, so that making it cannot fail. */
extern struct goro_error goro_enomem;

struct goro_error *goro_error_new(enum goro_status code, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* With the address whose read failed. */
struct goro_error *goro_error_at(enum goro_status code, uint64_t address, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Give err a hint; returns err. */
struct goro_error *goro_error_hint(struct goro_error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif /* GORO_ERROR_H */
