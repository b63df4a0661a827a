/* SPDX-License-Identifier: MIT */
/*
 * leaks_gate.h - goro leaks as a gate: see filter.h for what it lets through.
 */
#ifndef GORO_LEAKS_GATE_H
#define GORO_LEAKS_GATE_H

#include "filter.h"

/*
 * Take out of the verdicts what is suppressed or known, so that whatever prints them prints the
 * rest; `sites` (zeroed, to be freed) gets all, marked.
 */
void leaks_filter(struct filter *filter, struct goro_scope *scope, struct goro_snapshot *snap,
		  struct goro_verdicts *v, struct sites *sites);

/* junit, sarif or github. level: 0 only LEAKED fails, 1 LIKELY too, 2 SUSPECT too. */
void leaks_report(FILE *out, const char *format, const struct filter *filter,
		  const struct goro_snapshot *snap, const struct sites *sites, int level,
		  int status);

#endif /* GORO_LEAKS_GATE_H */
