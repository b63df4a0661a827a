/* SPDX-License-Identifier: MIT */
/*
 * chan.h - the channel, shared by chan.c and select.c.
 */
#ifndef GORO_CHAN_H
#define GORO_CHAN_H

#include <string.h>

#include "runtime.h"

struct goro_chan {
	uint32_t lock;
	uint32_t elem_size;
	uint32_t cap;
	uint32_t count; /* elements in the buffer */
	uint32_t closed;
	uint32_t send_at, recv_at; /* where in the buffer */
	uint32_t pad;
	struct waitq recvq, sendq; /* at most one of them is not empty, but for one select's own */
	uintptr_t make_pc;
	goro_timer *after; /* goro_after()'s, which goes with it; else NULL */
	unsigned char buf[] __attribute__((aligned(16)));
};

/* Under the lock, but looked at without it; see waitq_set_first(). */
static inline void chan_set_count(goro_chan *c, uint32_t count)
{
	__atomic_store_n(&c->count, count, __ATOMIC_RELAXED);
}

static inline void elem_copy(const goro_chan *c, void *to, const void *from)
{
	if (c->elem_size == 8)
		memcpy(to, from, 8);
	else if (c->elem_size) /* an element of no size may have no address */
		memcpy(to, from, c->elem_size);
}

static inline void elem_clear(const goro_chan *c, void *at)
{
	if (c->elem_size == 8)
		memset(at, 0, 8);
	else
		memset(at, 0, c->elem_size);
}

/* False: something else was faster. */
static inline bool selection_claim(struct selection *sel)
{
	if (!sched.solo)
		return !atomic_exchange_explicit(&sel->claimed, 1, memory_order_acq_rel);
	if (atomic_load_explicit(&sel->claimed, memory_order_relaxed))
		return false;
	atomic_store_explicit(&sel->claimed, 1, memory_order_relaxed);
	return true;
}

/* The first waiter that is still there to be woken, out of its queue: a select may be claimed. */
static inline struct goro_waiter *chan_dequeue(struct waitq *q)
{
	struct goro_waiter *w;

	while ((w = waitq_pop(&q->first, &q->last))) {
		struct selection *sel = w->selection;

		if (!sel)
			return w;
		if (!selection_claim(sel))
			continue;
		sel->fired = w;
		return w;
	}
	return NULL;
}

/* timer.c: stop what goro_after() started, and free it. */
void goro_after_end(goro_timer *t);

/*
 * Try the operation with c->lock held, which is released if it was done. For a send GORO_CLOSED
 * means that the channel is closed; who sends on it panics.
 */
enum goro_try goro_chan_send_locked(struct m *mp, goro_chan *c, const void *elem);
enum goro_try goro_chan_recv_locked(struct m *mp, goro_chan *c, void *elem);

#endif /* GORO_CHAN_H */
