/* SPDX-License-Identifier: MIT */
/*
 * context.c - contexts: cancellation, deadlines and values that are handed down a tree of calls.
 *
 * A context that can be cancelled has a list of those who are to be told: contexts made from it,
 * and functions. Cancelling goes down the tree breadth first, parents before children, with a queue
 * instead of recursion: a chain of a million contexts needs no more stack than one. All of them
 * stay locked until the last one is done, so that whoever cancels a part of the tree at the same
 * time returns only when that part is cancelled, too. Locks are taken from the root downwards.
 *
 * There is no collector, so contexts count references. A child holds its parent; the parent's list
 * does not hold the child, which takes itself off when it goes. Nor does the timer of a deadline
 * hold its context: who releases the last reference stops the timer.
 *
 * Rejected: a goroutine for each context (Go needs one for foreign implementations only); locks of
 * the runtime instead of a mutex (user code may hold thousands of children here).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "context.h"
#include "timer.h"

enum kind { BACKGROUND, CANCEL, VALUE, WITHOUT_CANCEL };

struct goro_context {
	_Atomic uint32_t refs;
	enum kind kind;
	goro_context *parent;
	goro_context *source; /* the nearest that can be cancelled, maybe itself; NULL: none */
	int64_t when;	      /* its deadline, inherited or not; NEVER: none */

	/* CANCEL */
	goro_mutex mu;
	goro_chan *done;
	_Atomic int err; /* written once, after cause */
	int cause;
	int late;		  /* the cause when time runs out */
	struct context_node node; /* in the list of the parent's source */
	struct context_node *nodes, **nodes_end;
	struct timer timer;
	uintptr_t pc;
	uint64_t maker;

	/* VALUE */
	const void *key;
	void *value;
	void (*destroy)(void *value);
};

static goro_context background = { .kind = BACKGROUND, .when = NEVER };

static void goro_context_need(const goro_context *c)
{
	if (unlikely(!c))
		goro_panic("nil context; goro_background() is the one that never ends");
}

goro_context *goro_background(void)
{
	return &background;
}

/* ---- references --------------------------------------------------------------------------------
 */

