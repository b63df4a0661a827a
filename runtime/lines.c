/* SPDX-License-Identifier: MIT */
/*
 * lines.c - pc -> function, file, line inside this process, for fatal reports.
 *
 * Functions come from libunwind. Lines need DWARF: libdw is loaded at that moment if it is
 * installed, because the runtime must not depend on it for the one report that a program writes in
 * its life. Without it a frame shows its module and the offset in it, which addr2line takes.
 */
#define UNW_LOCAL_ONLY
#include <dlfcn.h>
#include <elfutils/libdwfl.h>
#include <libunwind.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#include "lines.h"
#include "runtime.h"

#define LIBDW(X)                    \
	X(dwfl_begin)               \
	X(dwfl_linux_proc_report)   \
	X(dwfl_report_end)          \
	X(dwfl_addrmodule)          \
	X(dwfl_module_addrinfo)     \
	X(dwfl_module_getsrc)       \
	X(dwfl_lineinfo)            \
	X(dwfl_linux_proc_find_elf) \
	X(dwfl_standard_find_debuginfo)

static struct {
#define POINTER(f) __typeof__(&f) f;
	LIBDW(POINTER)
	Dwfl *dwfl;
	bool tried;
} dw;

void goro_lines_init(void)
{
	static Dwfl_Callbacks callbacks;
	void *lib;

	if (dw.tried)
		return;
	dw.tried = true;
	if (!getauxval(AT_BASE))
		return; /* a static executable cannot load libraries */
	lib = dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return;
#define LOAD(f)                                  \
	dw.f = (__typeof__(dw.f))dlsym(lib, #f); \
	if (!dw.f)                               \
		return;
	LIBDW(LOAD)
	callbacks.find_elf = dw.dwfl_linux_proc_find_elf;
	callbacks.find_debuginfo = dw.dwfl_standard_find_debuginfo;
	dw.dwfl = dw.dwfl_begin(&callbacks);
	if (dw.dwfl && (dw.dwfl_linux_proc_report(dw.dwfl, os_pid()) ||
			dw.dwfl_report_end(dw.dwfl, NULL, NULL)))
		dw.dwfl = NULL;
}

static void by_libunwind(uintptr_t pc, uintptr_t look, struct line *line)
{
	unw_word_t offset = 0;
	unw_context_t uc;
	unw_cursor_t cursor;
	Dl_info info;

	unw_getcontext(&uc);
	if (!unw_init_local(&cursor, &uc) && !unw_set_reg(&cursor, UNW_REG_IP, look) &&
	    !unw_get_proc_name(&cursor, line->function, sizeof(line->function), &offset))
		line->offset = offset + (pc - look);
	if (dladdr((void *)look, &info) && info.dli_fname) {
		snprintf(line->file, sizeof(line->file), "%s", info.dli_fname);
		if (line->function[0] == '?')
			line->offset = pc - (uintptr_t)info.dli_fbase;
	}
}

static void by_libdw(uintptr_t pc, uintptr_t look, struct line *line)
{
	Dwfl_Module *mod = dw.dwfl_addrmodule(dw.dwfl, look);
	GElf_Off offset;
	GElf_Sym sym;
	Dwfl_Line *at;
	const char *s;
	int number = 0;

	if (!mod)
		return;
	s = dw.dwfl_module_addrinfo(mod, look, &offset, &sym, NULL, NULL, NULL);
	if (s) {
		snprintf(line->function, sizeof(line->function), "%s", s);
		line->offset = offset + (pc - look);
	}
	at = dw.dwfl_module_getsrc(mod, look);
	s = at ? dw.dwfl_lineinfo(at, NULL, &number, NULL, NULL, NULL) : NULL;
	if (s) {
		snprintf(line->file, sizeof(line->file), "%s", s);
		line->number = number;
	}
}

void goro_line_of(uintptr_t pc, bool is_return, struct line *line)
{
	uintptr_t look = is_return ? pc - 1 : pc;

	strcpy(line->function, "?");
	strcpy(line->file, "?");
	line->number = 0;
	line->offset = 0;
	by_libunwind(pc, look, line);
	if (dw.dwfl)
		by_libdw(pc, look, line);
}
