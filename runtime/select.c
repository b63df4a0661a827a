/* SPDX-License-Identifier: MIT */
/*
 * select.c - wait for the first of several channel operations.
 *
 * First one of the cases that look ready is picked at random and tried under its channel's lock
 * only. When none looks ready, all channels are locked in the order of their addresses, the cases
 * are looked at once more (one may have become ready meanwhile), and then a waiter is queued on
 * each channel. Whoever wants to complete one of them claims the whole select with one exchange.
 * A timeout is one more that may claim it: a timer on the waiting goroutine's stack.
 *
 * Which cases are ready is as good as random, so the look at them has no branches that depend on
 * it: a wrong guess of the processor costs more than all the looks.
 */
#include <stdlib.h>

#include "chan.h"
#include "switch.h"
#include "timer.h"

enum { FEW_CASES = 4, INLINE_CASES = 8 };
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

/* c->lock held; released if the case was done, or can never be. */
static __always_inline enum goro_try try_case_locked(struct m *mp, struct goro_case *k)
{
	enum goro_try got;

	if (k->send)
		return goro_chan_send_locked(mp, k->chan, k->elem);
	got = goro_chan_recv_locked(mp, k->chan, k->elem);
	k->ok = got == GORO_GOT;
	return got;
}

static __always_inline int outcome(const struct goro_case *cases, int at, enum goro_try got)
{
	return unlikely(cases[at].send && got == GORO_CLOSED) ? SENDS_ON_CLOSED : at;
}

/* Without the lock: could this one go on? Only a hint; a wrong no is found under all the locks. */
static __always_inline bool maybe_ready(const struct goro_case *k)
{
	const goro_chan *c = k->chan;
	const struct waitq *q = k->send ? &c->recvq : &c->sendq;
	uint32_t stuck = k->send ? c->cap : 0; /* with so many in the buffer */

	/* Any bit of these says yes; and no branch asks for them one by one. */
	return ((uintptr_t)__atomic_load_n(&q->first, __ATOMIC_RELAXED) |
		(__atomic_load_n(&c->count, __ATOMIC_RELAXED) ^ stuck) |
		__atomic_load_n(&c->closed, __ATOMIC_RELAXED)) != 0;
}

/* One of the cases that look ready, each with the same chance; -1: none. */
static __always_inline int pick_ready(struct p *pp, const struct goro_case *cases, int n)
{
	uint64_t random = p_random(pp), seen = 0;
	int picked = -1;

	for (int i = 0; i < n; i++) {
		bool take;

		if (!cases[i].chan)
			continue;
		/* The k-th one replaces the choice so far with probability 1/k. Knuth's MMIX
		 * generator; its upper half is what is random. */
		random = random * 6364136223846793005u + 1442695040888963407u;
		take = maybe_ready(&cases[i]);
		seen += take;
		take &= (random >> 32) * seen >> 32 == 0;
		picked = take ? i : picked;
	}
	return picked;
}

/*
 * Without all the locks: what looked ready may be gone when its lock is taken, so look again. If
 * there is one P nothing happens meanwhile, and NOTHING is sure; what is tried in vain then are
 * waiters of selects that were completed elsewhere, which trying removes.
 * Returns a case, NOTHING, or SENDS_ON_CLOSED.
 */
