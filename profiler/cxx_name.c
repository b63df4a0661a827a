/* SPDX-License-Identifier: MIT */
/*
 * cxx_name.c - see cxx_name.h.
 *
 * Rejected: the parameters and the number of a lambda, as the demangler has them, counted from the
 * lambdas beside it: DWARF has only those that are left after optimisation.
 */
#include "cxx_name.h"

#include <dwarf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "demangle.h"

enum {
	MOST_FUNCTIONS = 8, /* one in the other; a file may say anything */
	MOST_STEPS = 8,	    /* from what is there to where it was declared */
	MOST_SCOPES = 64,
};

static bool is_cxx(Dwarf_Die *die)
{
	Dwarf_Die unit;

	if (!dwarf_diecu(die, &unit, NULL, NULL))
		return false;
	switch (dwarf_srclang(&unit)) {
	case DW_LANG_C_plus_plus:
	case DW_LANG_C_plus_plus_03:
	case DW_LANG_C_plus_plus_11:
	case DW_LANG_C_plus_plus_14:
		return true;
	default:
		return false;
	}
}

static const char *linkage_name(Dwarf_Die *die)
{
	Dwarf_Attribute attr;

	return dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &attr));
}

/* Where a function was declared: only there it is in its namespaces and classes. */
static Dwarf_Die declared(Dwarf_Die *die)
{
	Dwarf_Die at = *die, next;
	Dwarf_Attribute attr;

	for (int i = 0; i < MOST_STEPS; i++) {
		if (!dwarf_formref_die(dwarf_attr(&at, DW_AT_abstract_origin, &attr), &next) &&
		    !dwarf_formref_die(dwarf_attr(&at, DW_AT_specification, &attr), &next))
			break;
		at = next;
	}
	return at;
}

/* A class; `lambda`: if it has no name, that is what it is. gcc calls some "<lambda(int)>". */
static void put_class(FILE *out, const char *name, bool lambda)
{
	size_t len = name ? strlen(name) : 0;

	if (!name)
		fputs(lambda ? "{lambda}" : "{unnamed}", out);
	else if (strncmp(name, "<lambda", 7) == 0 && name[len - 1] == '>')
		fprintf(out, "{%.*s}", (int)len - 2, name + 1);
	else
		fputs(name, out);
	fputs("::", out);
}

static void put_function(FILE *out, Dwarf_Die *die, int left);

/* What a function is in, the outermost first. */
static void put_scopes(FILE *out, Dwarf_Die *scopes, int n, const char *function, int left)
{
	bool lambda = function &&
		      (strncmp(function, "operator()", 10) == 0 || strcmp(function, "_FUN") == 0);
	int outermost = 0;

	/* What is around a function, it puts there itself. */
	for (int i = 1; i < n && i < MOST_SCOPES; i++) {
		int tag = dwarf_tag(&scopes[i]);

		outermost = i;
		if (tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine)
			break;
	}
	for (int i = outermost; i > 0; i--) {
		const char *name = dwarf_diename(&scopes[i]);

		switch (dwarf_tag(&scopes[i])) {
		case DW_TAG_subprogram:
		case DW_TAG_inlined_subroutine:
			put_function(out, &scopes[i], left - 1);
			fputs("::", out);
			break;
		case DW_TAG_namespace:
			fprintf(out, "%s::", name ? name : "(anonymous namespace)");
			break;
		case DW_TAG_class_type:
		case DW_TAG_structure_type:
		case DW_TAG_union_type:
			put_class(out, name, lambda && i == 1);
			break;
		default:
			break;
		}
	}
}

static void put_function(FILE *out, Dwarf_Die *die, int left)
{
	const char *name = linkage_name(die);
	Dwarf_Die at, *scopes = NULL;
	char *demangled = goro_demangle(name);
	int n;

	if (name) {
		fputs(demangled ? demangled : name, out);
		free(demangled);
		return;
	}
	name = dwarf_diename(die);
	at = declared(die);
	n = left ? dwarf_getscopes_die(&at, &scopes) : 0;
	if (n > 0)
		put_scopes(out, scopes, n, name, left);
	free(scopes);
	fputs(name ? name : "?", out);
}

char *cxx_name(Dwarf_Die *function)
{
	char *text = NULL;
	size_t size;
	FILE *out;
	Dwarf_Die at =
		declared(function); /* with link-time optimisation in a unit of its language */

	if (!is_cxx(&at) || linkage_name(function) || !dwarf_diename(function))
		return NULL;
	out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	put_function(out, function, MOST_FUNCTIONS);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}
