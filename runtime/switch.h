/* SPDX-License-Identifier: MIT */
/*
 * switch.h - from one goroutine to the next: inlined where goroutines park, yield, end and are run.
 */
#ifndef GORO_SWITCH_H
#define GORO_SWITCH_H

#include "runq.h"

enum { GFREE_BATCH = 128 };

void goro_g_chunk_add(void); /* sched.lock held */
struct g *goro_g_take(void); /* sched.lock held */
void goro_g_refill(struct p *pp);
void goro_g_flush(struct p *pp);
void goro_g_flush_locked(struct p *pp); /* all; sched.lock held */
bool goro_g_age(void);
bool goro_g_return(void);
void goro_g_prepare_stack(struct g *gp, uintptr_t top, void (*fn)(void *));
uintptr_t goro_g_stack_colour(const struct g *gp);
void goro_g_give_stack(struct p *pp, struct g *gp);
void goro_main(void *unused);
void goro_after_other(struct m *mp, struct g *gp);

static inline struct g *g_alloc(struct p *pp)
{
	struct g *gp;

	if (unlikely(!pp->gfree))
		goro_g_refill(pp);
	gp = pp->gfree;
	pp->gfree = gp->link;
	pp->ngfree--;
	/* The next one is wanted soon, and may be far away. */
	__builtin_prefetch(pp->gfree, 1);
	__builtin_prefetch((char *)pp->gfree + CACHE_LINE, 1);
	if (unlikely(pp->next_id == pp->last_id)) {
		pp->next_id = atomic_fetch_add_explicit(&sched.next_id, 64, memory_order_relaxed);
		pp->last_id = pp->next_id + 64;
	}
	gp->id = pp->next_id++;
	gp->link = NULL;
	return gp;
}

static inline void g_free(struct p *pp, struct g *gp)
{
	gp->link = pp->gfree;
	pp->gfree = gp;
	if (unlikely(++pp->ngfree >= GFREE_BATCH))
		goro_g_flush(pp);
}

/*
 * Everything that belongs to a goroutine but lives in its thread moves with it. While the goroutine
 * does not run this is kept in the frame of the function that switched, on its own stack.
 */
struct thread_state {
	int saved_errno;
	void *eh_globals[2]; /* __cxa_eh_globals of C++ */
};

static inline void thread_state_save(struct m *mp, struct thread_state *s)
{
	s->saved_errno = *mp->errnop;
	if (mp->eh_globals) {
		s->eh_globals[0] = mp->eh_globals[0];
		s->eh_globals[1] = mp->eh_globals[1];
	}
}

static inline void thread_state_load(struct m *mp, const struct thread_state *s)
{
	*mp->errnop = s->saved_errno;
	if (mp->eh_globals) {
		mp->eh_globals[0] = s->eh_globals[0];
		mp->eh_globals[1] = s->eh_globals[1];
	}
}

/* Who yielded goes to the queue; but schedule() sees to one that is locked to its thread. */
static inline void after_yield(struct m *mp)
{
	struct g *gp = mp->post_g;

	if (!g_set_runnable(gp)) {
		mp->post = POST_NONE;
		runq_put(mp->p, gp);
	}
}

/* First thing on a stack that we switched to: what the one we left could not do itself. */
static __always_inline void after_switch(struct m *mp)
{
	struct g *gp = mp->post_g;

	if (likely(mp->post == POST_PARK)) {
		uint32_t *l = mp->post_lock;

		mp->post = POST_NONE;
		record_parked(gp, mp->post_state);
		if (l)
			unlock(l);
	} else {
		goro_after_other(mp, gp);
	}
}

/* switch_to() without after_switch(). */
static __always_inline struct m *switch_only(struct m *mp, struct g *from, struct g *to)
{
	struct thread_state state;

	/* All threads have them or none has, which a compiler does not know: it would write zeros
	 * here at each switch, or warn. */
	__asm__ volatile("" : "=m"(state.eh_globals));
	mp->post_g = from;
	mp->curg = to;
	thread_state_save(mp, &state);
	san_before_switch(&from->san, &to->san, to->stack_lo, to->stack_hi, mp->post == POST_DEAD);
	context_switch(&from->sp, to->sp);
	mp = getm();
	san_after_switch(&from->san);
	thread_state_load(mp, &state);
	return mp;
}

