/* SPDX-License-Identifier: MIT */
/*
 * bump_malloc.c - an allocator of a program's own, to be preloaded: it gives out one mapping from
 * its start to its end, and takes nothing back. Nobody outside knows where its objects are.
 */
#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ROOM ((size_t)1 << 30)

static char *arena;
static size_t used;

static char *whole(void)
{
	char *there = __atomic_load_n(&arena, __ATOMIC_ACQUIRE), *mine;

	if (there)
		return there;
	mine = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	if (mine == MAP_FAILED)
		return NULL;
	if (__atomic_compare_exchange_n(&arena, &there, mine, 0, __ATOMIC_SEQ_CST,
					__ATOMIC_SEQ_CST))
		return mine;
	munmap(mine, ROOM);
	return there;
}

/* The size stands in the word before. */
void *memalign(size_t align, size_t size)
{
	char *base = whole();
	size_t step, at;
	char *p;

	align = align < 16 ? 16 : align;
	step = size + align + 16;
	at = base && size <= ROOM && align <= ROOM
		     ? __atomic_add_fetch(&used, step, __ATOMIC_RELAXED)
		     : SIZE_MAX;
	if (at > ROOM) {
		errno = ENOMEM;
		return NULL;
	}
	p = base + at - step + 16;
	p += -(uintptr_t)p & (align - 1);
	((size_t *)p)[-1] = size;
	return p;
}

void *malloc(size_t size)
{
	return memalign(16, size);
}

/* What is new from the kernel is zero. */
void *calloc(size_t n, size_t size)
{
	if (size && n > ROOM / size) {
		errno = ENOMEM;
		return NULL;
	}
	return memalign(16, n * size);
}

void *realloc(void *old, size_t size)
{
	void *p = memalign(16, size);
	size_t had = old ? ((size_t *)old)[-1] : 0;

	if (p && old)
		memcpy(p, old, had < size ? had : size);
	return p;
}

void *aligned_alloc(size_t align, size_t size)
{
	return memalign(align, size);
}

int posix_memalign(void **ret, size_t align, size_t size)
{
	*ret = memalign(align, size);
	return *ret ? 0 : ENOMEM;
}

size_t malloc_usable_size(void *p)
{
	return p ? ((size_t *)p)[-1] : 0;
}

void free(void *p)
{
	(void)p;
}
