/* SPDX-License-Identifier: MIT */
/*
 * proc.c - the scheduler: start, park, ready, steal, idle, exit.
 *
 * The shape is that of Go's proc.go. What differs, and why:
 *
 *   - A goroutine that parks switches straight to the next one in its P's queue. The worker's own
 *     stack (g0) is used only when there is nothing local to run: to look elsewhere and to sleep.
 *   - What must not happen before the registers are saved (unlocking the channel, queueing a
 *     goroutine that yields, freeing the stack of a dead one) is left in m.post and done first
 * thing on the stack that we switched to. Doing it before the switch lets another worker resume a
 *     goroutine that still runs here.
 *   - A goroutine that ends runs the next *fresh* one on its own stack: no switch, no new stack.
 *   - ready() of one goroutine into the empty slot in front does not wake another worker: nearly
 *     always the waker blocks within a microsecond and runs it itself, in a warm cache. sysmon
 *     notices when it does not, and makes the next readies of that P eager. (tokio's LIFO slot, and
 *     what its users say of it when it cannot be stolen at all.)
 *   - Goroutines that run for less than a microsecond at a time are not spread over workers while
 *     they are few: handing them to another core costs more than they do. sysmon measures it.
 *
 * Rejected: running the scheduler on g0 for each switch (two switches instead of one); a bounded
 * queue that makes push wait (bthread hung on it); preemption by switching inside a signal handler
 * (C has no safe points).
 */
#include <stdlib.h>
#include <string.h>

#include "runq.h"

struct sched sched;
struct p *goro_ps[P_MAX];
struct m *goro_ms[M_MAX];
uint64_t g_chunks[G_CHUNKS_MAX];
struct tomb goro_tombs[TOMB_MAX];
__thread struct m *goro_tls_m __attribute__((tls_model("initial-exec")));

static struct m m0;
static struct g *main_g;
static uint32_t next_tomb;

extern void *goro_context_switch(uintptr_t *save_sp, uintptr_t load_sp, void *value);
extern char goro_entry_start[];
extern void **__cxa_get_globals(void) __attribute__((weak));

/* ---- goroutine records -------------------------------------------------------------------------
 */

struct g *goro_g_by_index(uint64_t i)
{
	return (struct g *)g_chunks[i / G_CHUNK_LEN] + i % G_CHUNK_LEN;
}

uint64_t goro_g_count(void)
{
	return (uint64_t)__atomic_load_n(&goro_introspect.g_nchunks, __ATOMIC_ACQUIRE) *
	       G_CHUNK_LEN;
}

/* sched.lock held. */
static void g_chunk_add(void)
{
	uint32_t n = goro_introspect.g_nchunks;
	struct g *chunk = n < G_CHUNKS_MAX ? os_reserve(sizeof(struct g) * G_CHUNK_LEN) : NULL;

	if (!chunk)
		goro_throw("out of memory: no room for another %u goroutines (there are %lu)",
			   G_CHUNK_LEN, (unsigned long)goro_g_count());
	for (uint32_t i = 0; i < G_CHUNK_LEN; i++) {
		chunk[i].link = sched.gfree;
		sched.gfree = &chunk[i];
	}
	sched.ngfree += G_CHUNK_LEN;
	g_chunks[n] = (uint64_t)(uintptr_t)chunk;
	/* Release: the pointer comes before the count that makes observers read it. */
	__atomic_store_n(&goro_introspect.g_nchunks, n + 1, __ATOMIC_RELEASE);
}

enum { GFREE_MAX = 256, GFREE_BATCH = 128 };

static noinline void g_refill(struct p *pp)
{
	lock_always(&sched.lock);
	if (!sched.gfree)
		g_chunk_add();
	while (sched.gfree && pp->ngfree < GFREE_BATCH) {
		struct g *gp = sched.gfree;

		sched.gfree = gp->link;
		sched.ngfree--;
		gp->link = pp->gfree;
		pp->gfree = gp;
		pp->ngfree++;
	}
	unlock_always(&sched.lock);
}

static noinline void g_flush(struct p *pp)
{
	lock_always(&sched.lock);
	while (pp->ngfree > GFREE_BATCH) {
		struct g *gp = pp->gfree;

		pp->gfree = gp->link;
		pp->ngfree--;
		gp->link = sched.gfree;
		sched.gfree = gp;
		sched.ngfree++;
	}
	unlock_always(&sched.lock);
}

static struct g *g_alloc(struct p *pp)
{
	struct g *gp;

	if (unlikely(!pp->gfree))
		g_refill(pp);
	gp = pp->gfree;
	pp->gfree = gp->link;
	pp->ngfree--;
	if (unlikely(pp->next_id == pp->last_id)) {
		pp->next_id = atomic_fetch_add_explicit(&sched.next_id, 64, memory_order_relaxed);
		pp->last_id = pp->next_id + 64;
	}
	gp->id = pp->next_id++;
	gp->link = NULL;
	return gp;
}

