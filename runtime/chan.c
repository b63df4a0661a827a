/* SPDX-License-Identifier: MIT */
/*
 * chan.c - channels.
 *
 * A lock, a ring buffer, and two queues of waiters, as in Go's chan.go. A sender that finds a
 * waiting receiver copies straight into the receiver's variable and makes it runnable: with an
 * unbuffered channel the value is copied once. Lock-free rings were rejected: select needs to look
 * at several channels at once, and close at all waiters. So was a cache line of its own for what is
 * in front of the buffer: two cores were no faster, and malloc is.
 */
#include <stdlib.h>

#include "chan.h"
#include "switch.h"

goro_chan *goro_chan_make(size_t elem_size, size_t cap)
{
	goro_chan *c;
	size_t bytes;

	if (elem_size > UINT32_MAX || cap > UINT32_MAX ||
	    __builtin_mul_overflow(elem_size, cap, &bytes) || bytes > PTRDIFF_MAX - sizeof(*c))
		goro_panic("makechan: size out of range");
	c = calloc(1, sizeof(*c) + bytes);
	if (!c)
		goro_panic("makechan: out of memory: %zu elements of %zu bytes", cap, elem_size);
	c->elem_size = (uint32_t)elem_size;
	c->cap = (uint32_t)cap;
	c->make_pc = (uintptr_t)__builtin_return_address(0);
	return c;
}

void goro_chan_free(goro_chan *c)
{
	struct goro_waiter *w;
	uint64_t waits;
	struct m *mp;

	if (!c)
		return;
	mp = enter();
	lock(&c->lock);
	w = c->recvq.first ? c->recvq.first : c->sendq.first;
	waits = w ? w->g->id : 0;
	unlock(&c->lock);
	leave(mp);
	if (w)
		goro_panic("free of a channel that goroutine %lu waits on", (unsigned long)waits);
	if (c->after)
		goro_after_end(c->after);
	free(c);
}

/* Its value is taken or there; c->lock is held and released. */
static __always_inline void complete(struct m *mp, goro_chan *c, struct goro_waiter *w)
{
	struct g *gp = w->g;

	w->ok = true;
	unlock(&c->lock);
	goro_ready(mp, gp);
}

static __always_inline enum goro_try send_locked(struct m *mp, goro_chan *c, const void *elem)
{
	struct goro_waiter *w;

	if (unlikely(c->closed)) {
		unlock(&c->lock);
		return GORO_CLOSED;
	}
	w = c->recvq.first ? chan_dequeue(&c->recvq) : NULL;
	if (w) {
		if (w->elem)
			elem_copy(c, w->elem, elem);
		complete(mp, c, w);
		return GORO_GOT;
	}
	if (c->count < c->cap) {
		elem_copy(c, c->buf + (size_t)c->send_at * c->elem_size, elem);
		c->send_at = c->send_at + 1 == c->cap ? 0 : c->send_at + 1;
		chan_set_count(c, c->count + 1);
		unlock(&c->lock);
		return GORO_GOT;
	}
	return GORO_WOULD_BLOCK;
}

/* There is something in the buffer. */
static __always_inline void recv_buffered(struct m *mp, goro_chan *c, void *elem)
{
	unsigned char *slot = c->buf + (size_t)c->recv_at * c->elem_size;
	struct goro_waiter *w;

	if (elem)
		elem_copy(c, elem, slot);
	w = c->sendq.first ? chan_dequeue(&c->sendq) : NULL;
	c->recv_at = c->recv_at + 1 == c->cap ? 0 : c->recv_at + 1;
	if (w) {
		/* The buffer was full: the sender's value takes the slot that came free. */
		elem_copy(c, slot, w->elem);
		c->send_at = c->recv_at;
		complete(mp, c, w);
		return;
	}
	/* A pointer that was received is in this channel no more, for whoever looks. */
	elem_clear(c, slot);
	chan_set_count(c, c->count - 1);
	unlock(&c->lock);
}