goro_context *goro_context_retain(goro_context *c)
{
	if (c && c->kind != BACKGROUND)
		atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

/* For those who know of it without holding it: false when it is going. */
static bool try_retain(goro_context *c)
{
	uint32_t refs = atomic_load_explicit(&c->refs, memory_order_relaxed);

	while (refs)
		if (atomic_compare_exchange_weak(&c->refs, &refs, refs + 1))
			return true;
	return false;
}

static void disarm(goro_context *c)
{
	struct m *mp = enter();

	goro_timer_disarm(&c->timer);
	leave(mp);
}

static void destroy(goro_context *c)
{
	if (c->kind == CANCEL) {
		goro_context_unwatch(c->parent, &c->node);
		disarm(c);
		goro_chan_free(c->done);
	} else if (c->kind == VALUE && c->destroy) {
		c->destroy(c->value);
	}
	free(c);
}

void goro_context_release(goro_context *c)
{
	while (c && c->kind != BACKGROUND) {
		goro_context *parent = c->parent;

		if (atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
			return;
		destroy(c);
		c = parent;
	}
}

/* ---- who is to be told -------------------------------------------------------------------------
 */

/* c->mu held. */
static void node_add(goro_context *c, struct context_node *node)
{
	if (!c->nodes)
		c->nodes_end = &c->nodes;
	node->next = NULL;
	node->link = c->nodes_end;
	*c->nodes_end = node;
	c->nodes_end = &node->next;
}

static void node_remove(goro_context *c, struct context_node *node)
{
	if (!node->link)
		return; /* it was told, and taken out for that */
	*node->link = node->next;
	if (node->next)
		node->next->link = node->link;
	else
		c->nodes_end = node->link;
	node->link = NULL;
}

int goro_context_watch(goro_context *ctx, struct context_node *node)
{
	goro_context *c = ctx->source;
	int err;

	node->link = NULL;
	if (!c)
		return 0;
	goro_mutex_lock(&c->mu);
	err = atomic_load_explicit(&c->err, memory_order_relaxed);
	if (!err)
		node_add(c, node);
	goro_mutex_unlock(&c->mu);
	return err;
}

bool goro_context_unwatch(goro_context *ctx, struct context_node *node)
{
	goro_context *c = ctx->source;
	bool was;

	if (!c)
		return true;
	goro_mutex_lock(&c->mu);
	was = node->link;
	if (was)
		node_remove(c, node);
	goro_mutex_unlock(&c->mu);
	return was;
}

/* ---- cancel ------------------------------------------------------------------------------------
 */

struct queue {
	struct context_node *first, **end;
};

/* c->mu held: everybody off the list, functions are called, contexts queued. */
static void tell(goro_context *c, struct queue *queue)
{
	struct context_node *node;

	while ((node = c->nodes)) {
		node_remove(c, node);
		if (!node->child) {
			node->fn(node);
		} else if (try_retain(node->child)) {
			node->next = NULL;
			*queue->end = node;
			queue->end = &node->next;
		}
	}
}

/* Leaves it locked. */
static void cancel_one(goro_context *c, int err, int cause, struct queue *queue)
{
	goro_mutex_lock(&c->mu);
	if (!atomic_load_explicit(&c->err, memory_order_relaxed)) {
		c->cause = cause;
		/* Release: who sees the error sees its cause. */
		atomic_store_explicit(&c->err, err, memory_order_release);
		goro_chan_close(c->done);
		disarm(c);
		tell(c, queue);
	}
}

static void cancel(goro_context *c, int err, int cause)
{
	struct queue queue = { NULL, &queue.first };
	struct context_node *node, *next;

	/* Who sees that it is cancelled may give it back before we are done. */
	goro_context_retain(c);
	cancel_one(c, err, cause, &queue);
	for (node = queue.first; node; node = node->next)
		cancel_one(node->child, err, cause, &queue);
	goro_mutex_unlock(&c->mu);
	for (node = queue.first; node; node = next) {
		next = node->next;
		goro_mutex_unlock(&node->child->mu);
		goro_context_release(node->child);
	}
	/* Only now: as long as it is not, who cancels the parent finds us, and waits for us. */
	goro_context_unwatch(c->parent, &c->node);
	goro_context_release(c);
}

void goro_context_cancel_cause(goro_context *c, int cause)
{
	if (!c || c->kind != CANCEL)
		goro_panic("context: cancel of a context that was not made to be canceled");
	cancel(c, -ECANCELED, cause ? cause : -ECANCELED);
}

void goro_context_cancel(goro_context *c)
{
	goro_context_cancel_cause(c, 0);
}

/* ---- making them -------------------------------------------------------------------------------
 */

static goro_context *goro_context_make(goro_context *parent, enum kind kind)
{
	goro_context *c;

	if (!parent)
		goro_panic("cannot create context from nil parent");
	c = calloc(1, sizeof(*c));
	if (!c)
		goro_throw("out of memory: a context");
	atomic_init(&c->refs, 1);
	c->kind = kind;
	c->parent = goro_context_retain(parent);
	c->source = parent->source;
	c->when = parent->when;
	return c;
}

static goro_context *goro_context_make_cancel(goro_context *parent)
{
	goro_context *c = goro_context_make(parent, CANCEL);
	int err;

	c->done = goro_chan_make(0, 0);
	c->source = c;
	c->node.child = c;
	err = goro_context_watch(parent, &c->node);
	if (err)
		cancel(c, err, goro_context_cause(parent));
	return c;
}

goro_context *goro_context_with_cancel(goro_context *parent)
{
	return goro_context_make_cancel(parent);
}

static void expire(void *arg)
{
	goro_context *c = arg;

	cancel(c, -ETIMEDOUT, c->late);
	goro_context_release(c);
}

/* On whichever worker, under the timer's lock: telling everybody is a goroutine's work. */
static int64_t fire(struct m *mp, struct timer *t, int64_t when, struct fired *fired)
{
	goro_context *c = (goro_context *)((char *)t - offsetof(goro_context, timer));

	(void)when, (void)fired;
	if (try_retain(c))
		goro_spawn(mp, expire, c, c->pc, c->maker);
	return NEVER;
}

static goro_context *goro_context_until(goro_context *parent, int64_t when, int cause, uintptr_t pc)
{
	goro_context *c = goro_context_make_cancel(parent);

	c->late = cause ? cause : -ETIMEDOUT;
	if (when >= c->when)
		return c; /* the parent's comes first */
	c->when = when;
	if (when <= goro_now()) {
		cancel(c, -ETIMEDOUT, c->late);
		return c;
	}
	c->timer.fire = fire;
	c->pc = pc;
	c->maker = goro_id();
	goro_mutex_lock(&c->mu);
	if (!atomic_load_explicit(&c->err, memory_order_relaxed)) {
		struct m *mp = enter();

		goro_timer_arm(mp, &c->timer, when);
		leave(mp);
	}
	goro_mutex_unlock(&c->mu);
	return c;
}

goro_context *goro_context_with_deadline(goro_context *parent, int64_t when)
{
	return goro_context_until(parent, when, 0, (uintptr_t)__builtin_return_address(0));
}

goro_context *goro_context_with_timeout(goro_context *parent, int64_t ns)
{
	return goro_context_until(parent, goro_when(ns), 0, (uintptr_t)__builtin_return_address(0));
}

goro_context *goro_context_with_deadline_cause(goro_context *parent, int64_t when, int cause)
{
	return goro_context_until(parent, when, cause, (uintptr_t)__builtin_return_address(0));
}

goro_context *goro_context_with_timeout_cause(goro_context *parent, int64_t ns, int cause)
{
	return goro_context_until(parent, goro_when(ns), cause,
				  (uintptr_t)__builtin_return_address(0));
}

goro_context *goro_context_with_value(goro_context *parent, const void *key, void *value,
				      void (*destroy_value)(void *value))
{
	goro_context *c;

	if (!key)
		goro_panic("nil key");
	c = goro_context_make(parent, VALUE);
	c->key = key;
	c->value = value;
	c->destroy = destroy_value;
	return c;
}

goro_context *goro_context_without_cancel(goro_context *parent)
{
	goro_context *c = goro_context_make(parent, WITHOUT_CANCEL);

	c->source = NULL;
	c->when = NEVER;
	return c;
}

/* ---- asking them -------------------------------------------------------------------------------
 */

goro_chan *goro_context_done(goro_context *c)
{
	goro_context_need(c);
	return c->source ? c->source->done : NULL;
}

int goro_context_err(const goro_context *c)
{
	goro_context_need(c);
	return c->source ? atomic_load_explicit(&c->source->err, memory_order_acquire) : 0;
}

int goro_context_cause(const goro_context *c)
{
	return goro_context_err(c) ? c->source->cause : 0;
}

bool goro_context_deadline(const goro_context *c, int64_t *when)
{
	goro_context_need(c);
	if (when)
		*when = c->when == NEVER ? 0 : c->when;
	return c->when != NEVER;
}

void *goro_context_value(const goro_context *c, const void *key)
{
	for (; c; c = c->parent)
		if (c->kind == VALUE && c->key == key)
			return c->value;
	return NULL;
}

const char *goro_context_strerror(int err)
{
	const char *text;

	if (err == -ECANCELED)
		return "context canceled";
	if (err == -ETIMEDOUT)
		return "context deadline exceeded";
	text = strerrordesc_np(err < 0 ? -err : err);
	return text ? text : "unknown error";
}

/* ---- functions that run afterwards -------------------------------------------------------------
 */

struct goro_context_after {
	struct context_node node;
	goro_context *ctx;
	goro_fn *fn;
	void *arg;
	uintptr_t pc;
};

static void start_after(struct context_node *node)
{
	struct goro_context_after *a = (struct goro_context_after *)node;
	struct m *mp = enter();

	goro_spawn(mp, a->fn, a->arg, a->pc, mp->curg->id);
	leave(mp);
}

goro_context_after *goro_context_after_func(goro_context *c, goro_fn *fn, void *arg)
{
	goro_context_after *a;

	goro_context_need(c);
	if (!fn)
		goro_throw("go of nil func value");
	a = calloc(1, sizeof(*a));
	if (!a)
		goro_throw("out of memory: a function of a context");
	a->node.fn = start_after;
	a->ctx = goro_context_retain(c);
	a->fn = fn;
	a->arg = arg;
	a->pc = (uintptr_t)__builtin_return_address(0);
	if (goro_context_watch(c, &a->node))
		start_after(&a->node);
	return a;
}

bool goro_context_after_stop(goro_context_after *a)
{
	bool stopped = goro_context_unwatch(a->ctx, &a->node);

	goro_context_release(a->ctx);
	free(a);
	return stopped;
}