static void g_free(struct p *pp, struct g *gp)
{
	gp->link = pp->gfree;
	pp->gfree = gp;
	if (unlikely(++pp->ngfree > GFREE_MAX))
		g_flush(pp);
}

/* ---- the switch --------------------------------------------------------------------------------
 */

/* Everything that belongs to a goroutine but lives in its thread moves with it. */
static inline void thread_state_save(struct m *mp, struct g *gp)
{
	gp->saved_errno = *mp->errnop;
	if (mp->eh_globals) {
		gp->eh_globals[0] = mp->eh_globals[0];
		gp->eh_globals[1] = mp->eh_globals[1];
	}
}

static inline void thread_state_load(struct m *mp, const struct g *gp)
{
	*mp->errnop = gp->saved_errno;
	if (mp->eh_globals) {
		mp->eh_globals[0] = gp->eh_globals[0];
		mp->eh_globals[1] = gp->eh_globals[1];
	}
}

/* First thing on a stack that we switched to: what the one we left could not do itself. */
static inline void after_switch(struct m *mp)
{
	struct g *gp = mp->post_g;
	enum post post = mp->post;

	if (post == POST_PARK) {
		uint32_t *l = mp->post_lock;

		mp->post = POST_NONE;
		g_set_state(gp, GORO_STATE_WAITING, mp->post_reason);
		if (l)
			unlock(l);
	} else if (post == POST_PARK_LOCKS) {
		uint32_t **order = mp->post_order;
		int n = mp->post_norder;

		mp->post = POST_NONE;
		g_set_state(gp, GORO_STATE_WAITING, mp->post_reason);
		/* The array is on gp's stack; gp cannot get past locking them all again. */
		for (int i = 0; i < n; i++)
			unlock_always(order[i]);
	} else if (post == POST_YIELD) {
		mp->post = POST_NONE;
		g_set_state(gp, GORO_STATE_RUNNABLE, 0);
		runq_put(mp->p, gp);
	} else if (post == POST_DEAD) {
		mp->post = POST_NONE;
		san_fiber_destroy(&gp->san, gp->stack_lo, gp->stack_hi);
		goro_stack_free(mp->p, gp);
		g_free(mp->p, gp);
	}
	/* POST_LOST is left to schedule(), which may have to sleep for it. */
}

/*
 * Run `to` on this m; mp->post says what to do for `from` afterwards. Returns when somebody runs
 * `from` again, maybe on another m: that one is returned.
 */
static inline struct m *switch_to(struct m *mp, struct g *from, struct g *to)
{
	mp->post_g = from;
	mp->curg = to;
	thread_state_save(mp, from);
	san_before_switch(&from->san, &to->san, to->stack_lo, to->stack_hi, mp->post == POST_DEAD);
	goro_context_switch(&from->sp, to->sp, NULL);
	mp = getm();
	san_after_switch(&from->san);
	thread_state_load(mp, from);
	after_switch(mp);
	return mp;
}

/* Make `gp` look as if it had switched away just before it calls fn on an empty stack. */
static void g_prepare_stack(struct g *gp, uintptr_t top, void (*fn)(void *))
{
	struct switch_frame *frame;

	top = (top & ~(uintptr_t)15) - 16; /* a zero where the return address would be */
	frame = (struct switch_frame *)(top - sizeof(*frame));
	*(uintptr_t *)top = 0;
	memset(frame, 0, sizeof(*frame));
	frame->mxcsr = 0x1f80;
	frame->x87cw = 0x37f;
	frame->rbx = (uintptr_t)fn;
	frame->pc = (uintptr_t)goro_entry_start;
	g_set_sp(gp, (uintptr_t)frame);
}

static void goro_main(void *unused);

/*
 * The top of a stack is not always the same address modulo a page: else the hottest lines of all
 * stacks would fall into the same few sets of the cache.
 */
static inline uintptr_t g_stack_colour(const struct g *gp)
{
	return (gp->id & 15) * CACHE_LINE;
}

static noinline void g_give_stack(struct p *pp, struct g *gp)
{
	goro_stack_alloc(pp, gp);
	san_fiber_create(&gp->san);
	g_prepare_stack(gp, gp->stack_hi - g_stack_colour(gp), goro_main);
}

/* Bookkeeping of "this one runs now"; gives a fresh one its stack. */
static inline void g_set_running(struct m *mp, struct g *gp)
{
	if (!gp->sp)
		g_give_stack(mp->p, gp);
	gp->m_id = mp->id;
	g_set_state(gp, GORO_STATE_RUNNING, 0);
}

/*
 * What the current goroutine can hand its P to without the scheduler's own stack, or NULL. Every
 * 61st time the global queue has its turn, so that a busy P cannot starve it.
 */
static inline struct g *pick(struct p *pp)
{
	uint64_t tick = atomic_load_explicit(&pp->nswitch, memory_order_relaxed) + 1;

	atomic_store_explicit(&pp->nswitch, tick, memory_order_relaxed);
	if (unlikely(atomic_load_explicit(&pp->attention, memory_order_relaxed)))
		return NULL;
	if (unlikely(tick % 61 == 0) && atomic_load_explicit(&sched.runq_len, memory_order_relaxed))
		return NULL;
	return runq_get(pp);
}

