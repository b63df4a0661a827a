/* SPDX-License-Identifier: MIT */
/*
 * imports.h - functions of our own where the program's modules call those of a library.
 */
#ifndef GORO_IMPORTS_H
#define GORO_IMPORTS_H

#include <stdbool.h>
#include <stddef.h>

struct import {
	const char *name;
	void *mine; /* what is called from now on */
	void *real; /* what was: for `mine` to call */
};

/*
 * First: `real` is what the caller's own module calls, and becomes what that in turn means. False:
 * the program is linked statically, and its calls go past us.
 */
bool goro_imports_prepare(struct import *v, size_t n);
/*
 * In all modules that are loaded, but for the one that `except` lies in, if that is a library.
 * Again after a dlopen(), which it waits for if one is under way. False: not in all of them; try
 * again later. Who calls holds no lock.
 */
bool goro_imports_replace(struct import *v, size_t n, const void *except);
/* A number that changes with each module that is loaded. */
unsigned long long goro_imports_loaded(void);

#endif /* GORO_IMPORTS_H */
