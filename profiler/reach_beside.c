/* SPDX-License-Identifier: MIT */
/*
 * reach_beside.c - pointers beside what they lead to, in code that nobody can follow.
 *
 * reach_used.c asks the code where a word of a stack will be used as an address. For processors
 * other than x86-64 there is nothing that reads code; and on this one a stack may go through code
 * without unwind data, or be deeper than is looked at. Then every word of the stack leads to all
 * that lies within BESIDE bytes of where it points. Compilers step by the size of one element, so
 * that is far enough for all but big ones.
 *
 * This hides some leaks, those that lie next to what is in use; and only who cannot know better
 * pays for that.
 */
#include "reach_run.h"

#include <string.h>

#include "reach_skip.h"

enum { BESIDE = 512 };

/*
 * Of what is no heap it is all the same where the word points: it leads to the whole. And no piece
 * of heap is so small that it lies between these three.
 */
static void visit_around(struct run *r, uint64_t v, uint64_t at)
{
	bool heap = false;

	for (int64_t d = -BESIDE; d <= BESIDE; d += BESIDE) {
		const struct zone *z = zones_find(&r->zones, v + (uint64_t)d);

		if (z && z->kind == ZONE_AREA)
			heap = true;
		else if (z)
			reach_visit(r, v + (uint64_t)d, at);
	}
	for (int64_t d = -BESIDE; d <= BESIDE && heap; d += HEAP_GRANULE)
		reach_visit(r, v + (uint64_t)d, at);
}

void reach_search_beside(struct run *r, const uint8_t *bytes, size_t size, uint64_t at)
{
	/* What who leaked holds is told without guesses. */
	if (r->retaining || reach_skips("beside"))
		return;
	for (size_t i = 0; i + 8 <= size; i += 8) {
		uint64_t v;

		memcpy(&v, bytes + i, sizeof v);
		visit_around(r, v, at + i);
	}
}
