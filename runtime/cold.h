/* SPDX-License-Identifier: MIT */
/*
 * cold.h - where the bytes of cold stacks are kept: shared by cold.c and cold_store.c.
 */
#ifndef GORO_COLD_H
#define GORO_COLD_H

#include "runtime.h"

/* Room for a header and `bytes` behind it, or NULL: no memory. Only sysmon asks for some. */
struct goro_cold_stack *goro_cold_alloc(size_t bytes);
/* Anybody may give it back. Touches no goroutine's stack. */
void goro_cold_free(struct goro_cold_stack *c);

#endif /* GORO_COLD_H */
