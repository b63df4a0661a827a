/* SPDX-License-Identifier: MIT */
/*
 * program.h - programs that a test starts, looks into and ends.
 */
#ifndef GORO_TEST_PROGRAM_H
#define GORO_TEST_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "profiler.h"

/* Nothing here waits for a fixed time: everything is asked again until it is so, or this late. */
#define DEADLINE_NS (60ll * 1000000000)

/* Start argv[0]; it dies with us. Its output goes to ours. */
pid_t program_start(const char *const argv[]);
void program_stop(pid_t pid);

int64_t now_ns(void);
/* Our own processor time, for what may not cost much: on a busy machine any time may pass. */
int64_t processor_ns(void);
void nap(void); /* between two questions */

/* Open it once its runtime has started; fails the test otherwise. */
struct goro_scope *program_open(pid_t pid);

/* Snapshots until check() is content with one, which is returned; fails the test otherwise. */
struct goro_snapshot *program_snapshot(struct goro_scope *scope,
				       bool (*check)(struct goro_scope *,
						     const struct goro_snapshot *, void *),
				       void *arg);

#endif /* GORO_TEST_PROGRAM_H */
