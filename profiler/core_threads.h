/* SPDX-License-Identifier: MIT */
/*
 * core_threads.h - the threads of a core file with the names of their registers.
 *
 * By the machine that the core file is of, not by the one that we run on.
 */
#ifndef GORO_CORE_THREADS_H
#define GORO_CORE_THREADS_H

#include "core_file.h"
#include "target_sample.h"

struct core_threads {
	struct target_thread *all;    /* for a proof */
	struct thread_sample *caught; /* the same ones, for unwinding; without stacks */
	size_t n;
	char lacks[96]; /* what is missing of their registers; "" for nothing */
};

/* False: out of memory. What is in `all` points into the core file's notes. */
bool core_threads_read(const struct core_file *core, struct core_threads *ret);
void core_threads_free(struct core_threads *t);

#endif /* GORO_CORE_THREADS_H */
