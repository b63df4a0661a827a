/* SPDX-License-Identifier: MIT */
/*
 * reach_stacks.c - the stacks and records of goroutines that can run, many at a time; see reach.c.
 *
 * They are read when they are searched, and forgotten then: who can never be woken is never read,
 * and a copy of a million stacks would be most of our memory.
 *
 * Rejected: a thread that reads the next ones meanwhile (each change of hands costs milliseconds
 * where other programs are at work, and there are hundreds of them).
 */
#include "reach_run.h"

#include <stdlib.h>
#include <string.h>

#include "goro_introspect.h"
#include "reach_skip.h"

enum {
	BATCH = 512,	     /* goroutines at a time */
	SMALL_STACK = 16384, /* bytes; others are searched where they are */
	ROOM = 1 << 20,	     /* bytes of a batch's stacks */
};

/* What was read of them. */
struct reach_batch {
	struct target_read records[BATCH], stacks[BATCH];
	uint8_t *stack[BATCH]; /* or NULL: it is not here */
	uint8_t room[ROOM];
	uint8_t record[];
};

bool reach_stacks_room(struct run *r)
{
	r->stacks = calloc(r->view->snap->ng + 1, sizeof *r->stacks);
	r->batch = malloc(sizeof *r->batch + (size_t)BATCH * r->view->facts->record_size);
	return r->stacks && r->batch;
}

static struct goro_error *read_all(struct run *r, struct target_read *reads, size_t n)
{
	struct goro_error *err = r->view->t->ops->read(r->view->t, reads, n);

	for (size_t i = 0; i < n && !err; i++) {
		if (!reads[i].ok)
			memset(reads[i].to, 0, reads[i].len);
	}
	return err;
}

/* As many as there is room for. */
static struct goro_error *read_batch(struct run *r, size_t *count)
{
	const size_t size = r->view->facts->record_size;
	struct reach_batch *b = r->batch;
	size_t n, nstacks = 0, used = 0;
	struct goro_error *err;

	for (n = 0; n < BATCH && r->nsearched + n < r->nstacks; n++) {
		const uint32_t g = r->stacks[r->nsearched + n];
		const struct goro_info *info = &r->view->snap->g[g];
		const uint64_t len = r->from[g] ? info->stack_hi - r->from[g] : 0;
		const bool here = len && len <= SMALL_STACK;

		if (here && len > ROOM - used)
			break;
		b->records[n] = (struct target_read){ .address = info->record,
						      .to = b->record + n * size,
						      .len = size };
		b->stack[n] = here ? b->room + used : NULL;
		if (here)
			b->stacks[nstacks++] = (struct target_read){ .address = r->from[g],
								     .to = b->stack[n],
								     .len = len };
		used += here ? len : 0;
	}
	*count = n;
	err = read_all(r, b->records, n);
	return err ? err : read_all(r, b->stacks, nstacks);
}

static void search_record(struct run *r, uint32_t g, const uint8_t *record)
{
	const struct goro_info *info = &r->view->snap->g[g];
	const struct facts *facts = r->view->facts;
	size_t stale = info->state == GORO_STATE_WAITING ? facts->record_size : facts->record_wait;

	r->here = (struct reach_link){ .kind = REACH_RECORD, .id = info->id };
	reach_search_bytes(r, record, stale, info->record);
	if (stale + 8 < facts->record_size)
		reach_search_bytes(r, record + stale + 8, facts->record_size - stale - 8,
				   info->record + stale + 8);
}

static struct goro_error *search_stack(struct run *r, uint32_t g, const uint8_t *stack)
{
	const struct goro_info *info = &r->view->snap->g[g];
	bool skip = reach_skips("stacks") && !r->candidate[g];

	if (!reach_skips("locals"))
		reach_visit(r, r->view->facts->locals[g], info->record);
	r->here.kind = REACH_STACK;
	/* Its own code finds what lies in its frames by its stack pointer: no word need lead there.
	 */
	if (r->from[g] && !reach_skips("frames"))
		reach_wake_watchers(r, r->from[g]);
	if (!r->from[g] || skip)
		return NULL;
	if (!stack)
		return reach_search_memory(r, r->from[g], info->stack_hi);
	reach_search_bytes(r, stack, info->stack_hi - r->from[g], r->from[g]);
	return NULL;
}

struct goro_error *reach_search_stacks(struct run *r)
{
	const size_t first = r->nsearched;
	size_t n = 0;
	struct goro_error *err = read_batch(r, &n);

	r->nsearched += n;
	for (size_t i = 0; i < n && !err; i++) {
		const uint32_t g = r->stacks[first + i];

		search_record(r, g, r->batch->record + i * (size_t)r->view->facts->record_size);
		err = search_stack(r, g, r->batch->stack[i]);
	}
	return err;
}
