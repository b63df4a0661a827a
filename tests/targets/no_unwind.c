/* SPDX-License-Identifier: MIT */
/*
 * no_unwind.c - libunwind's names without libunwind, whose static library (Debian's, at least) is
 * not position-independent. A static PIE with this in its place has no stacks in fatal reports, and
 * lacks nothing else.
 */
#define UNW_LOCAL_ONLY
#include <execinfo.h>
#include <libunwind.h>
#include <ucontext.h>

int unw_getcontext(unw_context_t *context)
{
	return getcontext((ucontext_t *)context);
}

int unw_init_local(unw_cursor_t *cursor, unw_context_t *context)
{
	(void)cursor, (void)context;
	return -UNW_EUNSPEC;
}

int unw_init_local2(unw_cursor_t *cursor, unw_context_t *context, int flag)
{
	(void)cursor, (void)context, (void)flag;
	return -UNW_EUNSPEC;
}

int unw_step(unw_cursor_t *cursor)
{
	(void)cursor;
	return 0;
}

int unw_get_reg(unw_cursor_t *cursor, int reg, unw_word_t *value)
{
	(void)cursor, (void)reg, (void)value;
	return -UNW_EBADREG;
}

int unw_get_proc_info(unw_cursor_t *cursor, unw_proc_info_t *info)
{
	(void)cursor, (void)info;
	return -UNW_ENOINFO;
}

int unw_backtrace(void **pcs, int n)
{
	return backtrace(pcs, n);
}
