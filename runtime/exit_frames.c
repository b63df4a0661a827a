/* SPDX-License-Identifier: MIT */
/*
 * exit_frames.c - which part of the stack belongs to exit() when it calls a handler: see gate.c.
 *
 * It is known by unwinding, up to the frame whose function is exit itself. What lies there are the
 * status, lists of handlers in the C library's own memory, and registers of the caller, which will
 * never be used: exit() does not return, and no handler may leave it by longjmp() (C17 7.22.4.4).
 */
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <stdlib.h>

#include "report.h"

enum { EXIT_DEPTH = 8 }; /* from us to exit(): with glibc there are 2 between */

noinline bool goro_exit_frames(uintptr_t *lo, uintptr_t *hi)
{
	unw_context_t context;
	unw_cursor_t cursor;
	unw_proc_info_t function;
	unw_word_t sp;

	*lo = 0;
	unw_getcontext(&context);
	if (unw_init_local(&cursor, &context))
		return false;
	for (int depth = 0; depth < EXIT_DEPTH && unw_step(&cursor) > 0; depth++) {
		if (unw_get_reg(&cursor, UNW_REG_SP, &sp) || unw_get_proc_info(&cursor, &function))
			return false;
		if (!*lo)
			*lo = sp;
		if (function.start_ip != (uintptr_t)exit)
			continue;
		if (!*lo || unw_step(&cursor) <= 0 || unw_get_reg(&cursor, UNW_REG_SP, &sp))
			return false;
		*hi = sp;
		return *lo < *hi;
	}
	return false;
}
