/* SPDX-License-Identifier: MIT */
/*
 * stress_account.c - the books of libgoro-heap.so, with threads that play goroutines.
 *
 * The objects are numbers: account.c never looks at what they point to. Each thread takes records,
 * lets a goroutine live in it, allocates, frees, hands objects to the others and takes theirs, and
 * goes on in the next record, whose goroutine may have left objects behind. In the end every object
 * is freed; then every account must be closed, and the sums must be what was allocated.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "goro_introspect.h"

enum { THREADS = 4, RECORDS = 16, LIVES = 3000, STEPS = 40, SITES = 5, SWAPS = 64, OWN = 2000 };

extern struct goro_heap_contract goro_heap_contract;

struct record {
	uint64_t before, id, spawn_pc;
	atomic_flag taken;
} __attribute__((aligned(64)));

static struct record records[RECORDS];
static __thread struct record *on;
static _Atomic uint64_t next_id = 1;
static _Atomic uintptr_t swaps[SWAPS]; /* objects on their way to another */
static _Atomic uint64_t bytes[SITES + 1], objects[SITES + 1];

static uint64_t current(void)
{
	return (uintptr_t)on;
}

void account_find_runtime(void)
{
}

static unsigned random_of(unsigned *seed, unsigned n)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 10) % n;
}

/* The size is part of the address, so that nobody need remember it. */
static void allocate(uintptr_t object)
{
	const unsigned site = on ? (unsigned)on->spawn_pc / 16 : 0;
	const size_t size = object >> 5 & 0xfff;

	account_add((void *)object, size);
	bytes[site] += size;
	objects[site]++;
}

static void release(uintptr_t object)
{
	note n = account_take((void *)object);

	if (!n) {
		puts("FAIL: an object without a note");
		exit(1);
	}
	if ((object & 0x1e0) == 0) { /* as a realloc() that failed */
		account_return((void *)object, n);
		n = account_take((void *)object);
	}
	account_freed(n);
}

static void live(uintptr_t *free_objects, size_t *n, unsigned *seed)
{
	for (int i = 0; i < STEPS && *n; i++) {
		uintptr_t object = free_objects[--*n];

		allocate(object);
		if (random_of(seed, 3))
			object = atomic_exchange(&swaps[random_of(seed, SWAPS)], object);
		if (!object)
			continue;
		release(object);
		free_objects[(*n)++] = object;
	}
}

static void *thread(void *number)
{
	unsigned seed = (unsigned)(uintptr_t)number + 1;
	static __thread uintptr_t mine[OWN * THREADS];
	size_t n = 0;

	for (uintptr_t i = 0; i < OWN; i++)
		mine[n++] =
			UINT64_C(0x7f0000000000) + (uintptr_t)number * 0x8000000 + (i + 1) * 1056;
	for (int i = 0; i < LIVES; i++) {
		struct record *r = &records[random_of(&seed, RECORDS)];

		on = NULL;
		if (atomic_flag_test_and_set_explicit(&r->taken, memory_order_acquire)) {
			live(mine, &n, &seed); /* a thread of no goroutine */
			continue;
		}
		r->id = next_id++;
		r->spawn_pc = (1 + r->id % SITES) * 16;
		on = r;
		live(mine, &n, &seed);
		on = NULL;
		atomic_flag_clear_explicit(&r->taken, memory_order_release);
	}
	return NULL;
}

static int check(void)
{
	const struct goro_heap_contract *c = &goro_heap_contract;
	const struct goro_heap_account *a = (const void *)(uintptr_t)c->accounts;
	const struct goro_heap_closed *s = (const void *)(uintptr_t)c->sites;
	uint64_t b[SITES + 1] = { 0 }, o[SITES + 1] = { 0 }, open = 0;
	int failures = 0;

	for (uint32_t i = 1; i < c->account_count; i++) {
		uint64_t site = a[i].id == GORO_HEAP_OUTSIDE ? 0 : a[i].spawn_pc / 16;

		if (!a[i].id)
			continue;
		open += a[i].id != GORO_HEAP_OUTSIDE;
		if (a[i].bytes != a[i].own_freed_bytes + a[i].freed_bytes ||
		    (a[i].left > GORO_HEAP_BIAS / 2
			     ? a[i].objects - a[i].own_freed_objects != GORO_HEAP_BIAS - a[i].left
			     : a[i].left != 0)) {
			printf("FAIL: account %u is not even\n", i);
			failures++;
		}
		b[site] += a[i].bytes;
		o[site] += a[i].objects;
	}
	for (uint32_t i = 0; i < c->site_count; i++) {
		b[s[i].spawn_pc / 16] += s[i].bytes;
		o[s[i].spawn_pc / 16] += s[i].objects;
	}
	for (int i = 0; i <= SITES; i++) {
		if (b[i] != bytes[i] || o[i] != objects[i]) {
			printf("FAIL: site %d: %lu bytes in %lu, not %lu in %lu\n", i,
			       (unsigned long)b[i], (unsigned long)o[i], (unsigned long)bytes[i],
			       (unsigned long)objects[i]);
			failures++;
		}
	}
	/* Each record keeps the account of the last one that lived in it. */
	if (open > RECORDS || c->unknown) {
		printf("FAIL: %lu accounts are open, %lu objects unknown\n", (unsigned long)open,
		       (unsigned long)c->unknown);
		failures++;
	}
	/* An account is open for a record, or for an object on its
	 * way, or closed and used again. */
	if (c->account_count > 33 + RECORDS + SWAPS + 16 * THREADS) {
		printf("FAIL: %u accounts\n", c->account_count);
		failures++;
	}
	printf("%lu goroutines, %u accounts\n", (unsigned long)next_id, c->account_count);
	return failures;
}

int main(void)
{
	pthread_t threads[THREADS];

	if (!account_open(5))
		return 1;
	account_runtime(current, offsetof(struct record, id), offsetof(struct record, spawn_pc));
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, thread, (void *)i);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < SWAPS; i++) {
		uintptr_t object = atomic_exchange(&swaps[i], 0);

		if (object)
			release(object);
	}
	return check() ? 1 : 0;
}
