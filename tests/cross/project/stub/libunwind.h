/* SPDX-License-Identifier: MIT */
/* libunwind.h - the one thing that fatal reports ask of libunwind outside traceback.c. */
#ifndef STUB_LIBUNWIND_H
#define STUB_LIBUNWIND_H

#include <ucontext.h>

typedef ucontext_t unw_context_t;
#define unw_getcontext(uc) getcontext(uc)

#endif /* STUB_LIBUNWIND_H */
