/* SPDX-License-Identifier: MIT */
/*
 * demangle.h - C++'s names as a C++ programmer writes them.
 */
#ifndef GORO_DEMANGLE_H
#define GORO_DEMANGLE_H

/*
 * "_ZN5shape4drawEi" -> "shape::draw": without parameters, which the line tells better. NULL: it is
 * no mangled name, or memory is out. Yours to free.
 */
char *goro_demangle(const char *name);

#endif /* GORO_DEMANGLE_H */
