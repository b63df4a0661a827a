/* SPDX-License-Identifier: MIT */
/*
 * sanitizer.c - say so when the program has a sanitizer and this library was built without.
 *
 * Such a sanitizer is told of no switch to another stack. ThreadSanitizer then writes beyond its
 * own stack of calls, soon or late; AddressSanitizer takes a stack for another and reports what is
 * not so. Telling it from an ordinary build would cost each switch a look at what is not there.
 */
#include "sanitizer.h"

#include "runtime.h"

/*
 * The runtimes of gcc and clang have these, in an executable or a library. (Not their _init: by
 * that name people look for sanitizers in a program.)
 */
/* NOLINTBEGIN(bugprone-reserved-identifier) */
extern void __tsan_func_entry(void *pc) __attribute__((weak));
extern void __asan_report_load1(void *at) __attribute__((weak));
/* NOLINTEND(bugprone-reserved-identifier) */

void goro_sanitizer_check(void)
{
#if !GORO_TSAN
	if (__tsan_func_entry)
		goro_throw("the program has ThreadSanitizer and libgoro has not, which that does "
			   "not survive; build goro with it, too: cmake --preset tsan");
#endif
#if !GORO_ASAN
	static const char warning[] =
		"goro: the program has AddressSanitizer and libgoro has not: its reports may be "
		"false; build goro with it, too: cmake --preset asan\n";

	if (__asan_report_load1)
		os_write(2, warning, sizeof(warning) - 1);
#endif
}
