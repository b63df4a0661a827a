/* SPDX-License-Identifier: MIT */
/*
 * report_metrics.h - a snapshot as metrics, and a server of them.
 */
#ifndef GORO_REPORT_METRICS_H
#define GORO_REPORT_METRICS_H

#include "profiler.h"

struct metrics {
	struct goro_scope *scope;
	const struct goro_snapshot *snap;
	const struct goro_verdicts *verdicts; /* NULL: not judged */
	size_t top;			      /* spawn sites to tell apart */
	bool older;			      /* Prometheus's text format 0.0.4, not OpenMetrics */
};

void report_openmetrics(FILE *out, const struct metrics *m);

/* ---- metrics_http.c -------------------------------------------------------------------------- */

/* One document; the server's threads call it one at a time. Fails as a look fails. */
typedef struct goro_error *metrics_fn(FILE *out, bool older, void *arg);

struct metrics_server;

/*
 * Serve what fn writes at http://ADDRESS/metrics, until metrics_stop(). address: PORT, :PORT,
 * ADDR:PORT or [ADDR]:PORT; without ADDR on the loopback interface only. Port 0: any. url: what it
 * is, at most `size` bytes. Fails with GORO_USAGE.
 */
struct goro_error *metrics_serve(struct metrics_server **ret, const char *address, metrics_fn *fn,
				 void *arg, char *url, size_t size);
void metrics_stop(struct metrics_server *s);

#endif /* GORO_REPORT_METRICS_H */
