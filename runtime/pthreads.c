/* SPDX-License-Identifier: MIT */
/*
 * pthreads.c - GORO_DEBUG=pthread: goroutines that wait while they hold a pthread mutex.
 *
 * While one waits, its thread runs others, and it may go on on another thread. A lock of a thread
 * (pthread mutex, rwlock, spin lock, C11's mutexes, flockfile) knows nothing of that: who wants it
 * blocks a whole thread for as long; one that has an owner is free for everybody on that thread,
 * and cannot be unlocked on another one. So a goroutine that waits with such a lock in its hands
 * is reported, once for each place where it was locked. To yield, to compute for long or to block
 * the thread with it is no more than a thread does; but if that moves the goroutine, and the lock
 * has an owner, the unlock on the wrong thread is reported, which is no guess. Goroutines that are
 * locked to their thread are what such locks were made for, and so is a thread of the program's.
 *
 * All locks that goroutines hold are in one table by their address, since whoever unlocks one may
 * be another goroutine or none. It takes no memory from malloc(), which may be the one that locks.
 *
 * The program's calls of locks come by (pthreads_calls.c) only if this is asked for; and that a
 * goroutine parks is seen in goro_turn(), which pick() then comes to each time. So without
 * GORO_DEBUG none of it costs anything. What is to be said waits until the scheduler is back on a
 * thread's stack: whoever parks holds the lock of what it waits for, and has a small stack.
 *
 * Rejected: a fatal error, since many a program lives with it; to ask at each lock and not at the
 * wait (a lock that is held over no wait is fine); a counter in TLS (brpc), which sees that there
 * is a lock, but neither whose nor which.
 */
#include "pthreads.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imports.h"
#include "schedule.h"

enum { HELD_MAX = 1 << 16, BUCKETS = 1 << 14, WARNINGS_MAX = 1000, SITE_FRAMES = 4 };

static struct {
	uint32_t lock; /* spin lock around the rest */
	struct held **bucket;
	struct held *v, *free;
	uint32_t n; /* of v that were ever used */
	uint64_t warned[WARNINGS_MAX];
	uint32_t nwarned;
	struct held_warning *first;	   /* to be said */
	_Atomic uint32_t pending;	   /* so many, or being said */
	_Atomic unsigned long long loaded; /* what goro_imports_loaded() said when all were seen */
} held;

/* ---- the table: held.lock ---------------------------------------------------------------------
 */

static struct held **bucket_of(const void *lock)
{
	return &held.bucket[((uintptr_t)lock * UINT64_C(0x9e3779b97f4a7c15)) >> 50];
}
_Static_assert(BUCKETS == 1 << (64 - 50), "as many as there are hashes");

static void link_in(struct held *h)
{
	struct held **bucket = bucket_of(h->lock), **of_g = &goro_ext_of(h->g)->held;

	h->next = *bucket;
	*bucket = h;
	h->next_of_g = *of_g;
	*of_g = h;
}

static void unlink_from(struct held *h)
{
	struct held **at;

	for (at = bucket_of(h->lock); *at != h; at = &(*at)->next)
		;
	*at = h->next;
	for (at = &h->g->ext->held; *at != h; at = &(*at)->next_of_g)
		;
	*at = h->next_of_g;
}

static void drop(struct held *h)
{
	unlink_from(h);
	h->next = held.free;
	held.free = h;
}

static struct held *find(const void *lock, const struct g *gp)
{
	struct held *h = *bucket_of(lock);

	while (h && (h->lock != lock || (gp && h->g != gp)))
		h = h->next;
	return h;
}

/* Whoever has it for himself now: what the table knows of others was true once. */
static void drop_others(const void *lock, const struct g *gp)
{
	for (struct held *h = *bucket_of(lock), *next; h; h = next) {
		next = h->next;
		if (h->lock == lock && h->g != gp)
			drop(h);
	}
}

/* ---- what goroutines lock and unlock ----------------------------------------------------------
 */

