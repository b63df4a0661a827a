/* SPDX-License-Identifier: MIT */
/*
 * reach_gaps.c - memory that a process had and a core file of it has not.
 *
 * The kernel lists every map in the core file, and leaves out the content of some: of what nobody
 * ever wrote to, of what /proc/PID/coredump_filter excludes (files' maps as a rule, shared and huge
 * pages), of what is marked by MADV_DONTDUMP. It does not say which of the three it was. So a map
 * without content may hold anything, and nothing is proved, unless it is one of these:
 *
 *   - a map of a file that may not be written to, if the file is still there and is the one that
 *     was mapped (target_core_backing.c): its content is the file's, which is searched like any
 *     memory;
 *   - memory of the runtime (facts.h) beside the stacks in use: no pointer in it counts;
 *   - what glibc has reserved for an arena and not given out yet (heap_glibc.c);
 *   - the guard below a thread's stack, which is recognised by glibc's own record of that stack.
 *
 * A module's bss to which nobody wrote is not one of them, though most programs would have some:
 * the runtime writes to each at start (os_write_to_modules), so that it is in the core file.
 *
 * Nor has it what the kernel had of the program's (target_core_kept.c).
 *
 * What other programs write as core files (gdb's gcore) is not enough: they leave out maps without
 * a trace, and what they could not read is zeros.
 */
#include "reach_gaps.h"

#include <stdlib.h>
#include <string.h>

#define MOST_STACK (UINT64_C(64) << 20) /* of a thread, to look for its record in */

/*
 * glibc's struct pthread lies at the upper end of the stack's map and has in a row: where the map
 * begins, its size, and the guard's size.
 */
static bool has_record(struct target *t, const struct target_map *guard, uint64_t hi)
{
	const uint64_t lo = guard->hi;
	uint64_t window[512 + 2], at = hi;

	if (hi - lo > MOST_STACK)
		return false;
	while (at > lo) {
		uint64_t from = at - lo > 4096 ? at - 4096 : lo;
		size_t size = at - from + 16 <= hi - from ? at - from + 16 : hi - from;
		bool ok = false;

		goro_error_free(target_read_at(t, from, window, size, &ok));
		for (size_t i = 0; ok && i + 3 <= size / 8; i++) {
			uint64_t end = window[i] + window[i + 1];

			if (window[i] == guard->lo && window[i + 2] == guard->hi - guard->lo &&
			    end > from + i * 8 && end <= hi)
				return true;
		}
		at = from;
	}
	return false;
}

bool gaps_is_guard(struct target *t, const struct target_maps *maps, size_t i)
{
	const struct target_map *m = &maps->v[i], *stack = m + 1;
	struct target_gap gap;

	return i + 1 < maps->n && !m->readable && !m->writable && !m->executable && !m->inode &&
	       t->ops->missing(t, m->lo, m->hi, &gap) && stack->lo == m->hi && stack->readable &&
	       stack->writable && !stack->inode && has_record(t, m, stack->hi);
}

static struct goro_error *check(struct target *t, uint64_t lo, uint64_t hi)
{
	struct target_gap gap;

	if (lo >= hi || !t->ops->missing || !t->ops->missing(t, lo, hi, &gap))
		return NULL;
	if (gap.path)
		return goro_error_at(GORO_PARTIAL, gap.lo,
				     "its memory at 0x%llx, a map of %s, is not in the core file",
				     (unsigned long long)gap.lo, gap.path);
	return goro_error_at(
		GORO_PARTIAL, gap.lo,
		"%llu KiB of its memory at 0x%llx are not in the core file, because "
		"they are marked by MADV_DONTDUMP, excluded by coredump_filter, or were "
		"never written",
		(unsigned long long)((gap.hi - gap.lo) >> 10), (unsigned long long)gap.lo);
}

/* The path is the core file's word. */
static struct goro_error *check_given(struct target *t)
{
	struct target_gives gives;

	if (!t->ops->gives || !t->ops->gives(t, &gives))
		return NULL;
	if (!gives.function)
		return goro_error_new(GORO_PARTIAL,
				      "a core file has no pointers that the kernel had, such as in "
				      "pipes, and %s, which is linked statically, does not tell "
				      "whether it gave any",
				      gives.path);
	return goro_error_new(GORO_PARTIAL,
			      "a core file has no pointers that the kernel had, and %s calls %s(), "
			      "which may have given it some",
			      gives.path, gives.function);
}

struct goro_error *gaps_check(const struct reach_view *view, const struct roots *roots,
			      const struct heap *heap)
{
	struct target *t = view->t;
	struct goro_error *err = check_given(t);

	for (size_t i = 0; i < roots->n && !err; i++)
		err = check(t, roots->v[i].lo, roots->v[i].hi);
	for (size_t i = 0; i < view->snap->ng && !err; i++)
		if (roots->from[i])
			err = check(t, roots->from[i], view->snap->g[i].stack_hi);
	for (size_t i = 0; i < heap->nareas && !err; i++)
		err = check(t, heap->areas[i].lo, heap->areas[i].hi);
	for (size_t i = 0; i < heap->nblocks && !err; i++)
		err = check(t, heap->blocks[i].lo, heap->blocks[i].hi);
	return err;
}
