/* SPDX-License-Identifier: MIT */
/*
 * order.h - the order of many things by a number that each has.
 */
#ifndef GORO_ORDER_H
#define GORO_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The number of thing i. */
typedef uint64_t order_key_fn(const void *things, size_t i);

/*
 * The indices 0 to n - 1 by rising key, equal ones by rising index. Free with free(). NULL: out of
 * memory. n is less than 2^32.
 */
uint32_t *order_by(size_t n, order_key_fn *key, const void *things);

/*
 * Bring things of that size into such an order, in place: v[i] becomes what v[from[i]] was. from[]
 * is used up.
 */
void order_apply(void *v, size_t size, uint32_t *from, size_t n);

/*
 * Bring an array of things into the order of their numbers; equal ones stay as they are. False: out
 * of memory, and nothing was done.
 */
bool order_things(void *v, size_t size, size_t n, order_key_fn *key);

/* The number of one thing. */
typedef uint64_t order_one_fn(const void *ctx, const void *thing);

/* Bring things into the order of their numbers where they are, without other memory; not stable. */
void order_in_place(void *v, size_t size, size_t n, order_one_fn *key, const void *ctx);

#endif /* GORO_ORDER_H */
