/* SPDX-License-Identifier: MIT */
/*
 * leaks_heap.h - the heap that searches for leaks are measured on, for goro and LeakSanitizer.
 *
 * Objects of 88 bytes in a tree with random links, built in the order of malloc(): following them
 * jumps about in memory, as in a program that has run for long. All hang on one global pointer.
 */
#ifndef LEAKS_HEAP_H
#define LEAKS_HEAP_H

#include <stdint.h>
#include <stdlib.h>

enum { LEAKS_OBJECTS = 10000000 };

struct leaks_node {
	struct leaks_node *any, *previous;
	long rest[9];
};

static struct leaks_node *volatile leaks_root;

static void leaks_build(long n)
{
	struct leaks_node **all = malloc((size_t)n * sizeof(*all));
	uint64_t random = 88172645463325252;

	if (!all)
		abort();
	for (long i = 0; i < n; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		all[i] = malloc(sizeof(*all[i]));
		if (!all[i])
			abort();
		*all[i] = (struct leaks_node){ 0 };
		all[i]->any = i ? all[random % (uint64_t)i] : NULL;
		all[i]->previous = i ? all[i - 1] : NULL;
	}
	leaks_root = all[n - 1];
	free(all);
}

#endif /* LEAKS_HEAP_H */
