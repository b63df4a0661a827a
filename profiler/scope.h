/* SPDX-License-Identifier: MIT */
/*
 * scope.h - one look into one target: what is kept from snapshot to snapshot.
 *
 * Private to the library. Everything in it is guarded by `lock`.
 */
#ifndef GORO_SCOPE_H
#define GORO_SCOPE_H

#include <pthread.h>
#include "profiler.h"
#include "elf.h"
#include "reader.h"
#include "symbolize.h"
#include "target.h"
#include "unwind.h"

struct goro_scope {
	pthread_mutex_t lock;
	struct target *target;
	struct modules modules;
	struct reader *reader;
	struct unwinder *unwinder;
	struct symbolizer *symbolizer;

	/* The previous snapshot's time and processor use. */
	int64_t last_time;
	uint64_t last_cpu_ns;

	/* What verdicts remember of earlier snapshots; whoever sets it says how it is freed. */
	void *memory;
	void (*memory_free)(void *memory);
};

/* Open any kind of target; takes it over, also when it fails. */
struct goro_error *goro_scope_open_target(struct goro_scope **ret, struct target *target);

#endif /* GORO_SCOPE_H */