void goro_pthread_held(struct m *mp, void *lock, enum held_kind kind, bool owned, uintptr_t pc)
{
	struct call_stack at;
	struct held *h;

	goro_stack_take_from(&at, pc);
	lock_always(&held.lock);
	if (kind != HELD_READ)
		drop_others(lock, mp->curg);
	h = held.free;
	if (h)
		held.free = h->next;
	else if (held.n < HELD_MAX)
		h = &held.v[held.n++];
	if (h) {
		*h = (struct held){ NULL, NULL, lock, mp->curg, mp->tid, kind, owned, at };
		link_in(h);
	}
	unlock_always(&held.lock);
}

struct held *goro_pthread_pause(struct m *mp, void *lock)
{
	struct held *h;

	lock_always(&held.lock);
	h = find(lock, mp->curg);
	if (h)
		unlink_from(h);
	unlock_always(&held.lock);
	return h;
}

void goro_pthread_resume(struct m *mp, struct held *h)
{
	lock_always(&held.lock);
	drop_others(h->lock, mp->curg);
	link_in(h);
	unlock_always(&held.lock);
}

void goro_pthread_forget(void *lock)
{
	lock_always(&held.lock);
	drop_others(lock, NULL);
	unlock_always(&held.lock);
}

void goro_pthread_free(struct g *gp)
{
	lock_always(&held.lock);
	while (gp->ext->held)
		drop(gp->ext->held);
	unlock_always(&held.lock);
}

/* ---- what is to be said -----------------------------------------------------------------------
 */

static bool was_warned(uint64_t hash)
{
	for (uint32_t i = 0; i < held.nwarned; i++) {
		if (held.warned[i] == hash)
			return true;
	}
	return held.nwarned == WARNINGS_MAX;
}

/*
 * held.lock held. Is it the first of this place? That it is unlocked on another thread is none once
 * it is known to be held over a wait.
 */
static bool is_news(const struct held *h, bool elsewhere)
{
	uint64_t hash = 1;

	for (uint32_t i = 0; i < h->at.n && i < SITE_FRAMES; i++)
		hash = (hash ^ h->at.pc[i]) * UINT64_C(0x9e3779b97f4a7c15);
	if (was_warned(hash) || (elsewhere && was_warned(hash + 1)))
		return false;
	held.warned[held.nwarned++] = hash + elsewhere;
	return true;
}

static struct held_warning *new_warning(const struct held *h)
{
	struct held_warning *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->g = h->g->id;
	memcpy(w->name, h->g->ext->name, sizeof(w->name));
	w->kind = h->kind;
	w->owned = h->owned;
	w->tids[0] = h->tid;
	w->at = h->at;
	return w;
}

static void enqueue(struct held_warning *w)
{
	struct held_warning **last = &held.first;

	atomic_fetch_add(&held.pending, 1);
	lock_always(&held.lock);
	while (*last)
		last = &(*last)->next;
	__atomic_store_n(last, w, __ATOMIC_RELAXED);
	unlock_always(&held.lock);
}

void goro_pthread_unlock(struct m *mp, void *lock, uintptr_t pc)
{
	struct g *gp = mp ? mp->curg : NULL;
	struct held_warning *w = NULL;
	struct held was = { 0 }, *h;

	lock_always(&held.lock);
	h = gp ? find(lock, gp) : NULL;
	if (!h)
		h = find(lock, NULL);
	if (h) {
		was = *h;
		drop(h);
	}
	if (gp && was.g == gp && was.owned && was.tid != mp->tid && is_news(&was, true))
		w = new_warning(&was);
	unlock_always(&held.lock);
	if (!w)
		return;
	w->elsewhere = true;
	w->tids[1] = mp->tid;
	goro_stack_take_from(&w->here, pc);
	enqueue(w);
}

static void look_at_locks(struct m *mp, struct g *gp)
{
	struct call_stack here = { 0 };

	for (;;) {
		struct held_warning *w = NULL;

		lock_always(&held.lock);
		for (struct held *h = gp->ext->held; h && !w; h = h->next_of_g) {
			if (is_news(h, false))
				w = new_warning(h);
		}
		unlock_always(&held.lock);
		if (!w)
			return;
		if (!here.n)
			goro_stack_take(&here);
		w->here = here;
		w->reason = GORO_STATUS_REASON(mp->post_state);
		enqueue(w);
	}
}

