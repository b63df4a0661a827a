/* SPDX-License-Identifier: MIT */
/*
 * contract_queue.c - does a goroutine that seems to hold the lock it waits for really wait?
 *
 * Who releases a lock takes the next waiter out of the queue, makes it the owner, and wakes it, in
 * this order. In between, the waiter looks exactly like a goroutine that locked twice, but for one
 * thing: it is no longer in the queue. So for these few the queue is walked, after the owner was
 * read. The walk ends after as many waiters as there can be, whatever the target's memory says.
 */
#include "contract.h"

#include <stdlib.h>

#define MAX_STEPS (1u << 20) /* in one snapshot */

static bool seems_to_hold(const struct goro_snapshot *snap, const struct goro_info *g)
{
	const struct goro_object *o;

	if (g->state != GORO_STATE_WAITING ||
	    (g->wait_class != GORO_CLASS_MUTEX && g->wait_class != GORO_CLASS_RWMUTEX))
		return false;
	o = goro_snapshot_object(snap, g->wait_object);
	if (!o || !o->valid)
		return false;
	if (o->owner == g->id)
		return true;
	for (uint32_t i = 0; i < g->nrlocks; i++) {
		if (snap->rlocks[g->rlocks_first + i] == g->wait_object)
			return true;
	}
	return false;
}

static struct goro_error *first_waiter(const struct contract *c, struct target *t,
				       const struct goro_info *g, uint64_t *waiter)
{
	const struct goro_field *f =
		&c->fields[g->wait_class == GORO_CLASS_MUTEX ? GORO_FIELD_mutex_waitq
							     : GORO_FIELD_rwmutex_waitq];
	struct goro_error *err;
	bool ok;

	*waiter = 0;
	if (f->size != sizeof *waiter)
		return NULL;
	err = target_read_at(t, g->wait_object + f->offset, waiter, sizeof *waiter, &ok);
	if (!ok)
		*waiter = 0;
	return err;
}

static struct goro_error *walk(const struct contract *c, struct target *t, struct goro_info *g,
			       uint32_t most, uint32_t *steps)
{
	size_t size = contract_size(c, GORO_FIELD_waiter_g, GORO_FIELD_waiter_next);
	uint8_t bytes[4096];
	uint64_t waiter;
	struct goro_error *err = first_waiter(c, t, g, &waiter);

	for (uint32_t n = 0; !err && waiter && n <= most && *steps < MAX_STEPS; n++) {
		struct record r = { bytes, size };
		bool ok;

		(*steps)++;
		err = target_read_at(t, waiter, bytes, size, &ok);
		if (err || !ok)
			break;
		if (contract_get(c, r, GORO_FIELD_waiter_g) == g->record) {
			g->queued = true;
			break;
		}
		waiter = contract_get(c, r, GORO_FIELD_waiter_next);
	}
	return err;
}

static bool has_locks(const struct goro_snapshot *snap)
{
	for (size_t i = 0; i < snap->nobjects; i++) {
		if (snap->objects[i].wait_class == GORO_CLASS_MUTEX ||
		    snap->objects[i].wait_class == GORO_CLASS_RWMUTEX)
			return true;
	}
	return false;
}

struct goro_error *contract_read_queues(const struct contract *c, struct target *t,
					struct goro_snapshot *snap)
{
	struct goro_error *err = NULL;
	uint32_t steps = 0;

	if (!has_locks(snap))
		return NULL;
	for (size_t i = 0; i < snap->ng && !err; i++) {
		struct goro_info *g = &snap->g[i];

		if (seems_to_hold(snap, g))
			err = walk(c, t, g, goro_snapshot_object(snap, g->wait_object)->nwaiters,
				   &steps);
	}
	return err;
}
