/* SPDX-License-Identifier: MIT */
/*
 * schedule.h - the scheduler's own functions, for the files that are it: idle.c sched.c start.c
 * locked.c sysmon.c world.c
 * foreign.c.
 */
#ifndef GORO_SCHEDULE_H
#define GORO_SCHEDULE_H

#include "switch.h"

/* sched.lock held by the caller of all of these */
struct g *goro_global_get(struct p *pp);
struct g *goro_global_take(void); /* the first; NULL: it is empty */
void goro_idle_p_put(struct p *pp);
struct p *goro_idle_p_get(void);
void goro_idle_m_remove(struct m *mp);
/* True: all are asleep, as far as we know; ask again in sched.look_again ns. */
bool goro_check_deadlock(void);
struct m *goro_m_new(void);	/* NULL: there are too many */
void goro_m_free(struct m *mp); /* its thread does not touch it any more */
void goro_m_stop(struct m *mp); /* from here on it may be handed a P, see locked.c */
int goro_m_start_thread(struct m *mp);
/* These release it. Give pp away: to a sleeping worker or a new one, which runs `next` first if
 * there is one; to whoever may run `next`; or to nobody, if nobody needs it. */
void goro_start_m(struct p *pp, bool spinning, struct g *next);
void goro_start_stranded(void);
void goro_pass_p(struct p *pp, struct g *next);
void goro_release_p(struct m *mp);

/* not held */
struct p *goro_p_new(uint32_t id); /* NULL: no memory */
/* From a worker that is in the program's code: its P; or what is in front of it, or NULL. */
bool goro_retake(struct p *pp);
struct g *goro_take_next_of(struct p *pp);
/*
 * Is what is in front of pp better left there? Who was woken for a mutex, where whoever woke it
 * goes on to take mutexes in a loop, would only pass the mutex's memory to and fro between two
 * cores.
 */
bool goro_next_stays(struct p *pp, const struct g *next, int64_t now);
static inline bool goro_next_is_left(struct p *pp, int64_t now)
{
	return atomic_load_explicit(&pp->left_until, memory_order_relaxed) > now;
}
void goro_p_acquire(struct m *mp, struct p *pp);
void goro_m_init(struct m *mp);
struct m *goro_foreign_attach(void);
void goro_thread_ends_init(void);
bool goro_foreign_may_come(void); /* a thread that is not ours, and may call us yet */
void goro_schedule(struct m *mp); /* returns when the thread is to end */
void goro_locked_yield(struct m *mp, struct g *gp);
struct g *goro_locked_next(struct m *mp); /* NULL: the thread ends */
struct g *goro_find_now(struct m *mp);	  /* with a P: what runs next, without waiting */
void goro_g0_main(void *unused);

#endif /* GORO_SCHEDULE_H */
