/* SPDX-License-Identifier: MIT */
/*
 * debuginfo.h - debug information that lies in a file of its own.
 */
#ifndef GORO_DEBUGINFO_H
#define GORO_DEBUGINFO_H

#include <elfutils/libdwfl.h>

/* A Dwfl_Callbacks.find_debuginfo; the module's user data is its struct module. */
int goro_find_debuginfo(Dwfl_Module *mod, void **userdata, const char *name, Dwarf_Addr base,
			const char *file, const char *link, GElf_Word crc, char **found);

#endif /* GORO_DEBUGINFO_H */
