/* SPDX-License-Identifier: MIT */
/*
 * report_profile.h - profiles as files for other programs. One format, one file.
 *
 * All take a profile whose names have been looked up (profile_resolve) and write it to `out`. Their
 * result is false when memory is out; what happens to `out` is the caller's to check.
 */
#ifndef GORO_REPORT_PROFILE_H
#define GORO_REPORT_PROFILE_H

#include "profile_tree.h"

struct profile_format {
	const char *name;
	bool (*write)(FILE *out, struct goro_scope *scope, const struct profile *p);
	bool binary; /* not for a terminal */
};

extern const struct profile_format profile_formats[]; /* ends with a NULL name */

/* pprof's protobuf, compressed: `go tool pprof FILE`. */
bool report_pprof(FILE *out, struct goro_scope *scope, const struct profile *p);
/* "root;caller;leaf 12", a line a stack: for flamegraph.pl and its many relatives. */
bool report_folded(FILE *out, struct goro_scope *scope, const struct profile *p);
/* A flame graph in one file that a browser shows: zoom, search, details. */
bool report_svg(FILE *out, struct goro_scope *scope, const struct profile *p);
/* For speedscope.app. */
bool report_speedscope(FILE *out, struct goro_scope *scope, const struct profile *p);
/* Which goroutine each worker ran when: for ui.perfetto.dev and chrome://tracing. */
bool report_perfetto(FILE *out, struct goro_scope *scope, const struct profile *p);

#endif /* GORO_REPORT_PROFILE_H */