static inline struct g *pick_or_g0(struct m *mp)
{
	struct g *next = pick(mp->p);

	if (!next)
		return &mp->g0;
	g_set_running(mp, next);
	return next;
}

static inline void count_park(struct g *gp)
{
	/* An observer that sees an unchanged number knows that the goroutine did not run. */
	__atomic_store_n(&gp->park_seq, gp->park_seq + 1, __ATOMIC_RELEASE);
}

struct m *goro_park(struct m *mp, enum goro_reason reason, void *object, uint32_t *l)
{
	struct g *gp = mp->curg;

	gp->wait_object = object;
	count_park(gp);
	mp->p->npark++;
	mp->post = POST_PARK;
	mp->post_reason = reason;
	mp->post_lock = l;
	return switch_to(mp, gp, pick_or_g0(mp));
}

struct m *goro_park_locks(struct m *mp, enum goro_reason reason, void *object, uint32_t **order,
			  int norder)
{
	struct g *gp = mp->curg;

	gp->wait_object = object;
	count_park(gp);
	mp->p->npark++;
	mp->post = POST_PARK_LOCKS;
	mp->post_reason = reason;
	mp->post_order = order;
	mp->post_norder = norder;
	return switch_to(mp, gp, pick_or_g0(mp));
}

void goro_park_forever(enum goro_reason reason)
{
	struct m *mp = enter();

	mp->curg->waiting = NULL;
	goro_park(mp, reason, NULL, NULL);
	goro_throw("a goroutine that waits for ever was woken");
}

/*
 * Run fn on a stack with room for anything, and do not come back: for reports, which need libdw,
 * which needs more than a goroutine has.
 */
void goro_leave_for(void (*fn)(void *))
{
	static struct g report;
	struct m *mp = getm();
	struct g *from = mp && mp->curg ? mp->curg : &report;
	size_t size = 2 * 1024 * 1024;
	void *stack = os_reserve(size);

	if (!stack)
		fn(NULL);
	report.stack_lo = (uintptr_t)stack;
	report.stack_hi = report.stack_lo + size;
	san_fiber_create(&report.san);
	g_prepare_stack(&report, report.stack_hi, fn);
	san_before_switch(&from->san, &report.san, report.stack_lo, report.stack_hi, 0);
	goro_context_switch(&from->sp, report.sp, &report);
	__builtin_unreachable();
}

/* ---- ready -------------------------------------------------------------------------------------
 */

void goro_ready(struct m *mp, struct g *gp)
{
	struct p *pp = mp->p;
	uint32_t eager = atomic_load_explicit(&pp->eager, memory_order_relaxed);
	struct g *old;

	g_set_state(gp, GORO_STATE_RUNNABLE, 0);
	pp->nready++;
	old = runq_set_next(pp, gp);
	if (old) {
		runq_put(pp, old);
		if (runq_worth_stealing(pp))
			goro_wake_worker();
	} else if (unlikely(eager)) {
		/* Not exact when sysmon sets it meanwhile, and need not be. */
		atomic_store_explicit(&pp->eager, eager - 1, memory_order_relaxed);
		goro_wake_worker();
	}
}

void goro_ready_batch(struct m *mp, struct g *first, struct g *last, uint32_t n)
{
	struct p *pp = mp->p;

	pp->nready += n;
	if (n <= RUNQ_LEN / 2) {
		for (struct g *gp = first, *next; gp; gp = next) {
			next = gp->link;
			g_set_state(gp, GORO_STATE_RUNNABLE, 0);
			runq_put(pp, gp);
		}
	} else {
		for (struct g *gp = first; gp; gp = gp->link)
			g_set_state(gp, GORO_STATE_RUNNABLE, 0);
		lock_always(&sched.lock);
		goro_global_put(first, last, n);
		unlock_always(&sched.lock);
	}
	goro_wake_worker();
}

/* ---- the global queue, idle Ps and Ms: under sched.lock ----------------------------------------
 */

void goro_global_put(struct g *first, struct g *last, uint32_t n)
{
	last->link = NULL;
	if (sched.runq_last)
		sched.runq_last->link = first;
	else
		sched.runq_first = first;
	sched.runq_last = last;
	atomic_store_explicit(&sched.runq_len,
			      atomic_load_explicit(&sched.runq_len, memory_order_relaxed) + n,
			      memory_order_relaxed);
	goro_introspect.sched_runq_len = sched.runq_len;
}

/* A fair share for pp: one is returned, the rest goes to its ring. */
static struct g *global_get(struct p *pp)
{
	uint64_t len = atomic_load_explicit(&sched.runq_len, memory_order_relaxed);
	uint64_t n = len / (uint64_t)sched.nprocs + 1;
	uint32_t tail = atomic_load_explicit(&pp->runq_tail, memory_order_relaxed);
	uint32_t room =
		RUNQ_LEN - (tail - atomic_load_explicit(&pp->runq_head, memory_order_acquire));
	struct g *gp = sched.runq_first;

