/* SPDX-License-Identifier: MIT */
/*
 * cxx_name.h - what a C++ function is called that has no name for the linker.
 *
 * gcc gives none to what no other unit can name: lambdas, members of classes in functions, and what
 * is made of these. Their own name, "operator()", could be anybody's, so what they are in goes in
 * front, down to the function that has a name: "ns::serve::{lambda}::operator()". It is like the
 * demangled one but for the lambda's parameters and number, which DWARF does not tell.
 */
#ifndef GORO_CXX_NAME_H
#define GORO_CXX_NAME_H

#include <elfutils/libdw.h>

/* To be freed. NULL: its unit is not C++, it has a name for the linker, or out of memory. */
char *cxx_name(Dwarf_Die *function);

#endif /* GORO_CXX_NAME_H */
