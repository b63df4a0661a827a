/* SPDX-License-Identifier: MIT */
/*
 * regions.c - a list of memory for whoever looks for pointers from outside: the runtime's own, and
 * what the program says of its own.
 *
 * It is read without a lock, in a process that was stopped at any instruction. So each entry is
 * changed such that at every moment it is empty, as it was, or as it shall be; and what is in doubt
 * is missing, for memory that is not listed is believed to hold pointers: that can hide a leak, but
 * not make one up.
 */
#include <errno.h>

#include "runtime.h"

enum { REGIONS_MAX = 4096 };

static struct goro_region regions[REGIONS_MAX];
static uint32_t regions_lock;

static void set(uint64_t *bound, uint64_t value)
{
	__atomic_store_n(bound, value, __ATOMIC_RELEASE);
}

/* Arenas come one below the other: then they are one entry. */
static bool extend(uint64_t lo, uint64_t hi, uint32_t kind)
{
	for (uint32_t i = 0; i < goro_introspect.region_count; i++) {
		struct goro_region *r = &regions[i];

		if (!r->lo || r->kind != kind || kind != GORO_REGION_OPAQUE)
			continue;
		if (r->lo == hi) {
			set(&r->lo, lo);
			return true;
		}
		if (r->hi == lo) {
			set(&r->hi, hi);
			return true;
		}
	}
	return false;
}

static int append(uint64_t lo, uint64_t hi, uint32_t kind)
{
	uint32_t n = goro_introspect.region_count, i = 0;

	while (i < n && regions[i].lo)
		i++;
	if (i == REGIONS_MAX)
		return -ENOSPC;
	regions[i].kind = kind;
	regions[i].hi = hi;
	set(&regions[i].lo, lo);
	if (i == n)
		__atomic_store_n(&goro_introspect.region_count, n + 1, __ATOMIC_RELEASE);
	return 0;
}

int goro_region_add(const void *addr, size_t size, uint32_t kind)
{
	uint64_t lo = (uintptr_t)addr, hi = lo + size;
	int err = 0;

	if (!lo || !size)
		return -EINVAL;
	lock_always(&regions_lock);
	goro_introspect.regions = (uintptr_t)regions;
	if (!extend(lo, hi, kind))
		err = append(lo, hi, kind);
	unlock_always(&regions_lock);
	return err;
}

/* An entry of just this, or else one that it is a part of. */
static struct goro_region *find(uint64_t lo, uint64_t hi, uint32_t kind)
{
	struct goro_region *around = NULL;

	for (uint32_t i = 0; i < goro_introspect.region_count; i++) {
		struct goro_region *r = &regions[i];

		if (!r->lo || r->kind != kind || r->lo > lo || r->hi < hi)
			continue;
		if (r->lo == lo && r->hi == hi)
			return r;
		if (!around)
			around = r;
	}
	return around;
}

void goro_region_remove(const void *addr, size_t size, uint32_t kind)
{
	uint64_t lo = (uintptr_t)addr, hi = lo + size;
	struct goro_region *r;

	lock_always(&regions_lock);
	r = find(lo, hi, kind);
	if (r) {
		uint64_t end = r->hi;

		if (r->lo < lo) {
			set(&r->hi, lo);
			if (end > hi)
				append(hi, end, kind);
		} else {
			set(&r->lo, hi < end ? hi : 0);
		}
	}
	unlock_always(&regions_lock);
}

int goro_root_region(const void *addr, size_t size)
{
	return goro_region_add(addr, size, GORO_REGION_ROOT);
}

void goro_root_region_end(const void *addr, size_t size)
{
	goro_region_remove(addr, size, GORO_REGION_ROOT);
}

int goro_keepalive(const void *object)
{
	return goro_region_add(object, 1, GORO_REGION_KEEP);
}

void goro_keepalive_end(const void *object)
{
	goro_region_remove(object, 1, GORO_REGION_KEEP);
}

void goro_ignore(void)
{
	struct m *mp = enter();

	atomic_fetch_or_explicit(&mp->curg->flags, GORO_FLAG_IGNORE, memory_order_relaxed);
	leave(mp);
}
