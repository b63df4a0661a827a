/* SPDX-License-Identifier: MIT */
/*
 * netpoll.c - goroutines wait for descriptors; the kernel's epoll says which are ready.
 *
 * The shape is Go's netpoll. A descriptor is registered once, for both directions, edge-triggered,
 * when a goroutine first has to wait for it. Each direction has one word:
 *
 *	NIL     nothing is known, nobody waits
 *	READY   an edge came that nobody has used yet
 *	WAIT    a goroutine is about to park
 *	a g     it is parked
 *
 * The waiter goes NIL -> WAIT, switches away, and only then, its registers being saved, WAIT -> g.
 * Whoever has news (an edge, a close, a deadline) swaps its own value in and makes the g that it
 * found runnable. News that come in between make the second step fail, and the waiter goes on. So
 * polling needs no lock and no P, and nobody can run a goroutine that is not parked yet.
 *
 * Who polls: a worker that finds its queue empty, without waiting; then the last one to run out of
 * work sleeps in epoll_wait instead of on its futex; and sysmon, when all are busy for long.
 *
 * Rejected: level-triggered with re-arming (a system call for each wait); a thread of its own for
 * polling (two thread switches for each event); an event descriptor that gets the poller up when
 * there is other work (a sleeping worker costs the same to wake and lets the poller poll; only
 * where there is none, nor a thread for one, it is the last resort).
 */
#include <errno.h>
#include <string.h>

#include "netpoll.h"

enum { WORD_NIL = 0, WORD_READY = 1, WORD_WAIT = 2 };
enum { DESCS_PER_CHUNK = 1024, CHUNKS = 4096, EVENTS_MAX = 128 };
enum { BACKSTOP_NS = 1000 * 1000 };

#define REF_CLOSING 0x80000000u

struct poll_closer {
	_Atomic uintptr_t word;
	int result;
};

static _Atomic(struct poll_desc *) desc_chunks[CHUNKS];
static _Atomic uint32_t nwaiters; /* goroutines in block() */
static _Atomic int poll_fd = -1;
static _Atomic uint64_t last_poll; /* coarse time */

bool goro_netpoll_waiters(void)
{
	return atomic_load_explicit(&nwaiters, memory_order_relaxed) != 0;
}

/* ---- the words ---------------------------------------------------------------------------------
 */

bool goro_netpoll_commit(_Atomic uintptr_t *word, struct g *gp)
{
	uintptr_t wait = WORD_WAIT;

	return atomic_compare_exchange_strong(word, &wait, (uintptr_t)gp);
}

/* News for this word. Returns the goroutine that the caller must make runnable, or NULL. */
static struct g *unblock(_Atomic uintptr_t *word, bool ready)
{
	uintptr_t old = atomic_load(word);

	do {
		if (old == WORD_READY || (old == WORD_NIL && !ready))
			return NULL;
	} while (!atomic_compare_exchange_weak(word, &old, ready ? WORD_READY : WORD_NIL));
	return old == WORD_NIL || old == WORD_WAIT ? NULL : (struct g *)old;
}

static void unblock_here(struct m *mp, _Atomic uintptr_t *word, bool ready)
{
	struct g *gp = unblock(word, ready);

	if (gp)
		goro_ready(mp, gp);
}

/*
 * Park until there are news. `pd` and `id`: what to look at again between WAIT and the park, since
 * who closes, or moves a deadline, does so before it looks at the word. Without a pd the news are
 * not the kernel's: nobody needs to poll for them, nor can where nothing was ever registered.
 */
static struct m *block(struct m *mp, _Atomic uintptr_t *word, struct poll_desc *pd,
		       enum poll_side_id id)
{
	uintptr_t nil = WORD_NIL;

	if (!atomic_compare_exchange_strong(word, &nil, WORD_WAIT)) {
		atomic_store(word, WORD_NIL); /* it was READY */
		return mp;
	}
	if (pd && goro_side_check(pd, id)) {
		atomic_store(word, WORD_NIL);
		return mp;
	}
	atomic_fetch_add_explicit(&nwaiters, pd != NULL, memory_order_relaxed);
	mp = goro_park_word(mp, GORO_REASON_IO, pd, word);
	atomic_fetch_sub_explicit(&nwaiters, pd != NULL, memory_order_relaxed);
	atomic_exchange(word, WORD_NIL);
	return mp;
}