	if (!gp)
		return NULL;
	n = n < len ? n : len;
	n = n < RUNQ_LEN / 2 ? n : RUNQ_LEN / 2;
	n = n < room + 1 ? n : room + 1;
	sched.runq_first = gp->link;
	for (uint64_t i = 1; i < n; i++) {
		struct g *more = sched.runq_first;

		sched.runq_first = more->link;
		runq_put(pp, more);
	}
	if (!sched.runq_first)
		sched.runq_last = NULL;
	atomic_store_explicit(&sched.runq_len, len - n, memory_order_relaxed);
	goro_introspect.sched_runq_len = len - n;
	return gp;
}

static void p_acquire(struct m *mp, struct p *pp)
{
	san_acquire(pp);
	mp->p = pp;
	atomic_store_explicit(&pp->m, mp, memory_order_release);
	atomic_store_explicit(&pp->status, P_RUNNING, memory_order_release);
}

static void idle_p_put(struct p *pp)
{
	san_release(pp);
	atomic_store_explicit(&pp->m, NULL, memory_order_release);
	atomic_store_explicit(&pp->status, P_IDLE, memory_order_release);
	pp->link = sched.idle_p;
	sched.idle_p = pp;
	atomic_fetch_add(&sched.nidle_p, 1);
}

static struct p *idle_p_get(void)
{
	struct p *pp = sched.idle_p;

	if (!pp)
		return NULL;
	sched.idle_p = pp->link;
	atomic_fetch_sub(&sched.nidle_p, 1);
	if (atomic_load_explicit(&sched.sysmon_futex, memory_order_relaxed))
		goro_sysmon_wake();
	return pp;
}

static void idle_m_remove(struct m *mp)
{
	for (struct m **at = &sched.idle_m; *at; at = &(*at)->link) {
		if (*at == mp) {
			*at = mp->link;
			return;
		}
	}
}

/*
 * Nothing runs, nothing is about to, and no timer will change that: nobody can ever wake anybody.
 * Everything this looks at is only changed under sched.lock.
 */
static void check_deadlock(void)
{
	if (atomic_load(&sched.nidle_p) != (uint32_t)sched.nprocs || atomic_load(&sched.nlost) ||
	    sched.runq_first || atomic_load(&sched.dying))
		return;
	for (int i = 0; i < sched.nprocs; i++)
		if (!runq_empty(goro_ps[i]))
			return;
	unlock_always(&sched.lock);
	goro_die_deadlock();
}

/* ---- worker threads ----------------------------------------------------------------------------
 */

static void schedule(struct m *mp) __attribute__((noreturn));

static void m_init(struct m *mp)
{
	mp->tid = os_tid();
	mp->errnop = goro_errno_location();
	mp->eh_globals = __cxa_get_globals ? __cxa_get_globals() : NULL;
	mp->sleep_until = INT64_MAX;
	atomic_store_explicit(&mp->in_runtime, 1, memory_order_relaxed);
	goro_tls_m = mp;
	os_thread_signal_stack(mp);
}

static void m_main(void *arg)
{
	struct m *mp = arg;

	m_init(mp);
	san_fiber_of_thread(&mp->g0.san);
	os_thread_stack(&mp->g0.stack_lo, &mp->g0.stack_hi);
	mp->curg = &mp->g0;
	p_acquire(mp, mp->next_p);
	mp->next_p = NULL;
	schedule(mp);
}

/* sched.lock held. A new worker record, or NULL when there are too many. */
static struct m *m_new(void)
{
	uint32_t n = goro_introspect.m_count;
	struct m *mp = n < M_MAX ? os_reserve(sizeof(*mp)) : NULL;

	if (!mp)
		return NULL;
	mp->id = n;
	goro_ms[n] = mp;
	__atomic_store_n(&goro_introspect.m_count, n + 1, __ATOMIC_RELEASE);
	return mp;
}

/* Give pp to a sleeping worker, or to a new one. sched.lock held; released. */
void goro_start_m(struct p *pp, bool spinning)
{
	struct m *mp = sched.idle_m;

	if (mp) {
		sched.idle_m = mp->link;
		if (sched.timekeeper == mp)
			sched.timekeeper = NULL;
		mp->next_p = pp;
		mp->spinning = spinning;
		atomic_store_explicit(&mp->futex, 1, memory_order_release);
		unlock_always(&sched.lock);
		os_futex_wake(&mp->futex, 1);
		return;
	}
	mp = m_new();
	if (mp) {
		int err;

		mp->next_p = pp;
		mp->spinning = spinning;
		unlock_always(&sched.lock);
		err = os_thread_start(m_main, mp, false);
		if (!err)
			return;
		/* The record stays as an entry without a thread; work goes on with fewer. */
		lock_always(&sched.lock);
	}
	if (spinning)
		atomic_fetch_sub(&sched.nspinning, 1);
	idle_p_put(pp);
	unlock_always(&sched.lock);
}

