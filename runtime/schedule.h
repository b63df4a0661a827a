/* SPDX-License-Identifier: MIT */
/*
 * schedule.h - the scheduler's own functions, for the files that are it: idle.c sched.c start.c.
 */
#ifndef GORO_SCHEDULE_H
#define GORO_SCHEDULE_H

#include "switch.h"

/* sched.lock held by the caller of all of these */
struct g *goro_global_get(struct p *pp);
void goro_idle_p_put(struct p *pp);
struct p *goro_idle_p_get(void);
void goro_idle_m_remove(struct m *mp);
void goro_check_deadlock(void);

/* not held */
void goro_p_acquire(struct m *mp, struct p *pp);
void goro_m_init(struct m *mp);
void goro_schedule(struct m *mp) __attribute__((noreturn));
void goro_g0_main(void *unused);

#endif /* GORO_SCHEDULE_H */
