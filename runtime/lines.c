/* SPDX-License-Identifier: MIT */
/*
 * lines.c - pc -> function, file, line inside this process, for fatal reports.
 *
 * Functions come from the symbol tables (symtab.c). Lines need DWARF: libdw is loaded at that
 * moment if it is installed, because the runtime must not depend on it for the one report that a
 * program writes in its life. Without it a frame shows its module and, where that has no symbols,
 * the offset in it, which addr2line takes.
 */
#include <dlfcn.h>
#include <elfutils/libdwfl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "lines.h"
#include "runtime.h"

enum { CACHE_LEN = 256 };

#define LIBDW(X)                    \
	X(dwfl_begin)               \
	X(dwfl_linux_proc_report)   \
	X(dwfl_report_end)          \
	X(dwfl_addrmodule)          \
	X(dwfl_module_addrinfo)     \
	X(dwfl_module_getsrc)       \
	X(dwfl_lineinfo)            \
	X(dwfl_module_nextcu)       \
	X(dwarf_haspc)              \
	X(dwarf_getsrc_die)         \
	X(dwarf_linesrc)            \
	X(dwarf_lineno)             \
	X(dwfl_linux_proc_find_elf) \
	X(dwfl_standard_find_debuginfo)

static struct {
#define POINTER(f) __typeof__(&f) f;
	LIBDW(POINTER)
	Dwfl *dwfl;
	bool tried;
} dw;

/* libdw would ask a debuginfod server for what it does not find: a dying program waits for none. */
static void ask_no_server(void)
{
	char *urls = getenv("DEBUGINFOD_URLS");

	if (urls)
		*urls = '\0';
}

void goro_lines_init(void)
{
	static Dwfl_Callbacks callbacks;
	void *lib;

	if (dw.tried)
		return;
	dw.tried = true;
	if (!getauxval(AT_BASE))
		return; /* a static executable cannot load libraries */
	ask_no_server();
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

static void by_symtab(uintptr_t pc, uintptr_t look, struct line *line)
{
	const char *module = NULL, *function = goro_function_of(look, &module, &line->offset);

	line->offset += pc - look;
	if (module)
		snprintf(line->file, sizeof(line->file), "%s", module);
	if (function)
		snprintf(line->function, sizeof(line->function), "%s", function);
}

/* libdw finds the unit of a pc by .debug_aranges, which clang does not write: then ask each one. */
static const char *search_units(Dwfl_Module *mod, uintptr_t look, int *number)
{
	Dwarf_Addr bias;

	for (Dwarf_Die *cu = NULL; (cu = dw.dwfl_module_nextcu(mod, cu, &bias));) {
		Dwarf_Line *at;

		if (dw.dwarf_haspc(cu, look - bias) != 1)
			continue;
		at = dw.dwarf_getsrc_die(cu, look - bias);
		if (!at || dw.dwarf_lineno(at, number))
			return NULL;
		return dw.dwarf_linesrc(at, NULL, NULL);
	}
	return NULL;
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
	s = at ? dw.dwfl_lineinfo(at, NULL, &number, NULL, NULL, NULL)
	       : search_units(mod, look, &number);
	if (s) {
		snprintf(line->file, sizeof(line->file), "%s", s);
		line->number = number;
	}
}

void goro_lines_plain(void)
{
	dw.tried = true;
	dw.dwfl = NULL;
}

static void look_up(uintptr_t pc, bool is_return, struct line *line)
{
	uintptr_t look = is_return ? pc - 1 : pc;

	strcpy(line->function, "?");
	strcpy(line->file, "?");
	line->number = 0;
	line->offset = 0;
	by_symtab(pc, look, line);
	if (dw.dwfl)
		by_libdw(pc, look, line);
}

/* A hundred thousand goroutines stand at the same few places. */
void goro_line_of(uintptr_t pc, bool is_return, struct line *line)
{
	static struct {
		uintptr_t pc;
		bool is_return, plain;
		struct line line;
	} cache[CACHE_LEN];
	size_t at = (pc ^ pc >> 8) % CACHE_LEN;

	if (cache[at].pc != pc || cache[at].is_return != is_return ||
	    cache[at].plain == !!dw.dwfl) {
		cache[at].pc = 0;
		look_up(pc, is_return, &cache[at].line);
		cache[at].is_return = is_return;
		cache[at].plain = !dw.dwfl;
		cache[at].pc = pc;
	}
	*line = cache[at].line;
}
