/* SPDX-License-Identifier: MIT */
/*
 * demangle.c - through libiberty, which gdb and binutils use: it never throws and bounds its own
 * recursion. libstdc++'s __cxa_demangle() cannot leave the parameters out, and would make each user
 * of this library one of libstdc++.
 */
#include "demangle.h"

#include <libiberty/demangle.h>
#include <stddef.h>

char *goro_demangle(const char *name)
{
	if (!name || name[0] != '_' || name[1] != 'Z')
		return NULL;
	return cplus_demangle_v3(name, DMGL_ANSI);
}