/*
 * Run `to` on this m; mp->post says what to do for `from` afterwards. Returns when somebody runs
 * `from` again, maybe on another m: that one is returned.
 */
static __always_inline struct m *switch_to(struct m *mp, struct g *from, struct g *to)
{
	mp = switch_only(mp, from, to);
	after_switch(mp);
	return mp;
}

/* Bookkeeping of "this one runs now"; gives a fresh one its stack. */
static inline void g_set_running(struct m *mp, struct g *gp)
{
	if (!gp->sp)
		goro_g_give_stack(mp->p, gp);
	record_running(mp, gp);
	/* Acquire: what sysmon read of it while it trimmed comes before what it writes now. */
	if (unlikely(is_set(&goro_trimming)))
		goro_trim_wait(gp);
}

/*
 * What the current goroutine can hand its P to without the scheduler's own stack, or NULL. Every
 * 61st time the global queue has its turn, so that a busy P cannot starve it. `parent`: who waits,
 * see runq_get_for(); NULL if the current one does not.
 */
static __always_inline struct g *pick(struct p *pp, const struct g *parent)
{
	uint64_t tick = atomic_load_explicit(&pp->nswitch, memory_order_relaxed) + 1;

	atomic_store_explicit(&pp->nswitch, tick, memory_order_relaxed);
	if (unlikely(--pp->until_turn == 0))
		return goro_turn(pp, parent);
	if (unlikely(is_set(&pp->attention)))
		return NULL;
	return runq_get_for(pp, parent);
}

/* Where a handler with SA_ONSTACK runs. The next signal would write over what waits there. */
static __always_inline bool on_signal_stack(const struct m *mp)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	return unlikely(here - (uintptr_t)mp->signal_stack < mp->signal_stack_size);
}

/*
 * A stack that was never used takes the kernel two microseconds. Who parks has the lock of what it
 * waits for until the switch is made, so with one it goes by way of g0, which gives up the lock
 * before it makes the stack. Else all others that come to the same channel waited for it, and two
 * workers started goroutines no faster than one.
 */
static __always_inline struct g *pick_or_g0(struct m *mp, const struct g *gp, bool locks)
{
	struct g *next = pick(mp->p, gp);

	if (!next) {
		if (on_signal_stack(mp))
			goro_wait_in_a_handler();
		return &mp->g0;
	}
	if (unlikely(!next->sp) && locks && !mp->p->stacks.n && !sched.solo) {
		mp->next_g = next;
		return &mp->g0;
	}
	g_set_running(mp, next);
	return next;
}

/* goro_park(), inlined where it is worth it. gp: mp->curg, which a compiler would load again. */
static __always_inline struct m *park(struct m *mp, struct g *gp, enum goro_reason reason,
				      void *object, uint32_t *l)
{
	record_park(gp, object);
	mp->post = POST_PARK;
	mp->post_state = (uint16_t)G_STATE(GORO_STATE_WAITING, reason);
	mp->post_lock = l;
	return switch_to(mp, gp, pick_or_g0(mp, gp, l));
}

static __always_inline struct m *park_locks(struct m *mp, enum goro_reason reason, void *object,
					    uint32_t **order, int norder)
{
	struct g *gp = mp->curg;

	record_park(gp, object);
	mp->post = POST_PARK_LOCKS;
	mp->post_state = (uint16_t)G_STATE(GORO_STATE_WAITING, reason);
	mp->post_order = order;
	mp->post_norder = norder;
	return switch_to(mp, gp, pick_or_g0(mp, gp, true));
}

static inline bool is_mark_due(struct p *pp)
{
	return atomic_load_explicit(&pp->mark_due, memory_order_relaxed);
}

/* A counter of a P: only its owner writes, everybody reads. */
static inline void count_up(uint64_t *counter)
{
	/* Release: who counts an end has counted its start. */
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELEASE);
}

#endif /* GORO_SWITCH_H */
