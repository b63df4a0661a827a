/* SPDX-License-Identifier: MIT */
/*
 * report_diff.h - two snapshots compared by where their goroutines were started.
 */
#ifndef GORO_REPORT_DIFF_H
#define GORO_REPORT_DIFF_H

#include "report.h"

struct diff;

/* NULL: out of memory. The snapshots and scopes outlive it. */
struct diff *diff_make(struct goro_scope *before_scope, const struct goro_snapshot *before,
		       struct goro_scope *after_scope, const struct goro_snapshot *after);
void diff_free(struct diff *d);

void report_diff_text(const struct report *r, const struct diff *d);
void report_diff_json(const struct report *r, const struct diff *d);

#endif /* GORO_REPORT_DIFF_H */
