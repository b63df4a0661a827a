/* SPDX-License-Identifier: MIT */
/*
 * sema.c - weighted semaphores (golang.org/x/sync/semaphore).
 *
 * One queue in order of arrival; release serves it from the front and stops at the first request
 * that does not fit. A wait that a context may end has a node in the context's list, on the waiting
 * goroutine's stack like everything else; the context calls it, and it takes the waiter out. Its
 * wait reason is one of its own: such a wait may end although nobody releases. So has one for more
 * than the size, without a context: it cannot end, whoever has the semaphore.
 */
#include "context.h"
#include "runtime.h"

enum sema_state { STARTING, WAITING, GRANTED, CANCELLED };

struct sema_waiter {
	struct goro_waiter w;
	struct context_node node;
	goro_sema *sema;
	int64_t n;
	enum sema_state state;
	bool queued; /* more than the size is never in the queue: it would stop it */
};

/* Under s->lock_, as all below. */
static bool take(goro_sema *s, int64_t n)
{
	if (s->first_ || s->size_ - s->held_ < n)
		return false;
	s->held_ += n;
	return true;
}

/* lock_ is released. */
static void serve(struct m *mp, goro_sema *s)
{
	struct g *first = NULL, *last = NULL;
	uint32_t count = 0;

	while (s->first_) {
		struct sema_waiter *sw = (struct sema_waiter *)s->first_;

		if (s->size_ - s->held_ < sw->n)
			break;
		waitq_pop(&s->first_, &s->last_);
		s->held_ += sw->n;
		sw->state = GRANTED;
		sw->w.g->link = NULL;
		if (last)
			last->link = sw->w.g;
		else
			first = sw->w.g;
		last = sw->w.g;
		count++;
	}
	unlock(&s->lock_);
	if (count == 1)
		goro_ready(mp, first);
	else if (count)
		goro_ready_batch(mp, first, count);
}

/* lock_ is released. */
static struct m *wait(struct m *mp, struct sema_waiter *sw, enum goro_reason reason)
{
	goro_sema *s = sw->sema;

	sw->w.g = mp->curg;
	sw->w.object = s;
	sw->w.kind = reason;
	sw->state = WAITING;
	sw->queued = sw->n <= s->size_;
	if (sw->queued)
		waitq_push(&s->first_, &s->last_, &sw->w);
	mp->curg->waiting = &sw->w;
	return goro_park(mp, reason, s, &s->lock_);
}

/* Called by the context that has ended, under its mutex. */
static void give_up(struct context_node *node)
{
	struct sema_waiter *sw =
		(struct sema_waiter *)((char *)node - offsetof(struct sema_waiter, node));
	goro_sema *s = sw->sema;
	struct m *mp = enter();
	struct g *gp = NULL;

	lock(&s->lock_);
	if (sw->state == WAITING) {
		gp = sw->w.g;
		if (sw->queued)
			waitq_remove(&s->first_, &s->last_, &sw->w);
	}
	if (sw->state != GRANTED)
		sw->state = CANCELLED;
	serve(mp, s); /* it may have been the one that did not fit */
	if (gp)
		goro_ready(mp, gp);
	leave(mp);
}

static void goro_sema_check(int64_t n)
{
	if (n < 0)
		goro_panic("semaphore: a negative amount: %ld", (long)n);
}

void goro_sema_acquire(goro_sema *s, int64_t n)
{
	struct m *mp;

	goro_sema_check(n);
	mp = enter();
	lock(&s->lock_);
	if (take(s, n)) {
		unlock(&s->lock_);
	} else if (unlikely(n > s->size_)) {
		unlock(&s->lock_);
		leave(mp);
		goro_park_forever(GORO_REASON_SEMA_OVER);
	} else {
		struct sema_waiter sw = { .sema = s, .n = n };

		mp = wait(mp, &sw, GORO_REASON_SEMA);
	}
	leave(mp);
}

bool goro_sema_try_acquire(goro_sema *s, int64_t n)
{
	struct m *mp;
	bool taken;

	goro_sema_check(n);
	mp = enter();
	lock(&s->lock_);
	taken = take(s, n);
	unlock(&s->lock_);
	leave(mp);
	return taken;
}

int goro_sema_acquire_context(goro_sema *s, goro_context *ctx, int64_t n)
{
	struct sema_waiter sw = { .node = { .fn = give_up }, .sema = s, .n = n };
	int err = goro_context_err(ctx);
	struct m *mp;

	goro_sema_check(n);
	if (err)
		return err;
	if (goro_sema_try_acquire(s, n))
		return 0;
	if (!goro_context_done(ctx)) {
		goro_sema_acquire(s, n);
		return 0;
	}
	err = goro_context_watch(ctx, &sw.node);
	if (err)
		return err;
	mp = enter();
	lock(&s->lock_);
	if (sw.state == CANCELLED) {
		unlock(&s->lock_);
	} else if (take(s, n)) {
		sw.state = GRANTED;
		unlock(&s->lock_);
	} else {
		mp = wait(mp, &sw, GORO_REASON_SEMA_CONTEXT);
	}
	leave(mp);
	goro_context_unwatch(ctx, &sw.node);
	return sw.state == GRANTED ? 0 : goro_context_err(ctx);
}

void goro_sema_release(goro_sema *s, int64_t n)
{
	struct m *mp;

	goro_sema_check(n);
	mp = enter();
	lock(&s->lock_);
	if (unlikely(s->held_ < n)) {
		unlock(&s->lock_);
		leave(mp);
		goro_panic("semaphore: released more than held");
	}
	s->held_ -= n;
	serve(mp, s);
	leave(mp);
}

void goro_sema_forget(struct m *mp, struct goro_waiter *w)
{
	struct sema_waiter *sw = (struct sema_waiter *)w;
	goro_sema *s = sw->sema;

	if (sw->queued)
		waitq_remove(&s->first_, &s->last_, w);
	lock(&s->lock_);
	serve(mp, s); /* it may have been the one that did not fit */
}
