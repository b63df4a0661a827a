/* SPDX-License-Identifier: MIT */
/*
 * hide.h - what the files of hide share.
 */
#ifndef HIDE_H
#define HIDE_H

#include <stdint.h>
#include "goro.h"
#include "goro_introspect.h"

enum { NCHANS = 8, PAGE = 4096 };

#define HIDE_SIGNAL (SIGRTMAX - 1) /* blocked in every thread */

struct place {
	const char *name;
	void (*hide)(void);
};

/* Each ends with one without a name. */
extern const struct place places_in_objects[], places_in_threads[], places_in_maps[],
	places_of_parked[], places_that_change[], places_in_passing[], places_like_malloc[],
	places_in_kernel[], places_sent[], places_packed[], places_used[];

extern struct goro_introspect goro_introspect;
extern void *global; /* in bss */

/* The complement of the address of the channel that the leaked one waits for. */
extern uintptr_t hidden_leak;

/*
 * A new channel with a goroutine that waits on it. We wait for that, so that its stack is not ours:
 * a thread that we start remembers something of ours.
 */
goro_chan *new_chan(void);

/* 16 pages. */
void *map(int flags);

/* Until that page of a stack was taken away; mincore() does not touch it. */
void wait_until_cold(uintptr_t at);

/* Hold a pointer where the compiler must have it in memory, and nowhere else. */
static inline void forget(void)
{
	__asm__ volatile("" ::: "memory", "rbx", "r12", "r13", "r14", "r15");
}

#endif /* HIDE_H */