/* ---- polling -----------------------------------------------------------------------------------
 */

static int poll_init(void)
{
	int none = -1, fd;

	if (atomic_load(&poll_fd) >= 0)
		return 0;
	fd = os_poll_create();
	if (fd >= 0 && atomic_compare_exchange_strong(&poll_fd, &none, fd))
		goro_introspect.netpoll = (uint32_t)fd + 1;
	else if (fd >= 0)
		os_close(fd); /* another was faster, */
	/* maybe with the last descriptor there was */
	return fd < 0 && atomic_load(&poll_fd) < 0 ? fd : 0;
}

static struct poll_desc *desc_of_event(uint64_t data)
{
	uint32_t fd = (uint32_t)data;
	struct poll_desc *pd;

	if (unlikely(data == OS_POLL_ROUSED))
		return NULL;
	pd = atomic_load(&desc_chunks[fd / DESCS_PER_CHUNK]);
	pd += fd % DESCS_PER_CHUNK;
	return atomic_load(&pd->seq) == (uint32_t)(data >> 32) ? pd : NULL;
}

static void chain(struct g_chain *list, struct g *gp)
{
	if (!gp)
		return;
	gp->link = NULL;
	if (list->last)
		list->last->link = gp;
	else
		list->first = gp;
	list->last = gp;
	list->n++;
}

struct g_chain goro_netpoll(int64_t timeout_ns)
{
	struct os_event events[EVENTS_MAX];
	struct g_chain list = { 0 };
	int n;

	/* While we sleep in here nothing shall lie in it that was on this stack before: see
	 * wipe_below(). */
	if (timeout_ns)
		memset(events, 0, sizeof(events));
	n = os_poll_wait(atomic_load(&poll_fd), events, EVENTS_MAX, timeout_ns);
	if (n < 0 && n != -EINTR)
		goro_throw("waiting for descriptors failed with error %d; "
			   "did the program close descriptor %d, which is the runtime's?",
			   -n, atomic_load(&poll_fd));
	for (int i = 0; i < n; i++) {
		struct poll_desc *pd = desc_of_event(events[i].data);

		if (!pd)
			continue;
		if (events[i].hangup)
			atomic_store(&pd->hangup, true);
		if (events[i].in)
			chain(&list, unblock(&pd->side[SIDE_READ].word, true));
		if (events[i].out)
			chain(&list, unblock(&pd->side[SIDE_WRITE].word, true));
	}
	atomic_store_explicit(&last_poll, coarse_now(), memory_order_relaxed);
	return list;
}

struct g *goro_netpoll_take(struct m *mp, struct g_chain list)
{
	struct g *gp = list.first;

	if (!gp)
		return NULL;
	if (list.n > 1)
		goro_ready_batch(mp, gp->link, list.n - 1);
	if (!g_set_runnable(gp))
		return gp;
	goro_ready_locked(gp);
	return NULL;
}

void goro_netpoll_inject(struct g_chain list)
{
	if (!list.n)
		return;
	list = goro_ready_chain(list.first);
	if (!list.n)
		return;
	lock_always(&sched.lock);
	goro_global_put(list.first, list.last, list.n);
	unlock_always(&sched.lock);
	goro_wake_worker();
}

void goro_netpoll_rouse(void)
{
	if (sched.poller)
		os_poll_rouse(atomic_load(&poll_fd));
}

void goro_netpoll_backstop(uint64_t now)
{
	if (!goro_netpoll_waiters() || sched.poller ||
	    now - atomic_load_explicit(&last_poll, memory_order_relaxed) < BACKSTOP_NS)
		return;
	goro_netpoll_inject(goro_netpoll(0));
}

/* ---- descriptors -------------------------------------------------------------------------------
 */

static struct poll_desc *desc_of(int fd, int *err)
{
	_Atomic(struct poll_desc *) *at = &desc_chunks[(uint32_t)fd / DESCS_PER_CHUNK % CHUNKS];
	struct poll_desc *chunk, *none = NULL;