void goro_wake_worker_slow(void)
{
	uint32_t none = 0;
	struct p *pp;

	if (!atomic_compare_exchange_strong(&sched.nspinning, &none, 1))
		return;
	lock_always(&sched.lock);
	pp = idle_p_get();
	if (!pp) {
		unlock_always(&sched.lock);
		atomic_fetch_sub(&sched.nspinning, 1);
		return;
	}
	goro_start_m(pp, true);
}

/* ---- looking for work: on g0 -------------------------------------------------------------------
 */

enum { SPIN_NS = 10000, NEXT_AGE_NS = 3000 };

static void stop_spinning(struct m *mp)
{
	if (!mp->spinning)
		return;
	mp->spinning = false;
	/* The last one that looked has found something: there may be more, so another shall look.
	 */
	if (atomic_fetch_sub(&sched.nspinning, 1) == 1)
		goro_wake_worker();
}

/*
 * Look at every other P, again and again for SPIN_NS. The goroutine in the slot in front of a P is
 * taken only after it has lain there untouched for NEXT_AGE_NS: its owner is about to run it.
 */
static struct g *steal_work(struct m *mp)
{
	struct {
		struct g *next;
		uint64_t nswitch;
		int64_t since;
	} seen[P_MAX];
	struct p *pp = mp->p;
	int n = sched.nprocs;
	int64_t start = goro_now(), now = start;

	memset(seen, 0, (size_t)n * sizeof(seen[0]));
	do {
		int at = (int)(p_random(pp) % (uint64_t)n);

		for (int i = 0; i < n; i++, at = at + 1 == n ? 0 : at + 1) {
			struct p *victim = goro_ps[at];
			struct g *next, *gp;
			uint64_t nswitch;
			bool take_next = false;

			if (victim == pp)
				continue;
			if (atomic_load_explicit(&victim->timer_when, memory_order_relaxed) <=
			    now) {
				goro_timers_run(mp, victim, now);
				gp = runq_get(pp);
				if (gp)
					return gp;
			}
			next = atomic_load_explicit(&victim->runnext, memory_order_relaxed);
			nswitch = atomic_load_explicit(&victim->nswitch, memory_order_relaxed);
			if (next && next == seen[at].next && nswitch == seen[at].nswitch) {
				take_next = now - seen[at].since >= NEXT_AGE_NS;
			} else {
				seen[at].next = next;
				seen[at].nswitch = nswitch;
				seen[at].since = now;
			}
			if (now - start < SPIN_NS / 2 && !runq_worth_stealing(victim))
				continue;
			gp = goro_runq_steal(pp, victim, take_next);
			if (gp) {
				pp->nsteal++;
				return gp;
			}
		}
		if (atomic_load_explicit(&sched.runq_len, memory_order_relaxed))
			return NULL;
		for (int i = 0; i < 16; i++)
			cpu_relax();
		now = goro_now();
	} while (now - start < SPIN_NS);
	return NULL;
}

static bool work_anywhere(void)
{
	if (atomic_load_explicit(&sched.runq_len, memory_order_relaxed))
		return true;
	for (int i = 0; i < sched.nprocs; i++)
		if (!runq_empty(goro_ps[i]))
			return true;
	return false;
}

/*
 * Give up the P. Whoever publishes work looks at nspinning afterwards with plain loads; we lower it
 * and then look at the queues. The fence between the two that they lack is in our membarrier.
 */
static struct g *give_up_p(struct m *mp)
{
	struct p *pp = mp->p;
	struct g *gp;

	lock_always(&sched.lock);
	gp = global_get(pp);
	if (gp || atomic_load_explicit(&pp->attention, memory_order_relaxed)) {
		unlock_always(&sched.lock);
		return gp;
	}
	mp->p = NULL;
	idle_p_put(pp);
	unlock_always(&sched.lock);

	if (mp->spinning) {
		mp->spinning = false;
		atomic_fetch_sub(&sched.nspinning, 1);
	}
	os_membarrier();
	if (work_anywhere()) {
		lock_always(&sched.lock);
		pp = idle_p_get();
		unlock_always(&sched.lock);
		if (pp) {
			p_acquire(mp, pp);
			mp->spinning = true;
			atomic_fetch_add(&sched.nspinning, 1);
		}
	}
	return NULL;
}

/*
 * Sleep until somebody hands us a P. One of the sleepers, the time keeper, gets up for the next
 * timer if there is an idle P to run it with; when there is none, sysmon sees to the timers.
 */
static void sleep_without_p(struct m *mp)
{
	int64_t when = goro_timers_next();
	int64_t timeout = -1;

	lock_always(&sched.lock);
	if (when == INT64_MAX)
		check_deadlock();
	if (when != INT64_MAX && atomic_load(&sched.nidle_p) &&
	    (!sched.timekeeper || when < sched.timekeeper->sleep_until)) {
		sched.timekeeper = mp;
		mp->sleep_until = when;
		timeout = when - goro_now();
		timeout = timeout > 0 ? timeout : 0;
	}
	atomic_store_explicit(&mp->futex, 0, memory_order_relaxed);
	mp->link = sched.idle_m;
	sched.idle_m = mp;
	unlock_always(&sched.lock);

	os_futex_wait(&mp->futex, 0, timeout);

	lock_always(&sched.lock);
	mp->sleep_until = INT64_MAX;
	if (sched.timekeeper == mp)
		sched.timekeeper = NULL;
	if (!mp->next_p) { /* nobody woke us: time is up */
		idle_m_remove(mp);
		mp->next_p = idle_p_get();
	}
	unlock_always(&sched.lock);
	goro_clock_advance();
	if (mp->next_p) {
		p_acquire(mp, mp->next_p);
		mp->next_p = NULL;
	}
}

