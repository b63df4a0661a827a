/* SPDX-License-Identifier: MIT */
/*
 * waiter.h - who waits for an object, and the queue that it keeps of them. Part of runtime.h.
 */
#ifndef GORO_WAITER_H
#define GORO_WAITER_H

/*
 * One blocked operation. It lives on the stack of the goroutine that waits (C stacks do not move),
 * so blocking allocates nothing. It is in the object's queue, under the object's lock.
 */
struct goro_waiter {
	struct g *g;
	struct goro_waiter *next, *prev;
	void *object;
	struct goro_waiter *next_of_g; /* the other cases of a select */
	void *elem;		       /* channels: where the value comes from or goes to */
	struct selection *selection;   /* NULL: not a select */
	uint32_t kind;		       /* enum goro_reason */
	bool ok; /* set by who wakes it: value passed (not closed), lock handed over */
	/*
	 * Where others wait already: how many cache lines from here, with its sign, is who joined
	 * CROWD_AHEAD places earlier on the same P; 0: too many. So who wakes a crowd from its end
	 * can prefetch. That one may be gone, or wait for something else; and it is no pointer,
	 * which an observer would follow.
	 */
	int32_t before : 24;
};

_Static_assert(sizeof(struct goro_waiter) == CACHE_LINE, "the hint is in what was left over");

/* What the cases of one select share: the first to claim it wins. */
struct selection {
	_Atomic uint32_t claimed;
	struct goro_waiter *fired;
	void *more; /* memory that the select has, or NULL */
};

struct waitq {
	struct goro_waiter *first, *last;
};

/*
 * Under the object's lock; only `first` is also looked at without it (by select, as a hint, and
 * from outside), so it is written with one relaxed store.
 */
static inline void waitq_set_first(struct goro_waiter **first, struct goro_waiter *w)
{
	__atomic_store_n(first, w, __ATOMIC_RELAXED);
}

static inline void waitq_push(struct goro_waiter **first, struct goro_waiter **last,
			      struct goro_waiter *w)
{
	w->next = NULL;
	w->prev = *last;
	if (*last)
		(*last)->next = w;
	else
		waitq_set_first(first, w);
	*last = w;
}

static inline void waitq_push_front(struct goro_waiter **first, struct goro_waiter **last,
				    struct goro_waiter *w)
{
	w->prev = NULL;
	w->next = *first;
	if (*first)
		(*first)->prev = w;
	else
		*last = w;
	waitq_set_first(first, w);
}

static inline void waitq_remove(struct goro_waiter **first, struct goro_waiter **last,
				struct goro_waiter *w)
{
	if (w->prev)
		w->prev->next = w->next;
	else
		waitq_set_first(first, w->next);
	if (w->next)
		w->next->prev = w->prev;
	else
		*last = w->prev;
	w->next = w->prev = NULL;
}

static inline struct goro_waiter *waitq_pop(struct goro_waiter **first, struct goro_waiter **last)
{
	struct goro_waiter *w = *first;

	if (w)
		waitq_remove(first, last, w);
	return w;
}

#endif /* GORO_WAITER_H */