	*err = -EBADF;
	if (fd < 0 || fd >= DESCS_PER_CHUNK * CHUNKS)
		return NULL;
	chunk = atomic_load(at);
	if (!chunk) {
		*err = -ENOMEM;
		chunk = os_reserve(sizeof(*chunk) * DESCS_PER_CHUNK);
		if (!chunk)
			return NULL;
		if (!atomic_compare_exchange_strong(at, &none, chunk)) {
			os_unreserve(chunk, sizeof(*chunk) * DESCS_PER_CHUNK);
			chunk = none;
		}
	}
	*err = 0;
	return chunk + fd % DESCS_PER_CHUNK;
}

static bool desc_hold(struct poll_desc *pd, uint32_t flags)
{
	uint32_t refs = atomic_load(&pd->refs);

	do {
		if (refs & REF_CLOSING)
			return false;
	} while (!atomic_compare_exchange_weak(&pd->refs, &refs, (refs + 1) | flags));
	return true;
}

struct poll_desc *goro_desc_get(int fd, int *err)
{
	struct poll_desc *pd = desc_of(fd, err);
	int kind;

	if (!pd)
		return NULL;
	if (!desc_hold(pd, 0)) {
		*err = -ECANCELED;
		return NULL;
	}
	if (likely(atomic_load(&pd->kind) != FD_UNKNOWN))
		return pd;
	kind = os_fd_kind(fd);
	if (kind < 0) {
		goro_desc_put(pd, fd);
		*err = kind;
		return NULL;
	}
	atomic_store(&pd->kind, (uint32_t)kind);
	return pd;
}

/* ---- deadlines: under deadline_lock ------------------------------------------------------------
 */

/* The waiter looks at the clock itself. */
static int64_t alarm_fire(struct m *mp, struct timer *t, int64_t when, struct fired *fired)
{
	struct poll_side *s = (struct poll_side *)((char *)t - offsetof(struct poll_side, timer));
	struct g *gp = unblock(&s->word, false);

	(void)mp, (void)when;
	if (gp)
		fired_add(fired, gp);
	return NEVER;
}

static void side_deadline(struct m *mp, struct poll_side *s, int64_t deadline)
{
	goro_timer_disarm(&s->timer);
	atomic_store(&s->deadline, deadline);
	if (deadline > goro_now() && deadline != NEVER) {
		s->timer.fire = alarm_fire;
		goro_timer_arm(mp, &s->timer, deadline);
	}
	/* Who waits looks at it again. */
	unblock_here(mp, &s->word, false);
}

void goro_desc_deadline(struct poll_desc *pd, const int64_t deadline[2])
{
	struct m *mp = enter();

	lock(&pd->deadline_lock);
	for (int i = 0; i < 2; i++)
		if (deadline[i] != GORO_SAME_DEADLINE)
			side_deadline(mp, &pd->side[i], deadline[i]);
	unlock(&pd->deadline_lock);
	leave(mp);
}

/* ---- a descriptor's life -----------------------------------------------------------------------
 */

/* What the next descriptor of this number must not inherit. */
static void desc_clear(struct poll_desc *pd, enum fd_kind kind)
{
	atomic_fetch_add(&pd->seq, 1);
	atomic_store(&pd->registered, false);
	atomic_store(&pd->hangup, false);
	atomic_store(&pd->kind, (uint32_t)kind);
	for (int i = 0; i < 2; i++) {
		atomic_store(&pd->side[i].drained, false);
		if (atomic_load(&pd->side[i].deadline))
			goro_desc_deadline(pd, (int64_t[2]){ 0, 0 });
	}
}

/* The last call on a closed descriptor is over. */
static int desc_finish(struct poll_desc *pd, int fd)
{
	struct poll_closer *closer = pd->closer;
	int result;

	if (atomic_load(&pd->registered))
		os_poll_remove(atomic_load(&poll_fd), fd);
	pd->closer = NULL;
	desc_clear(pd, FD_UNKNOWN);
	atomic_store(&pd->side[SIDE_READ].word, WORD_NIL);
	atomic_store(&pd->side[SIDE_WRITE].word, WORD_NIL);
	atomic_store(&pd->refs, 0);
	/* From here on the number may come back as another descriptor. */
	result = os_close(fd);
	if (closer) {
		struct m *mp = enter();

		closer->result = result;
		unblock_here(mp, &closer->word, true);
		leave(mp);
	}
	return result;
}