/* Block until there is a goroutine to run, with a P to run it. */
static struct g *find_runnable(struct m *mp)
{
	for (;;) {
		struct p *pp;
		struct g *gp;

		if (!mp->p) {
			sleep_without_p(mp);
			continue;
		}
		pp = mp->p;
		atomic_store_explicit(&pp->attention, 0, memory_order_relaxed);
		if (atomic_load_explicit(&pp->timer_when, memory_order_relaxed) != INT64_MAX)
			goro_timers_run(mp, pp, goro_now());
		if (atomic_load_explicit(&sched.runq_len, memory_order_relaxed)) {
			lock_always(&sched.lock);
			gp = global_get(pp);
			unlock_always(&sched.lock);
			if (gp)
				return gp;
		}
		gp = runq_get(pp);
		if (gp)
			return gp;
		if (!mp->spinning) {
			uint32_t busy = (uint32_t)sched.nprocs - atomic_load(&sched.nidle_p);

			if (!sched.solo && 2 * atomic_load(&sched.nspinning) < busy) {
				mp->spinning = true;
				atomic_fetch_add(&sched.nspinning, 1);
			}
		}
		if (mp->spinning) {
			gp = steal_work(mp);
			if (gp)
				return gp;
		}
		gp = give_up_p(mp);
		if (gp)
			return gp;
	}
}

/* Our goroutine's P was taken away while it was in the program's code; it is back. */
static void settle_lost(struct m *mp, struct g *gp)
{
	struct p *pp;

	lock_always(&sched.lock);
	atomic_store_explicit(&mp->lost_p, LOST_NO, memory_order_relaxed);
	atomic_fetch_sub(&sched.nlost, 1);
	g_set_state(gp, GORO_STATE_RUNNABLE, 0);
	pp = idle_p_get();
	if (pp)
		mp->next_g = gp;
	else
		goro_global_put(gp, gp, 1);
	unlock_always(&sched.lock);
	if (pp)
		p_acquire(mp, pp);
}

/* What a worker does on its own stack, for ever. */
static void schedule(struct m *mp)
{
	for (;;) {
		struct g *gp;

		if (mp->post == POST_LOST) {
			mp->post = POST_NONE;
			settle_lost(mp, mp->post_g);
		}
		gp = mp->next_g;
		mp->next_g = NULL;
		if (!gp)
			gp = find_runnable(mp);
		stop_spinning(mp);
		g_set_running(mp, gp);
		mp->post = POST_NONE;
		switch_to(mp, &mp->g0, gp);
	}
}

static void goro_g0_main(void *unused)
{
	struct m *mp = getm();

	(void)unused;
	san_after_switch(&mp->g0.san);
	after_switch(mp);
	schedule(mp);
}

/* ---- P lost and regained -----------------------------------------------------------------------
 */

/* enter() saw that sysmon wants or has our P. */
struct m *goro_regain_p(struct m *mp)
{
	uint32_t lost;

	for (int i = 0;
	     (lost = atomic_load_explicit(&mp->lost_p, memory_order_acquire)) == LOST_ASKED; i++) {
		if (i < 100)
			cpu_relax();
		else
			os_sched_yield();
	}
	if (lost == LOST_NO)
		return mp; /* it saw that we are in the runtime and let go */
	count_park(mp->curg);
	mp->post = POST_LOST;
	return switch_to(mp, mp->curg, &mp->g0);
}

/* ---- goroutines begin and end ------------------------------------------------------------------
 */

static void bury(struct g *gp)
{
	struct tomb *t;

	lock_always(&sched.lock);
	t = &goro_tombs[next_tomb++ % TOMB_MAX];
	t->id = 0;
	t->spawn_pc = gp->spawn_pc;
	t->entry = gp->entry;
	t->parent = gp->parent;
	t->time = coarse_now();
	t->locks = gp->held_locks;
	t->id = gp->id;
	unlock_always(&sched.lock);
}

static inline void g_end(struct m *mp, struct g *gp)
{
	if (unlikely(gp->held_locks))
		bury(gp);
	mp->p->nexit++;
	g_set_state(gp, GORO_STATE_DEAD, 0);
}

/*
 * The frame below a goroutine's function. When it returns and the next in the queue is fresh, that
 * one runs right here.
 */
