/* SPDX-License-Identifier: MIT */
/*
 * proc.c - goroutines: start, park, ready, yield, end.
 *
 * The shape is that of Go's proc.go. What differs, and why:
 *
 *   - A goroutine that parks switches straight to the next one in its P's queue. The worker's own
 *     stack (g0) is used only when there is nothing local to run: to look elsewhere and to sleep.
 *   - What must not happen before the registers are saved (unlocking the channel, queueing a
 *     goroutine that yields, freeing the stack of a dead one) is left in m.post and done first of
 *     all on the stack that we switched to. Doing it before the switch lets another worker resume
 *     a goroutine that still runs here.
 *   - A goroutine that ends runs the next *fresh* one on its own stack: no switch, no new stack.
 *   - One that parks runs a child of its own first, the newest: see runq_get_for().
 *   - ready() of one goroutine into the empty slot in front does not wake another worker: nearly
 *     always the waker blocks within a microsecond and runs it itself, in a warm cache. sysmon
 *     notices when it does not, and makes the next readies of that P eager. (tokio's LIFO slot, and
 *     what its users say of it when it cannot be stolen at all.)
 *   - Goroutines that run for less than a microsecond at a time are not spread over workers while
 *     they are few: handing them to another core costs more than they do. sysmon measures it.
 *   - Nor are goroutines that wait for each other's locks: see measure_locks() in sysmon.c. Who is
 *     woken goes to the P of who woke it, so those that belong together come together by
 *     themselves once nobody steals any of them.
 *
 * Rejected: running the scheduler on g0 for each switch (two switches instead of one); a bounded
 * queue that makes push wait (bthread hung on it); preemption by switching inside a signal handler
 * (C has no safe points).
 */
#include <string.h>

#include "switch.h"

struct tomb goro_tombs[TOMB_MAX];
static uint32_t next_tomb;

/* ---- park ------------------------------------------------------------------------------------ */

struct m *goro_park(struct m *mp, enum goro_reason reason, void *object, uint32_t *l)
{
	return park(mp, mp->curg, reason, object, l);
}

struct m *goro_park_word(struct m *mp, enum goro_reason reason, void *object,
			 _Atomic uintptr_t *word)
{
	struct g *gp = mp->curg;

	record_park(gp, object);
	mp->post = POST_PARK_WORD;
	mp->post_state = (uint16_t)G_STATE(GORO_STATE_WAITING, reason);
	mp->post_word = word;
	return switch_to(mp, gp, pick_or_g0(mp, gp, false));
}

/* The rest of after_switch(): all but a park with one lock. */
noinline void goro_after_other(struct m *mp, struct g *gp)
{
	enum post post = mp->post;

	if (post == POST_YIELD) {
		after_yield(mp);
	} else if (post == POST_PARK_LOCKS) {
		uint32_t **order = mp->post_order;
		int n = mp->post_norder;

		mp->post = POST_NONE;
		record_parked(gp, mp->post_state);
		/* The array is on gp's stack; gp cannot get past locking them all again. */
		for (int i = 0; i < n; i++)
			unlock_always(order[i]);
	} else if (post == POST_DEAD) {
		mp->post = POST_NONE;
		san_fiber_destroy(&gp->san, gp->stack_lo, gp->stack_hi);
		goro_stack_free(mp->p, gp);
		g_free(mp->p, gp);
	} else if (post == POST_PARK_WORD) {
		mp->post = POST_NONE;
		record_parked(gp, mp->post_state);
		if (!goro_netpoll_commit(mp->post_word, gp))
			goro_ready(mp, gp);
	}
	/* What is left is schedule()'s, which may have to sleep for it. */
}

void goro_park_forever(enum goro_reason reason)
{
	struct m *mp = enter();

	goro_park(mp, reason, NULL, NULL);
	goro_throw("a goroutine that waits for ever was woken");
}

/* ---- ready ----------------------------------------------------------------------------------- */

