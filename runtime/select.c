/* SPDX-License-Identifier: MIT */
/*
 * select.c - wait for the first of several channel operations.
 *
 * First one of the cases that look ready is picked at random and tried under its channel's lock
 * only. When none looks ready, all channels are locked in the order of their addresses, the cases
 * are looked at once more (one may have become ready meanwhile), and then a waiter is queued on
 * each channel. Whoever wants to complete one of them claims the whole select with one exchange.
 * A timeout is one more that may claim it: a timer on the waiting goroutine's stack.
 */
#include <stdlib.h>

#include "chan.h"
#include "timer.h"

enum { INLINE_CASES = 8 };
enum { NO_WAIT = 0 };
enum { NOTHING = -1, SENDS_ON_CLOSED = -2 }; /* instead of the number of a case */
#define FOR_EVER NEVER

struct select_state {
	struct goro_case *cases;
	int n;
	int64_t timeout;
	uint32_t **order; /* the locks of the channels by address, each once; room for one more */
	int norder;
	struct goro_waiter *waiters;
};

struct timeout {
	struct timer timer;
	struct selection *selection;
	struct g *g;
};

static bool sends_on_closed(const struct goro_case *k)
{
	return k->send && k->chan->closed;
}

/* c->lock held; released if the case was done. */
static bool try_case_locked(struct m *mp, struct goro_case *k)
{
	if (k->send)
		return goro_chan_send_locked(mp, k->chan, k->elem);
	return goro_chan_recv_locked(mp, k->chan, k->elem, &k->ok);
}

/* Without the lock: could this one go on? Only a hint; a wrong no is found under all the locks. */
static bool maybe_ready(const struct goro_case *k)
{
	const goro_chan *c = k->chan;

	if (__atomic_load_n(&c->closed, __ATOMIC_RELAXED))
		return true;
	if (k->send)
		return __atomic_load_n(&c->recvq.first, __ATOMIC_RELAXED) ||
		       __atomic_load_n(&c->count, __ATOMIC_RELAXED) < c->cap;
	return __atomic_load_n(&c->sendq.first, __ATOMIC_RELAXED) ||
	       __atomic_load_n(&c->count, __ATOMIC_RELAXED);
}

/* One of the cases that look ready, each with the same chance; -1: none. */
static int pick_ready(struct p *pp, const struct select_state *s)
{
	uint32_t seen = 0;
	int picked = -1;

	for (int i = 0; i < s->n; i++) {
		if (!s->cases[i].chan || !maybe_ready(&s->cases[i]))
			continue;
		/* The k-th one replaces the choice so far with probability 1/k. */
		if (++seen == 1 || (uint64_t)(uint32_t)p_random(pp) * seen >> 32 == 0)
			picked = i;
	}
	return picked;
}

/* Without all the locks: what looked ready may be gone when its lock is taken, so look again.
 * Returns a case, NOTHING, or SENDS_ON_CLOSED. */
static int try_unlocked(struct m *mp, struct select_state *s)
{
	for (int i = 0; i < s->n; i++) {
		int at = pick_ready(mp->p, s);

		if (at < 0)
			return NOTHING;
		lock(&s->cases[at].chan->lock);
		if (unlikely(sends_on_closed(&s->cases[at]))) {
			unlock(&s->cases[at].chan->lock);
			return SENDS_ON_CLOSED;
		}
		if (try_case_locked(mp, &s->cases[at]))
			return at;
		unlock(&s->cases[at].chan->lock);
	}
	return NOTHING;
}

static void sort_locks(struct select_state *s)
{
	s->norder = 0;
	for (int i = 0; i < s->n && !sched.solo; i++) {
		uint32_t *l = s->cases[i].chan ? &s->cases[i].chan->lock : NULL;
		int at = s->norder;

		if (!l)
			continue;
		while (at && s->order[at - 1] > l)
			at--;
		if (at && s->order[at - 1] == l)
			continue;
		memmove(&s->order[at + 1], &s->order[at], sizeof(l) * (size_t)(s->norder - at));
		s->order[at] = l;
		s->norder++;
	}
}

static void lock_all(struct select_state *s)
{
	for (int i = 0; i < s->norder; i++)
		lock_object(s->order[i]);
}

static void unlock_all(struct select_state *s, const uint32_t *but)
{
	for (int i = s->norder - 1; i >= 0; i--)
		if (s->order[i] != but)
			unlock_always(s->order[i]);
}

/*
 * All channels locked. Done: all are unlocked again. What looks ready may still not be: waiters in
 * its queue can be those of selects that were completed elsewhere, and trying it removes them.
 */
static int try_locked(struct m *mp, struct select_state *s)
{
	int at;

	while ((at = pick_ready(mp->p, s)) >= 0) {
		if (unlikely(sends_on_closed(&s->cases[at]))) {
			unlock_all(s, NULL);
			return SENDS_ON_CLOSED;
		}
		if (try_case_locked(mp, &s->cases[at])) {
			unlock_all(s, &s->cases[at].chan->lock);
			return at;
		}
	}
	return NOTHING;
}

static struct waitq *queue_of(const struct goro_case *k)
{
	return k->send ? &k->chan->sendq : &k->chan->recvq;
}

static bool has_timeout(const struct select_state *s)
{
	return s->timeout != FOR_EVER && s->timeout != NO_WAIT;
}

static int64_t time_out(struct m *mp, struct timer *timer, int64_t when, struct fired *fired)
{
	struct timeout *t = (struct timeout *)timer;

	(void)mp, (void)when;
	if (selection_claim(t->selection)) /* its `fired` stays NULL: no case */
		fired_add(fired, t->g);
	return NEVER;
}