static void goro_main(void *unused)
{
	struct m *mp = getm();
	struct g *gp = mp->curg, *next;

	(void)unused;
	san_after_switch(&gp->san);
	after_switch(mp);
	for (;;) {
		gp->saved_errno = 0;
		gp->eh_globals[0] = gp->eh_globals[1] = NULL;
		thread_state_load(mp, gp);
		leave(mp);
		((goro_fn *)gp->entry)(gp->arg);
		mp = enter();
		gp = mp->curg;
		g_end(mp, gp);
		next = pick(mp->p);
		if (!next || next->sp)
			break;
		next->stack_lo = gp->stack_lo;
		next->stack_hi = gp->stack_hi;
		next->san = gp->san;
		g_set_sp(next, gp->stack_hi); /* not fresh any more; set at its first park */
		gp->stack_lo = gp->stack_hi = 0;
		g_set_state(gp, GORO_STATE_FREE, 0);
		g_free(mp->p, gp);
		gp = next;
		mp->curg = gp;
		g_set_running(mp, gp);
	}
	if (next)
		g_set_running(mp, next);
	mp->post = POST_DEAD;
	switch_to(mp, gp, next ? next : &mp->g0);
	__builtin_unreachable();
}

void goro_exit(void)
{
	struct m *mp = enter();
	struct g *gp = mp->curg;

	if (gp == main_g) {
		/* The process stack stays; its goroutine is no more, and nobody can wake it. */
		sched.main_exited = true;
		if (gp->held_locks)
			bury(gp);
		mp->p->nexit++;
		goro_park(mp, GORO_REASON_NONE, NULL, NULL);
		goro_throw("main was woken after goro_exit");
	}
	g_end(mp, gp);
	mp->post = POST_DEAD;
	switch_to(mp, gp, pick_or_g0(mp));
	__builtin_unreachable();
}

static struct g *g_new(struct m *mp, goro_fn *fn, uintptr_t pc)
{
	struct p *pp = mp->p;
	struct g *gp;

	if (unlikely(!fn))
		goro_throw("go of nil func value");
	if (unlikely(!sched.sysmon_started))
		goro_sysmon_start();
	gp = g_alloc(pp);
	g_set_sp(gp, 0);
	gp->wait_object = NULL;
	gp->waiting = NULL;
	gp->stack_lo = gp->stack_hi = 0;
	gp->spawn_pc = pc;
	gp->entry = (uintptr_t)fn;
	gp->parent = mp->curg->id;
	gp->held_locks = 0;
	gp->rlocks[0] = gp->rlocks[1] = NULL;
	gp->rlocks_more = 0;
	pp->nspawn++;
	gp->park_time = coarse_now();
	atomic_store_explicit(&gp->status, GORO_STATE_NEW, memory_order_release);
	return gp;
}

/* A new goroutine runs next here, and what would have run goes to the queue: as in Go. */
static inline void g_enqueue(struct m *mp, struct g *gp)
{
	struct g *old = runq_set_next(mp->p, gp);

	if (old)
		runq_put(mp->p, old);
	goro_wake_worker();
}

uint64_t goro_go(goro_fn *fn, void *arg)
{
	struct m *mp = enter();
	struct g *gp = g_new(mp, fn, (uintptr_t)__builtin_return_address(0));
	uint64_t id = gp->id;

	gp->arg = arg;
	g_enqueue(mp, gp);
	leave(mp);
	return id;
}

uint64_t goro_go_copy(goro_fn *fn, const void *args, size_t size)
{
	struct m *mp = enter();
	struct g *gp = g_new(mp, fn, (uintptr_t)__builtin_return_address(0));
	uint64_t id = gp->id;

	if (size <= G_INLINE_ARG) {
		gp->arg = gp->inline_arg;
	} else {
		/* Too big for the record: it gets its stack now, and they lie on top of it. */
		uintptr_t top;

		if (size > goro_stack_size() / 2)
			goro_throw("go_copy of %zu bytes: more than half of a %zu-byte stack", size,
				   goro_stack_size());
		goro_stack_alloc(mp->p, gp);
		san_fiber_create(&gp->san);
		top = (gp->stack_hi - g_stack_colour(gp) - size) & ~(uintptr_t)15;
		gp->arg = (void *)top;
		g_prepare_stack(gp, top, goro_main);
	}
	if (size)
		memcpy(gp->arg, args, size);
	g_enqueue(mp, gp);
	leave(mp);
	return id;
}

void goro_yield(void)
{
	struct m *mp = enter();
	struct p *pp = mp->p;
	struct g *gp = mp->curg;
	struct g *next = pick(pp);

	if (next)
		g_set_running(mp, next);
	else if (atomic_load_explicit(&pp->attention, memory_order_relaxed) ||
		 atomic_load_explicit(&sched.runq_len, memory_order_relaxed))
		next = &mp->g0;
	if (next) {
		count_park(gp);
		mp->post = POST_YIELD;
		mp = switch_to(mp, gp, next);
	}
	leave(mp);
}

uint64_t goro_id(void)
{
	struct m *mp = enter();
	uint64_t id = mp->curg->id;

	leave(mp);
	return id;
}

