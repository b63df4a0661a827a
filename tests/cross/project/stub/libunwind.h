/* SPDX-License-Identifier: MIT */
/* libunwind.h - what is asked of libunwind outside traceback.c: the C library has it, too. */
#ifndef STUB_LIBUNWIND_H
#define STUB_LIBUNWIND_H

#include <execinfo.h>
#include <ucontext.h>

typedef ucontext_t unw_context_t;
#define unw_getcontext(uc) getcontext(uc)
#define unw_backtrace	   backtrace

#endif /* STUB_LIBUNWIND_H */