/*
 * All locked: sleep. Nobody may complete a case before we are parked, nor the time run out, so all
 * locks are held over the switch. The timer's comes last: disarm() waits for it, and until then the
 * list of locks must live.
 */
static void park(struct m **mp, struct select_state *s, struct timeout *t)
{
	struct g *gp = (*mp)->curg;
	int nlocks = s->norder;

	if (!has_timeout(s)) {
		*mp = goro_park_locks(*mp, GORO_REASON_SELECT, gp->waiting, s->order, nlocks);
		return;
	}
	if (!sched.solo)
		s->order[nlocks++] = &(*mp)->p->timer_lock;
	goro_timer_arm_locked(*mp, &t->timer, goro_when(s->timeout));
	*mp = goro_park_locks(*mp, GORO_REASON_SELECT_TIMEOUT, gp->waiting, s->order, nlocks);
}

/* All locked: queue up everywhere and sleep. Returns the case that was completed; -1: timeout. */
static int wait_all(struct m **mp, struct select_state *s)
{
	struct g *gp = (*mp)->curg;
	struct selection sel = { .more = s->n > INLINE_CASES ? s->waiters : NULL };
	struct timeout timeout = { { .fire = time_out }, &sel, gp };
	struct goro_waiter **link = &gp->waiting;
	struct goro_waiter *fired;
	int done;

	for (int i = 0; i < s->n; i++) {
		struct goro_case *k = &s->cases[i];
		struct goro_waiter *w = &s->waiters[i];

		if (!k->chan)
			continue;
		*w = (struct goro_waiter){
			.g = gp,
			.object = k->chan,
			.elem = k->elem,
			.selection = &sel,
			.kind = k->send ? GORO_REASON_CHAN_SEND : GORO_REASON_CHAN_RECV,
		};
		*link = w;
		link = &w->next_of_g;
		waitq_push(&queue_of(k)->first, &queue_of(k)->last, w);
	}
	*link = NULL;
	park(mp, s, &timeout);

	/* There was one P, and no lock needed, and now there are more. */
	if (unlikely(!s->norder && !sched.solo))
		sort_locks(s);
	lock_all(s);
	fired = sel.fired;
	done = fired ? (int)(fired - s->waiters) : -1;
	for (int i = 0; i < s->n; i++) {
		struct goro_waiter *w = &s->waiters[i];
		struct waitq *q;

		if (!s->cases[i].chan || w == fired)
			continue;
		q = queue_of(&s->cases[i]);
		/* A completer that lost the race has taken it out already. */
		if (w->prev || w->next || q->first == w)
			waitq_remove(&q->first, &q->last, w);
	}
	unlock_all(s, NULL);
	if (has_timeout(s))
		goro_timer_disarm(&timeout.timer);
	return done;
}

static bool has_no_channel(const struct select_state *s)
{
	int i = 0;

	while (i < s->n && !s->cases[i].chan)
		i++;
	return i == s->n;
}

static int try_or_wait(struct m **mp, struct select_state *s)
{
	/* Before the channels': that is the order in which a timer sends. */
	uint32_t *timer_lock = has_timeout(s) ? &(*mp)->p->timer_lock : NULL;
	int done;

	sort_locks(s);
	/* Nil channels alone: it says so to whoever looks. */
	if (unlikely(s->timeout == FOR_EVER && has_no_channel(s))) {
		leave(*mp);
		goro_park_forever(GORO_REASON_SELECT_NONE);
	}
	if (timer_lock)
		lock(timer_lock);
	lock_all(s);
	done = try_locked(*mp, s);
	if (done != NOTHING) {
		if (timer_lock)
			unlock(timer_lock);
		return done;
	}
	if (s->timeout == NO_WAIT) {
		unlock_all(s, NULL);
		return NOTHING;
	}
	done = wait_all(mp, s);
	if (done < 0)
		return done;
	if (s->cases[done].send)
		return s->waiters[done].ok ? done : SENDS_ON_CLOSED; /* woken by close */
	s->cases[done].ok = s->waiters[done].ok;
	if (!s->cases[done].ok && s->cases[done].elem)
		memset(s->cases[done].elem, 0, s->cases[done].chan->elem_size);
	return done;
}

static int select_cases(struct goro_case *cases, int n, int64_t timeout)
{
	struct goro_waiter inline_waiters[INLINE_CASES];
	uint32_t *inline_order[INLINE_CASES + 1];
	struct select_state s = {
		.cases = cases,
		.n = n,
		.timeout = timeout,
		.waiters = inline_waiters,
		.order = inline_order,
	};
	struct m *mp = enter();
	void *more = NULL;
	int done;

	if (n > INLINE_CASES) {
		more = malloc((size_t)n * (sizeof(*s.waiters) + sizeof(*s.order)) +
			      sizeof(*s.order));
		if (!more)
			goro_throw("out of memory: select with %d cases", n);
		s.waiters = more;
		s.order = (uint32_t **)(s.waiters + n);
	}
	done = try_unlocked(mp, &s);
	if (done == NOTHING)
		done = try_or_wait(&mp, &s);
	leave(mp);
	free(more);
	if (unlikely(done == SENDS_ON_CLOSED))
		goro_panic("send on closed channel");
	return done;
}

int goro_select(struct goro_case *cases, int n)
{
	if (n <= 0)
		goro_park_forever(GORO_REASON_SELECT_NONE);
	return select_cases(cases, n, FOR_EVER);
}

int goro_select_default(struct goro_case *cases, int n)
{
	return n <= 0 ? -1 : select_cases(cases, n, NO_WAIT);
}

int goro_select_timeout(struct goro_case *cases, int n, int64_t ns)
{
	if (n > 0)
		return select_cases(cases, n, ns > 0 ? ns : NO_WAIT);
	goro_sleep(ns);
	return -1;
}
