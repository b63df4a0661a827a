/* SPDX-License-Identifier: MIT */
/* own_threads.h - what the tests of goroutines on threads share. */
#ifndef GORO_TEST_OWN_THREADS_H
#define GORO_TEST_OWN_THREADS_H

#include "check.h"
#include "goro_introspect.h"

extern struct goro_introspect goro_introspect;

int tid(void);
bool thread_exists(int id);

/* What an observer sees of a goroutine: GORO_FLAG_... */
uint32_t flags_seen(uint64_t id);

/* Each way to wait, so many times; the thread must be the same after each. */
void waits(int rounds);

/* Goroutines: say which thread they run on; compute, locked to one, until told to stop. */
void tell_tid(void *tid);
void locked_hog(void *stop);

#endif /* GORO_TEST_OWN_THREADS_H */
