/* SPDX-License-Identifier: MIT */
/*
 * error.c - error objects.
 */
#include "error.h"

#include <stdarg.h>
#include <stdlib.h>

static char no_memory[] = "out of memory";

struct goro_error goro_enomem = { .code = GORO_PARTIAL, .message = no_memory };

static struct goro_error *error_make(enum goro_status code, uint64_t address, const char *fmt,
				     va_list ap)
{
	struct goro_error *err = calloc(1, sizeof *err);

	if (!err)
		return &goro_enomem;
	err->code = code;
	err->address = address;
	if (vasprintf(&err->message, fmt, ap) < 0) {
		free(err);
		return &goro_enomem;
	}
	return err;
}

struct goro_error *goro_error_new(enum goro_status code, const char *fmt, ...)
{
	struct goro_error *err;
	va_list ap;

	va_start(ap, fmt);
	err = error_make(code, 0, fmt, ap);
	va_end(ap);
	return err;
}

struct goro_error *goro_error_at(enum goro_status code, uint64_t address, const char *fmt, ...)
{
	struct goro_error *err;
	va_list ap;

	va_start(ap, fmt);
	err = error_make(code, address, fmt, ap);
	va_end(ap);
	return err;
}

struct goro_error *goro_error_hint(struct goro_error *err, const char *fmt, ...)
{
	va_list ap;

	if (err == &goro_enomem)
		return err;
	free(err->hint);
	va_start(ap, fmt);
	if (vasprintf(&err->hint, fmt, ap) < 0)
		err->hint = NULL;
	va_end(ap);
	return err;
}

void goro_error_free(struct goro_error *err)
{
	if (!err || err == &goro_enomem)
		return;
	free(err->message);
	free(err->hint);
	free(err);
}