static __always_inline enum goro_try recv_locked(struct m *mp, goro_chan *c, void *elem)
{
	struct goro_waiter *w;

	if (c->count) {
		recv_buffered(mp, c, elem);
		return GORO_GOT;
	}
	w = c->sendq.first ? chan_dequeue(&c->sendq) : NULL;
	if (w) {
		if (elem)
			elem_copy(c, elem, w->elem);
		complete(mp, c, w);
		return GORO_GOT;
	}
	if (unlikely(c->closed)) {
		unlock(&c->lock);
		if (elem)
			memset(elem, 0, c->elem_size);
		return GORO_CLOSED;
	}
	return GORO_WOULD_BLOCK;
}

enum goro_try goro_chan_send_locked(struct m *mp, goro_chan *c, const void *elem)
{
	return send_locked(mp, c, elem);
}

enum goro_try goro_chan_recv_locked(struct m *mp, goro_chan *c, void *elem)
{
	return recv_locked(mp, c, elem);
}

static noinline void goro_send_on_closed(void)
{
	goro_panic("send on closed channel");
}

/* Asked for before the send, for it may be the receiver who reads it. An element of no size may lie
 * anywhere. */
static noinline const void *goro_send_nothing(const goro_chan *c)
{
	if (c->elem_size)
		goro_panic("send of NULL on a channel of elements of %u bytes", c->elem_size);
	return c->buf;
}

/* By lines of the cache, which are no addresses: see waiter.h. */
static noinline void join_crowd(struct p *pp, struct goro_waiter *w)
{
	uintptr_t *slot = &pp->came[pp->ncame++ % CROWD_AHEAD];
	uintptr_t line = (uintptr_t)w / CACHE_LINE;
	intptr_t before = (intptr_t)(*slot - line);

	w->before = before == (int32_t)((uint32_t)before << 8) >> 8 ? (int32_t)before : 0;
	*slot = line;
}

/*
 * Wait in q; c->lock is held and released. Afterwards w->ok is false if the channel was closed; and
 * w has what the caller still needs, which so need not be kept elsewhere over the switch.
 */
static __always_inline void chan_wait(struct m *mp, goro_chan *c, struct waitq *q, void *elem,
				      enum goro_reason reason, struct goro_waiter *w)
{
	struct g *gp = mp->curg;

	w->g = gp;
	w->object = c;
	w->next_of_g = NULL;
	w->elem = elem;
	w->selection = NULL;
	w->kind = reason;
	w->ok = false;
	w->before = 0;
	if (q->last)
		join_crowd(mp->p, w);
	waitq_push(&q->first, &q->last, w);
	mp = park(mp, gp, reason, c, &c->lock);
	leave(mp);
}

/*
 * What goro_wait() calls. (The names say to who reads a stack that these park.) All of a waiter is
 * in one line, since whoever completes the operation has to fetch it, maybe from another core: 5%
 * of a message.
 */
static bool goro_park_send(struct m *mp, void *chan, void *elem)
{
	struct goro_waiter w __attribute__((aligned(CACHE_LINE)));
	goro_chan *c = chan;

	chan_wait(mp, c, &c->sendq, elem, GORO_REASON_CHAN_SEND, &w);
	if (unlikely(!w.ok))
		goro_send_on_closed();
	return true;
}

static bool goro_park_recv(struct m *mp, void *chan, void *elem)
{
	struct goro_waiter w __attribute__((aligned(CACHE_LINE)));
	goro_chan *c = chan;

	chan_wait(mp, c, &c->recvq, elem, GORO_REASON_CHAN_RECV, &w);
	if (unlikely(!w.ok) && w.elem)
		memset(w.elem, 0, ((goro_chan *)w.object)->elem_size);
	return w.ok;
}

void goro_chan_send(goro_chan *c, const void *elem)
{
	struct m *mp;
	enum goro_try sent;

	if (unlikely(!c))
		goro_park_forever(GORO_REASON_CHAN_SEND_NIL);
	if (unlikely(!elem))
		elem = goro_send_nothing(c);
	mp = enter();
	lock(&c->lock);
	sent = send_locked(mp, c, elem);
	if (sent == GORO_WOULD_BLOCK) {
		goro_wait(mp, c, (void *)elem, goro_park_send);
		return;
	}
	leave(mp);
	if (unlikely(sent == GORO_CLOSED))
		goro_send_on_closed();
}