/* What goro_ready() mostly does not do is in tail calls, so that it saves no registers. */
static noinline void second_in_line(struct p *pp, struct g *old)
{
	runq_put(pp, old);
	if (runq_worth_stealing(pp))
		goro_wake_worker();
}

/* There is more to do: who is made ready is measured, or another worker is woken at once. */
static noinline void ready_slowly(struct p *pp, struct g *gp)
{
	uint16_t eager = atomic_load_explicit(&pp->eager, memory_order_relaxed);
	struct g *old;

	if (is_mark_due(pp))
		goro_mark_ready(pp, gp);
	old = runq_set_next(pp, gp);
	if (old) {
		second_in_line(pp, old);
	} else if (eager) {
		/* Not exact when sysmon sets it meanwhile, and need not be. */
		atomic_store_explicit(&pp->eager, (uint16_t)(eager - 1), memory_order_relaxed);
		goro_wake_worker();
	}
}

static __always_inline void make_next(struct p *pp, struct g *gp)
{
	struct g *old = runq_set_next(pp, gp);

	if (unlikely(old))
		second_in_line(pp, old);
}

void goro_ready(struct m *mp, struct g *gp)
{
	struct p *pp = mp->p;

	if (g_set_runnable(gp))
		goro_ready_locked(gp);
	else if (unlikely(is_set(&pp->ready_slowly)))
		ready_slowly(pp, gp);
	else
		make_next(pp, gp);
}

void goro_ready_batch(struct m *mp, struct g *first, uint32_t n)
{
	struct p *pp = mp->p;

	if (n <= RUNQ_LEN / 2) {
		for (struct g *gp = first, *next; gp; gp = next) {
			next = gp->link;
			if (g_set_runnable(gp)) {
				goro_ready_locked(gp);
				continue;
			}
			if (gp == first)
				goro_mark_ready(pp, gp);
			runq_put(pp, gp);
		}
	} else {
		struct g_chain list = goro_ready_chain(first);

		lock_always(&sched.lock);
		if (list.n)
			goro_global_put(list.first, list.last, list.n);
		unlock_always(&sched.lock);
	}
	goro_wake_worker();
}

void goro_ready_pile(struct m *mp, struct g_pile *pile)
{
	struct p *pp = mp->p;

	if (pile->n <= PILE_FEW) {
		struct g **first = pile->few + PILE_FEW - pile->n;

		goro_mark_ready(pp, first[0]);
		for (uint32_t i = 0; i < pile->n; i++)
			runq_put(pp, first[i]);
	} else {
		lock_always(&sched.lock);
		goro_global_put_pile(pile);
		unlock_always(&sched.lock);
	}
	goro_wake_worker();
}

/* ---- begin and end --------------------------------------------------------------------------- */

static void bury(struct g *gp)
{
	struct tomb *t;

	lock_always(&sched.lock);
	t = &goro_tombs[next_tomb++ % TOMB_MAX];
	/* Observers read without the lock: an id says that the rest is its. */
	__atomic_store_n(&t->id, 0, __ATOMIC_RELAXED);
	store_fence();
	t->spawn_pc = gp->spawn_pc;
	t->entry = gp->entry;
	t->parent = gp->parent;
	t->time = coarse_now();
	t->locks = gp->held_locks;
	memcpy(t->rlocks, gp->rlocks, sizeof(t->rlocks));
	__atomic_store_n(&t->id, gp->id, __ATOMIC_RELEASE);
	unlock_always(&sched.lock);
}

static inline void g_end(struct m *mp, struct g *gp)
{
	if (unlikely(gp->held_locks))
		bury(gp);
	if (unlikely(gp->ext)) {
		mp->ending = gp->ext->nlocks;
		goro_ext_free(gp);
	}
	count_up(&mp->p->nexit);
	g_set_state(gp, GORO_STATE_DEAD, 0);
}