int goro_desc_put(struct poll_desc *pd, int fd)
{
	if (atomic_fetch_sub(&pd->refs, 1) - 1 == REF_CLOSING)
		return desc_finish(pd, fd);
	return 0;
}

int goro_desc_adopt(int fd, enum fd_kind kind)
{
	int err;
	struct poll_desc *pd = desc_of(fd, &err);

	if (!pd)
		return err;
	desc_clear(pd, kind);
	return 0;
}

int goro_desc_close(int fd)
{
	struct poll_closer closer = { 0 };
	bool wait;
	struct m *mp;
	int err;
	struct poll_desc *pd = desc_of(fd, &err);

	if (!pd)
		return err;
	if (!desc_hold(pd, REF_CLOSING))
		return -ECANCELED;
	/* A blocking call in the kernel cannot be got off; it ends when it ends. */
	wait = atomic_load(&pd->kind) != FD_BLOCKING;
	if (wait)
		pd->closer = &closer;
	mp = enter();
	unblock_here(mp, &pd->side[SIDE_READ].word, false);
	unblock_here(mp, &pd->side[SIDE_WRITE].word, false);
	leave(mp);
	err = goro_desc_put(pd, fd);
	if (!wait)
		return err;
	mp = enter();
	mp = block(mp, &closer.word, NULL, SIDE_READ);
	leave(mp);
	return closer.result;
}

/* ---- one direction of a descriptor -------------------------------------------------------------
 */

void goro_side_take(struct poll_desc *pd, enum poll_side_id id)
{
	struct poll_side *s = &pd->side[id];
	struct m *mp = enter();

	lock(&s->lock);
	if (!s->busy) {
		s->busy = true;
		unlock(&s->lock);
	} else {
		struct goro_waiter w = { .g = mp->curg, .object = pd, .kind = GORO_REASON_IO };

		waitq_push(&s->first, &s->last, &w);
		mp = goro_park(mp, GORO_REASON_IO, pd, &s->lock);
	}
	leave(mp);
}

void goro_side_give(struct poll_desc *pd, enum poll_side_id id)
{
	struct poll_side *s = &pd->side[id];
	struct m *mp = enter();
	struct goro_waiter *w;

	lock(&s->lock);
	w = waitq_pop(&s->first, &s->last);
	if (!w)
		s->busy = false;
	unlock(&s->lock);
	if (w)
		goro_ready(mp, w->g);
	leave(mp);
}

int goro_side_check(struct poll_desc *pd, enum poll_side_id id)
{
	int64_t deadline = atomic_load(&pd->side[id].deadline);

	if (atomic_load(&pd->refs) & REF_CLOSING)
		return -ECANCELED;
	return deadline && goro_now() >= deadline ? -ETIMEDOUT : 0;
}

void goro_side_reset(struct poll_desc *pd, enum poll_side_id id)
{
	_Atomic uintptr_t *word = &pd->side[id].word;

	if (atomic_load(word) == WORD_READY)
		atomic_store(word, WORD_NIL);
}

/*
 * The first to come registers, and a second may wait already before that is done: the edges of the
 * registration itself say what is ready at that time.
 */
static int desc_register(struct poll_desc *pd, int fd)
{
	uint64_t data = (uint64_t)atomic_load(&pd->seq) << 32 | (uint32_t)fd;
	int err = poll_init();

	if (err || atomic_exchange(&pd->registered, true))
		return err;
	err = os_poll_add(atomic_load(&poll_fd), fd, data);
	if (err) {
		struct m *mp;

		atomic_store(&pd->registered, false);
		mp = enter();
		unblock_here(mp, &pd->side[SIDE_READ].word, true);
		unblock_here(mp, &pd->side[SIDE_WRITE].word, true);
		leave(mp);
	}
	return err;
}

int goro_side_wait(struct poll_desc *pd, int fd, enum poll_side_id id)
{
	int err = goro_side_check(pd, id);
	struct m *mp;

	if (!err && !atomic_load(&pd->registered))
		err = desc_register(pd, fd);
	if (err)
		return err;
	wipe_below();
	mp = enter();
	mp = block(mp, &pd->side[id].word, pd, id);
	leave(mp);
	return goro_side_check(pd, id);
}
