/* SPDX-License-Identifier: MIT */
/*
 * reader_goro_waits.c - what a goroutine waits for.
 */
#include "reader_goro_scan.h"

#include <stdlib.h>
#include <string.h>

#define MAX_CASES     65536u	 /* waiters of one goroutine */
#define MAX_FAR_READS (1u << 20) /* waiters that lie on no stack, in one snapshot */

static bool push_wait(struct scan *s, uint64_t object, unsigned reason)
{
	const struct goro_name *names = s->r->contract.reasons;

	if (s->nwaits == s->waits_cap) {
		size_t cap = s->waits_cap ? s->waits_cap * 2 : 64;
		struct goro_wait *bigger = realloc(s->waits, cap * sizeof *bigger);

		if (!bigger) {
			s->b->no_memory = true;
			return false;
		}
		s->waits = bigger;
		s->waits_cap = cap;
	}
	s->waits[s->nwaits++] = (struct goro_wait){
		.object = object,
		.reason = (uint8_t)reason,
		.wait_class = names[reason & 0xff].wait_class,
	};
	return true;
}

/* The waiter records of a select mostly lie on its own stack; those of a big one do not. */
static enum unwind_status load_waiter(struct scan *s, const struct item *it, uint64_t at,
				      uint8_t *to, size_t size, bool *elsewhere)
{
	bool ok;

	if (at >= it->sp && at < it->hi) {
		if (it->hi - at < size)
			return UNWIND_CANNOT;
		if (at - it->sp + size > it->len)
			return UNWIND_MORE;
		memcpy(to, it->stack + (at - it->sp), size);
		return UNWIND_DONE;
	}
	*elsewhere = true;
	if (s->far_reads++ >= MAX_FAR_READS)
		return UNWIND_CANNOT;
	goro_error_free(target_read_at(s->t, at, to, size, &ok));
	return ok ? UNWIND_DONE : UNWIND_CANNOT;
}

/*
 * Follow the waiters of a select. In damaged memory the list may be a ring: `mark` stays behind
 * and jumps forward at growing distances (Brent), so that a ring is seen after its first lap.
 */
static enum unwind_status collect_cases(struct scan *s, const struct item *it, uint64_t first,
					bool *elsewhere)
{
	const struct contract *c = &s->r->contract;
	size_t size = contract_size(c, GORO_FIELD_waiter_g, GORO_FIELD_waiter_kind);
	uint8_t bytes[4096];
	uint64_t mark = 0;

	for (size_t n = 1, jump = 2; first && first != mark && n < MAX_CASES; n++) {
		struct record w = { bytes, size };
		enum unwind_status status = load_waiter(s, it, first, bytes, size, elsewhere);

		if (status != UNWIND_DONE)
			return status;
		if (!push_wait(s, contract_get(c, w, GORO_FIELD_waiter_object),
			       (uint8_t)contract_get(c, w, GORO_FIELD_waiter_kind)))
			return UNWIND_CANNOT;
		if (n == jump) {
			mark = first;
			jump *= 2;
		}
		first = contract_get(c, w, GORO_FIELD_waiter_next_of_g);
	}
	return first ? UNWIND_CANNOT : UNWIND_DONE;
}

enum unwind_status scan_collect_waits(struct scan *s, const struct item *it,
				      const struct goro_info *g, bool *elsewhere)
{
	s->nwaits = 0;
	*elsewhere = false;
	if (g->state != GORO_STATE_WAITING)
		return UNWIND_DONE;
	if (g->wait_class == GORO_CLASS_SELECT)
		return collect_cases(s, it, scan_get(s, s->before + it->slot, GORO_FIELD_g_waiting),
				     elsewhere);
	if (g->wait_object && g->wait_class > GORO_CLASS_NEVER &&
	    push_wait(s, g->wait_object, g->reason))
		s->waits[0].wait_class = g->wait_class;
	return UNWIND_DONE;
}