static __always_inline int try_unlocked(struct m *mp, struct goro_case *cases, int n)
{
	for (int i = 0; i < n || sched.solo; i++) {
		int at = pick_ready(mp->p, cases, n);
		enum goro_try got;

		if (at < 0)
			return NOTHING;
		lock(&cases[at].chan->lock);
		got = try_case_locked(mp, &cases[at]);
		if (likely(got != GORO_WOULD_BLOCK))
			return outcome(cases, at, got);
		unlock(&cases[at].chan->lock);
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
		for (int j = s->norder++; j > at; j--)
			s->order[j] = s->order[j - 1];
		s->order[at] = l;
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
 * All channels locked. Done: all are unlocked again. What looks ready may still not be: see
 * try_unlocked().
 */
static int try_locked(struct m *mp, struct select_state *s)
{
	int at;

	while ((at = pick_ready(mp->p, s->cases, s->n)) >= 0) {
		enum goro_try got = try_case_locked(mp, &s->cases[at]);

		if (got != GORO_WOULD_BLOCK) {
			unlock_all(s, &s->cases[at].chan->lock);
			return outcome(s->cases, at, got);
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

/* Whoever receives would be told that it was he. All locked, so that nobody may recover. */
static noinline void goro_select_nothing(const struct select_state *s, int at)
{
	goro_throw("goro_select: case %d is to send NULL on a channel of elements of %u bytes", at,
		   s->cases[at].chan->elem_size);
}

/* All locked: queue up everywhere. Returns the first, which leads to the others. */
static __always_inline struct goro_waiter *enqueue_all(struct g *gp, struct select_state *s,
						       struct selection *sel)
{
	struct goro_waiter *first = NULL, **link = &first;

	for (int i = 0; i < s->n; i++) {
		struct goro_case *k = &s->cases[i];
		struct goro_waiter *w = &s->waiters[i];

		if (!k->chan)
			continue;
		if (unlikely(!k->elem && k->send && k->chan->elem_size))
			goro_select_nothing(s, i);
		w->g = gp;
		w->object = k->chan;
		w->elem = k->elem;
		w->selection = sel;
		w->kind = k->send ? GORO_REASON_CHAN_SEND : GORO_REASON_CHAN_RECV;
		w->ok = false;
		w->before = 0;
		*link = w;
		link = &w->next_of_g;
		waitq_push(&queue_of(k)->first, &queue_of(k)->last, w);
	}
	*link = NULL;
	gp->waiting = first;
	return first;
}

/*
 * All locked: sleep. Nobody may complete a case before we are parked, nor the time run out, so all
 * locks are held over the switch. The timer's comes last: disarm() waits for it, and until then the
 * list of locks must live.
 */
static __always_inline struct m *sleep_locked(struct m *mp, struct select_state *s,
					      struct goro_waiter *first, struct timeout *t)
{
	int nlocks = s->norder;

	if (!has_timeout(s))
		return park_locks(mp, GORO_REASON_SELECT, first, s->order, nlocks);
	if (!sched.solo)
		s->order[nlocks++] = &mp->p->timer_lock;
	goro_timer_arm_locked(mp, &t->timer, goro_when(s->timeout));
	return park_locks(mp, GORO_REASON_SELECT_TIMEOUT, first, s->order, nlocks);
}

/*
 * Nothing is locked: out of the queues again, but for the one that whoever claimed us took us out
 * of. He had that channel's lock, and we take each of the others', so by then all of them have been
 * released, and nobody looks at the list of locks any more.
 */
static __always_inline void dequeue_all(struct select_state *s, const struct goro_waiter *fired)
{
	for (int i = 0; i < s->n; i++) {
		struct goro_waiter *w = &s->waiters[i];
		goro_chan *c = s->cases[i].chan;
		struct waitq *q;

		if (!c || w == fired)
			continue;
		q = queue_of(&s->cases[i]);
		lock(&c->lock);
		/* A completer that lost the race has taken it out already. */
		if (w->prev || w->next || q->first == w)
			waitq_remove(&q->first, &q->last, w);
		unlock(&c->lock);
	}
}

/* All locked: queue up everywhere and sleep. Returns the case that was completed; -1: timeout. */
static __always_inline int wait_all(struct m **mp, struct select_state *s)
{
	struct g *gp = (*mp)->curg;
	struct selection sel = { .more = s->n > INLINE_CASES ? s->waiters : NULL };
	struct goro_waiter *first;
	struct timeout timeout;

	if (has_timeout(s))
		timeout = (struct timeout){ { .fire = time_out }, &sel, gp };
	first = enqueue_all(gp, s, &sel);
	*mp = sleep_locked(*mp, s, first, &timeout);
	dequeue_all(s, sel.fired);
	if (has_timeout(s))
		goro_timer_disarm(&timeout.timer);
	return sel.fired ? (int)(sel.fired - s->waiters) : -1;
}

static bool has_no_channel(const struct select_state *s)
{
	int i = 0;

	while (i < s->n && !s->cases[i].chan)
		i++;
	return i == s->n;
}

static __always_inline int try_or_wait(struct m **mp, struct select_state *s)
{
	/* Before the channels': that is the order in which a timer sends. */
	uint32_t *timer_lock = has_timeout(s) ? &(*mp)->p->timer_lock : NULL;
	int done;

	/* Nil channels alone: it says so to whoever looks. */
	if (unlikely(s->timeout == FOR_EVER && has_no_channel(s))) {
		leave(*mp);
		goro_park_forever(GORO_REASON_SELECT_NONE);
	}
	sort_locks(s);
	if (timer_lock)
		lock(timer_lock);
	lock_all(s);
	done = sched.solo ? NOTHING : try_locked(*mp, s);
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

/* Nothing looks ready. Ends what enter() began. The room is the caller's, for `room` cases. */
static __always_inline int goro_select_slow(struct m *mp, struct goro_case *cases, int n,
					    int64_t timeout, int room, struct goro_waiter *waiters,
					    uint32_t **order)
{
	struct select_state s = {
		.cases = cases,
		.n = n,
		.timeout = timeout,
		.waiters = waiters,
		.order = order,
	};
	void *more = NULL;
	int done;

	/* What lay there before shall not lie there for as long as we wait. */
	for (int i = n; timeout != NO_WAIT && i < room; i++)
		waiters[i] = (struct goro_waiter){ 0 };
	for (int i = 0; timeout != NO_WAIT && i <= room; i++)
		order[i] = NULL;
	if (unlikely(n > room)) {
		more = malloc((size_t)n * (sizeof(*s.waiters) + sizeof(*s.order)) +
			      sizeof(*s.order));
		if (!more)
			goro_throw("out of memory: select with %d cases", n);
		s.waiters = more;
		s.order = (uint32_t **)(s.waiters + n);
	}
	done = try_or_wait(&mp, &s);
	leave(mp);
	if (unlikely(more))
		free(more);
	if (unlikely(done == SENDS_ON_CLOSED))
		goro_panic("send on closed channel");
	return done;
}

/* What goro_wait() calls. (Their names say to who reads a stack that they park.) */
static int goro_park_select_few(struct m *mp, void *cases, void *n)
{
	struct goro_waiter waiters[FEW_CASES];
	uint32_t *order[FEW_CASES + 1];

	return goro_select_slow(mp, cases, (int)(intptr_t)n, FOR_EVER, FEW_CASES, waiters, order);
}

static int goro_park_select(struct m *mp, void *cases, void *n)
{
	struct goro_waiter waiters[INLINE_CASES];
	uint32_t *order[INLINE_CASES + 1];

	return goro_select_slow(mp, cases, (int)(intptr_t)n, FOR_EVER, INLINE_CASES, waiters,
				order);
}

static noinline int goro_park_select_timeout(struct m *mp, struct goro_case *cases, int n,
					     int64_t ns)
{
	struct goro_waiter waiters[INLINE_CASES];
	uint32_t *order[INLINE_CASES + 1];

	return goro_select_slow(mp, cases, n, ns, INLINE_CASES, waiters, order);
}

static int goro_select_leave(struct m *mp, int done)
{
	leave(mp);
	if (unlikely(done == SENDS_ON_CLOSED))
		goro_panic("send on closed channel");
	return done;
}

int goro_select(struct goro_case *cases, int n)
{
	struct m *mp;
	int done;

	if (n <= 0)
		goro_park_forever(GORO_REASON_SELECT_NONE);
	mp = enter();
	done = try_unlocked(mp, cases, n);
	if (done == NOTHING)
		return goro_wait_int(mp, cases, (void *)(intptr_t)n,
				     n <= FEW_CASES ? goro_park_select_few : goro_park_select);
	return goro_select_leave(mp, done);
}

/* ns may be NO_WAIT. */
static __always_inline int select_within(struct goro_case *cases, int n, int64_t ns)
{
	struct m *mp = enter();
	int done = try_unlocked(mp, cases, n);

	if (done == NOTHING)
		return goro_park_select_timeout(mp, cases, n, ns);
	return goro_select_leave(mp, done);
}

int goro_select_default(struct goro_case *cases, int n)
{
	return n <= 0 ? -1 : select_within(cases, n, NO_WAIT);
}

int goro_select_timeout(struct goro_case *cases, int n, int64_t ns)
{
	if (n > 0)
		return select_within(cases, n, ns > 0 ? ns : NO_WAIT);
	goro_sleep(ns);
	return -1;
}