/*
 * The frame below a goroutine's function. When it returns and the next in the queue is fresh, that
 * one runs right here.
 */
void goro_main(void *unused)
{
	struct m *mp = getm();
	struct g *gp = mp->curg, *next;
	/* goro_entry calls us, and pushes nothing else. */
	struct stack_owner *owner = __builtin_dwarf_cfa();
	struct fp_control fp;
	bool special; /* an extension: the stack may not be of the usual size */

	(void)unused;
	san_after_switch(&gp->san);
	after_switch(mp);
	for (;;) {
		thread_state_load(mp, &(struct thread_state){ 0 });
		owner->record = (uintptr_t)gp;
		owner->id = gp->id;
		owner->spawn_pc = gp->spawn_pc;
		wipe_start();
		leave(mp);
		((goro_fn *)gp->entry)(gp->arg);
		if (unlikely(gp->ext))
			goro_locals_destroy(gp);
		fp_control_read(&fp);
		mp = enter();
		gp = mp->curg;
		special = gp->ext;
		g_end(mp, gp);
		next = pick(mp->p, NULL);
		if (!next || next->sp || unlikely(special || next->ext))
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
		fp_control_reset(&fp); /* a switch would have done it */
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

	leave(mp);
	goro_deferred_run_all(gp);
	if (unlikely(gp->ext))
		goro_locals_destroy(gp);
	if (unlikely(g_is_foreign(gp)))
		os_thread_exit();
	mp = enter();
	if (goro_is_main(gp)) {
		/* The process stack stays; its goroutine is no more, and nobody can wake it. */
		sched.main_exited = true;
		if (gp->held_locks)
			bury(gp);
		count_up(&mp->p->nexit);
		goro_park(mp, GORO_REASON_NONE, NULL, NULL);
		goro_throw("main was woken after goro_exit");
	}
	g_end(mp, gp);
	mp->post = POST_DEAD;
	switch_to(mp, gp, pick_or_g0(mp, gp, false));
	__builtin_unreachable();
}

void goro_end_foreign(struct m *mp)
{
	struct g *gp = mp->curg;

	g_end(mp, gp);
	gp->stack_lo = gp->stack_hi = 0;
	g_set_sp(gp, 0);
	g_set_state(gp, GORO_STATE_FREE, 0);
	g_free(mp->p, gp);
}

static struct g *goro_g_new(struct m *mp, goro_fn *fn, uintptr_t pc)
{
	struct p *pp = mp->p;
	struct g *gp;

	if (unlikely(!fn))
		goro_throw("go of nil func value");
	if (unlikely(!sched.sysmon_started))
		goro_sysmon_start();
	gp = g_alloc(pp);
	g_set_sp(gp, 0);
	gp->stack_lo = gp->stack_hi = 0;
	gp->entry = (uintptr_t)fn;
	gp->held_locks = 0;
	gp->rlocks[0] = gp->rlocks[1] = NULL;
	gp->rlocks_more = 0;
	__atomic_store_n(&gp->stack_peak, 0, __ATOMIC_RELAXED);
	gp->deferred = NULL;
	gp->panicking = NULL;
	if (unlikely(mp->curg->ext))
		goro_ext_inherit(mp->curg, gp);
	count_up(&pp->nspawn);
	g_set_parent(gp, mp->curg->id);
	record_new(gp, pc);
	if (unlikely(is_mark_due(pp)))
		goro_mark_ready(pp, gp);
	return gp;
}

/* A new goroutine runs next here, and what would have run goes to the queue: as in Go. */
static inline void g_enqueue(struct m *mp, struct g *gp)
{
	struct g *old = runq_set_next(mp->p, gp);

	if (old)
		runq_put(mp->p, old);
	if (!runq_entangled(mp->p))
		goro_wake_worker();
}

uint64_t goro_go(goro_fn *fn, void *arg)
{
	struct m *mp = enter();
	struct g *gp = goro_g_new(mp, fn, (uintptr_t)__builtin_return_address(0));
	uint64_t id = gp->id;

	gp->arg = arg;
	g_enqueue(mp, gp);
	leave(mp);
	return id;
}

uint64_t goro_go_with(const struct goro_options *options, goro_fn *fn, void *arg)
{
	uint32_t class = options ? goro_stack_class(options->stack_size) : 0;
	struct m *mp = enter();
	struct g *gp = goro_g_new(mp, fn, (uintptr_t)__builtin_return_address(0));
	uint64_t id = gp->id;

	gp->arg = arg;
	if (options)
		goro_ext_options(gp, options->name, class);
	if (options && options->pinned) {
		goro_ext_of(gp)->nlocks = 1;
		atomic_store_explicit(&gp->flags, GORO_FLAG_LOCKED, memory_order_relaxed);
		goro_ready_locked(gp);
	} else {
		g_enqueue(mp, gp);
	}
	leave(mp);
	return id;
}

void goro_spawn(struct m *mp, goro_fn *fn, void *arg, uintptr_t pc, uint64_t parent)
{
	struct g *gp = goro_g_new(mp, fn, pc);

	gp->arg = arg;
	g_set_parent(gp, parent);
	runq_put(mp->p, gp);
	goro_wake_worker();
}

/* Nobody else runs on this processor while they are copied. */
#define COPY_MAX ((size_t)64 << 20)

uint64_t goro_go_copy(goro_fn *fn, const void *args, size_t size)
{
	struct m *mp;
	struct g *gp;
	uint64_t id;

	if (unlikely(size > COPY_MAX))
		goro_panic("go_copy of %zu bytes; at most %zu can be copied", size, COPY_MAX);
	mp = enter();
	gp = goro_g_new(mp, fn, (uintptr_t)__builtin_return_address(0));
	id = gp->id;
	if (size <= G_INLINE_ARG) {
		gp->arg = gp->inline_arg;
	} else {
		/* Too big for the record: it gets its stack now, and they lie on top of it. */
		uintptr_t top;

		/* What is left of that is no less than half a usual one. */
		if (size > goro_stack_size() / 2)
			goro_ext_of(gp)->stack_class = goro_stack_class(goro_stack_size() + size);
		goro_stack_alloc(mp->p, gp);
		san_fiber_create(&gp->san);
		top = (gp->stack_hi - goro_g_stack_colour(gp) - size) & ~(uintptr_t)15;
		gp->arg = (void *)top;
		goro_g_prepare_stack(gp, top, goro_main);
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
	struct g *next = pick(pp, NULL);

	record_yield(pp);
	if (next)
		g_set_running(mp, next);
	else if (atomic_load_explicit(&pp->attention, memory_order_relaxed) ||
		 atomic_load_explicit(&sched.runq_len, memory_order_relaxed))
		next = &mp->g0;
	if (next) {
		count_park(gp);
		mp->post = POST_YIELD;
		mp = switch_only(mp, gp, next);
		/* Mostly the one before has yielded, too. */
		if (likely(mp->post == POST_YIELD))
			after_yield(mp);
		else
			after_switch(mp);
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

size_t goro_count_now(void)
{
	uint64_t ended = 0, started = 1;

	/* Ended first: one that is started and ends in between is not counted negative. */
	for (int i = 0; i < sched.nprocs; i++)
		ended += __atomic_load_n(&goro_ps[i]->nexit, __ATOMIC_ACQUIRE);
	for (int i = 0; i < sched.nprocs; i++)
		started += __atomic_load_n(&goro_ps[i]->nspawn, __ATOMIC_ACQUIRE);
	return started - ended;
}

/* Between enter() and leave() nobody moves counters from one P to another. */
size_t goro_count(void)
{
	struct m *mp = enter();
	size_t n = goro_count_now();

	leave(mp);
	return n;
}

int goro_maxprocs(void)
{
	leave(enter());
	return sched.nprocs;
}