void goro_pthread_look(struct p *pp)
{
	struct m *mp = getm();
	struct g *gp = mp->curg;

	if (mp->post != POST_NONE && GORO_STATUS_REASON(mp->post_state) != GORO_REASON_NONE &&
	    gp->ext && gp->ext->held && !g_is_locked(gp))
		look_at_locks(mp, gp);
	if (atomic_load(&held.pending) || goro_imports_loaded() != atomic_load(&held.loaded))
		atomic_store_explicit(&pp->attention, 1, memory_order_relaxed);
}

/* False: there is none, or memory is out. */
static bool say_one(void)
{
	struct held_warning *w;
	char *text;

	lock_always(&held.lock);
	w = held.first;
	if (w)
		__atomic_store_n(&held.first, w->next, __ATOMIC_RELAXED);
	unlock_always(&held.lock);
	if (!w)
		return false;
	goro_warning_begin();
	text = goro_pthread_describe(w);
	goro_warning_end();
	if (text)
		goro_warning_say("pthread", text);
	free(text);
	free(w);
	atomic_fetch_sub(&held.pending, 1);
	return true;
}

/* As a goroutine's blocking call, but for the goroutine: there is none that waits for us. */
void goro_pthread_say(struct m *mp)
{
	unsigned long long loaded = goro_imports_loaded();
	bool late = loaded != atomic_load(&held.loaded);
	struct p *pp;

	if (!late && !__atomic_load_n(&held.first, __ATOMIC_RELAXED))
		return;
	if (!mp->p || mp->next_g || mp->locked_g)
		return;
	/* A worker begins as one that looks for work; who waits for it to look would do so for
	 * long. */
	if (mp->spinning) {
		mp->spinning = false;
		atomic_fetch_sub(&sched.nspinning, 1);
	}
	lock_always(&sched.lock);
	atomic_fetch_add(&sched.nblocking, 1);
	goro_release_p(mp);
	goro_tls_m = NULL;
	goro_tls_blocking = true;
	if (late && goro_pthread_watch_loaded())
		atomic_store(&held.loaded, loaded);
	while (say_one())
		;
	goro_tls_blocking = false;
	goro_tls_m = mp;
	lock_always(&sched.lock);
	atomic_fetch_sub(&sched.nblocking, 1);
	pp = goro_idle_p_get();
	unlock_always(&sched.lock);
	if (pp)
		goro_p_acquire(mp, pp);
}

/* ---- begin and end ----------------------------------------------------------------------------
 */

static void say_the_rest(void *unused)
{
	(void)unused;
	os_thread_signals(true);
	while (say_one())
		;
}

/* The process ends: what is not said yet is said now, on a stack that is big enough. */
static void at_exit(void)
{
	int64_t until = goro_now() + 10 * GORO_SECOND;

	if (sched.forked || !atomic_load(&held.pending) ||
	    goro_thread_start(say_the_rest, NULL, false))
		return;
	while (atomic_load(&held.pending) && goro_now() < until)
		os_sleep(GORO_MILLISECOND);
}

void goro_pthread_init(void)
{
	const char *s = getenv("GORO_DEBUG");

	if (!s || !*s)
		return;
	if (strcmp(s, "pthread") != 0)
		goro_throw("GORO_DEBUG=%s: what can be asked for is pthread", s);
	held.v = os_reserve(HELD_MAX * sizeof(*held.v));
	held.bucket = os_reserve(BUCKETS * sizeof(struct held *));
	if (!held.v || !held.bucket)
		goro_throw("out of memory: the locks that are held (GORO_DEBUG=pthread)");
	sched.pthreads = true;
}

void goro_pthread_start(void)
{
	static const char is_static[] =
		"goro: GORO_DEBUG=pthread: this program is linked statically, and its calls of "
		"pthread_mutex_lock() cannot be seen: link it with the shared C library\n";

	if (!sched.pthreads)
		return;
	if (goro_pthread_watch()) {
		unsigned long long loaded = goro_imports_loaded();

		if (goro_pthread_watch_loaded())
			atomic_store(&held.loaded, loaded);
		atexit(at_exit);
		return;
	}
	os_write(STDERR_FILENO, is_static, sizeof(is_static) - 1);
	sched.pthreads = false;
}
