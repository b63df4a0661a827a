/* SPDX-License-Identifier: MIT */
/*
 * target.h - for programs that are made to be inspected.
 */
#ifndef GORO_TARGET_PROGRAM_H
#define GORO_TARGET_PROGRAM_H

#include <alloca.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "goro.h"

#define NOINLINE __attribute__((noinline))
#define INLINE	 inline __attribute__((always_inline))

/* Something to do after a call, so that it cannot become a jump that leaves no frame. */
static long sink;

static INLINE void used(long v)
{
	__atomic_store_n(&sink, __atomic_load_n(&sink, __ATOMIC_RELAXED) + v, __ATOMIC_RELAXED);
}

/* Keeps the program from being a deadlock while everybody waits. */
static void keep_alive(void *arg) __attribute__((unused));
static void keep_alive(void *arg)
{
	(void)arg;
	goro_sleep(3600 * GORO_SECOND);
}

#endif /* GORO_TARGET_PROGRAM_H */