bool goro_chan_recv(goro_chan *c, void *elem)
{
	enum goro_try got;
	struct m *mp;

	if (unlikely(!c))
		goro_park_forever(GORO_REASON_CHAN_RECV_NIL);
	mp = enter();
	lock(&c->lock);
	got = recv_locked(mp, c, elem);
	if (got == GORO_WOULD_BLOCK)
		return goro_wait(mp, c, elem, goro_park_recv);
	leave(mp);
	return got == GORO_GOT;
}

bool goro_chan_try_send(goro_chan *c, const void *elem)
{
	enum goro_try sent;
	struct m *mp;

	if (!c)
		return false;
	if (unlikely(!elem))
		elem = goro_send_nothing(c);
	mp = enter();
	lock(&c->lock);
	sent = goro_chan_send_locked(mp, c, elem);
	if (sent == GORO_WOULD_BLOCK)
		unlock(&c->lock);
	leave(mp);
	if (sent == GORO_CLOSED)
		goro_send_on_closed();
	return sent == GORO_GOT;
}

enum goro_try goro_chan_try_recv(goro_chan *c, void *elem)
{
	enum goro_try got;
	struct m *mp;

	if (!c)
		return GORO_WOULD_BLOCK;
	mp = enter();
	lock(&c->lock);
	got = goro_chan_recv_locked(mp, c, elem);
	if (got == GORO_WOULD_BLOCK)
		unlock(&c->lock);
	leave(mp);
	return got;
}

/* They are awake, and whoever has room runs them; c->lock is held, and given up meanwhile. */
static noinline void wake_first(struct m *mp, goro_chan *c, struct g_pile *woken)
{
	unlock(&c->lock);
	goro_ready_pile(mp, woken);
	woken->n = 0;
	woken->first = NULL;
	lock(&c->lock);
}

/*
 * Empty q; the operations did not happen. From the end, which is the way that the waiters point. A
 * crowd is no longer in any cache: each step would wait for memory, and the address of the next one
 * is in the one before. That was a third of the time of waking 100,000.
 *
 * It is half of the time yet. So other workers begin with those who are out of it while we go on.
 * Nobody new comes to wait, for c is closed; and nobody may free c while others are in a call on
 * it, which whoever is awake last has not left before we are done. (Those behind may leave the
 * queue by themselves meanwhile: another case of their select came true.)
 */
static void drain(struct m *mp, goro_chan *c, struct waitq *q, struct g_pile *woken)
{
	struct goro_waiter *w;

	while ((w = q->last)) {
		struct selection *sel = w->selection;

		__builtin_prefetch((const char *)w + (intptr_t)w->before * CACHE_LINE, 1);
		waitq_remove(&q->first, &q->last, w);
		if (sel && !selection_claim(sel))
			continue;
		if (sel)
			sel->fired = w;
		w->ok = false;
		/* This one is not awake yet, so c will be there when we come back to it. */
		if (unlikely(woken->n == PILE_MANY) && !sched.solo)
			wake_first(mp, c, woken);
		goro_pile_add(woken, w->g);
	}
}

void goro_chan_close(goro_chan *c)
{
	struct g_pile woken;
	struct m *mp;

	if (!c)
		goro_panic("close of nil channel");
	mp = enter();
	lock(&c->lock);
	if (c->closed) {
		unlock(&c->lock);
		leave(mp);
		goro_panic("close of closed channel");
	}
	__atomic_store_n(&c->closed, 1, __ATOMIC_RELAXED);
	woken.n = 0;
	woken.first = NULL;
	drain(mp, c, &c->recvq, &woken);
	drain(mp, c, &c->sendq, &woken);
	unlock(&c->lock);
	if (woken.n)
		goro_ready_pile(mp, &woken);
	leave(mp);
}

size_t goro_chan_len(const goro_chan *c)
{
	return c ? __atomic_load_n(&c->count, __ATOMIC_RELAXED) : 0;
}

size_t goro_chan_cap(const goro_chan *c)
{
	return c ? c->cap : 0;
}