size_t goro_count(void)
{
	uint64_t ended = 0, started = 1;

	/* Ended first: one that is started and ends in between is not counted negative. */
	for (int i = 0; i < sched.nprocs; i++)
		ended += __atomic_load_n(&goro_ps[i]->nexit, __ATOMIC_ACQUIRE);
	for (int i = 0; i < sched.nprocs; i++)
		started += __atomic_load_n(&goro_ps[i]->nspawn, __ATOMIC_ACQUIRE);
	return started - ended;
}

int goro_maxprocs(void)
{
	leave(enter());
	return sched.nprocs;
}

/* ---- start -------------------------------------------------------------------------------------
 */

static long env_number(const char *name, long min, long max, long otherwise)
{
	const char *s = getenv(name);
	char *end;
	long v;

	if (!s || !*s)
		return otherwise;
	v = strtol(s, &end, 10);
	if (end != s && (*end == 'k' || *end == 'K'))
		v *= 1024, end++;
	else if (end != s && (*end == 'm' || *end == 'M'))
		v *= 1024 * 1024, end++;
	if (end == s || *end || v < min || v > max)
		goro_throw("%s=%s: not a number from %ld to %ld", name, s, min, max);
	return v;
}

static void p_init(struct p *pp, uint32_t id)
{
	pp->id = id;
	pp->random = (cpu_ticks() ^ (id + 1) * 0x9e3779b97f4a7c15u) | 1;
	atomic_init(&pp->timer_when, INT64_MAX);
	atomic_init(&pp->spread, 1);
	goro_ps[id] = pp;
}

static void in_fork_child(void)
{
	sched.forked = true;
	goro_tls_m = NULL;
}

/* The thread that starts the runtime becomes the main goroutine, on the stack that it has. */
static void start(void)
{
	static struct g0_stack {
		char bytes[256 * 1024];
	} * g0_stack;
	struct p *ps;
	int n;

	os_membarrier_init();
	goro_introspect_init();
	n = (int)env_number("GORO_MAXPROCS", 1, P_MAX, os_cores());
	n = n > (int)P_MAX ? (int)P_MAX : n;
	goro_stack_init((size_t)env_number("GORO_STACK", 32 * 1024, 64 * 1024 * 1024, 0));
	sched.nprocs = n;
	sched.solo = n == 1;
	ps = os_reserve(sizeof(*ps) * (size_t)n);
	g0_stack = os_reserve(sizeof(*g0_stack));
	if (!ps || !g0_stack)
		goro_throw("out of memory at start");
	for (int i = 0; i < n; i++)
		p_init(&ps[i], (uint32_t)i);
	goro_introspect.p_count = (uint32_t)n;

	goro_ms[0] = &m0;
	goro_introspect.m_count = 1;
	m_init(&m0);
	m0.g0.stack_lo = (uintptr_t)g0_stack;
	m0.g0.stack_hi = (uintptr_t)(g0_stack + 1);
	g_prepare_stack(&m0.g0, m0.g0.stack_hi, goro_g0_main);
	san_fiber_create(&m0.g0.san);
	atomic_store(&sched.nidle_p, 0);
	for (int i = n - 1; i > 0; i--)
		idle_p_put(goro_ps[i]);
	p_acquire(&m0, goro_ps[0]);

	atomic_store(&sched.next_id, 1);
	lock_always(&sched.lock);
	g_chunk_add();
	unlock_always(&sched.lock);
	main_g = g_alloc(m0.p);
	os_main_stack(&main_g->stack_lo, &main_g->stack_hi);
	main_g->sp = main_g->stack_hi;
	san_fiber_of_thread(&main_g->san);
	atomic_store(&main_g->status, GORO_FLAG_MAIN << 16 | GORO_STATE_RUNNING);
	main_g->park_time = coarse_now();
	m0.curg = main_g;
	goro_signals_init();
	os_at_fork(in_fork_child);
	goro_gate_init();
	atomic_store_explicit(&m0.in_runtime, 0, memory_order_release);
}

__attribute__((constructor(200))) static void start_at_load(void)
{
	if (!goro_ms[0])
		start();
}

/* No m: the library's constructor has not run yet, or the thread is not one of ours. */
struct m *goro_enter_slow(void)
{
	if (sched.forked)
		goro_throw("goroutines do not exist in a fork()ed child; "
			   "use posix_spawn(), or exec at once");
	if (!goro_ms[0])
		start();
	if (!getm())
		goro_throw("called from a thread that is not a goroutine's "
			   "(made with pthread_create?)");
	return getm();
}

void goro_lock_slow(uint32_t *l)
{
	for (uint32_t i = 0;; i++) {
		uint32_t spins = i < 6 ? 1u << i : 64;

		for (uint32_t k = 0; k < spins; k++)
			cpu_relax();
		if (!__atomic_load_n(l, __ATOMIC_RELAXED) &&
		    !__atomic_exchange_n(l, 1, __ATOMIC_ACQUIRE))
			return;
		/* The holder may have lost its core: let it run. */
		if (i > 20 && i < 40)
			os_sched_yield();
		else if (i >= 40)
			os_sleep(50 * GORO_MICROSECOND);
	}
}
