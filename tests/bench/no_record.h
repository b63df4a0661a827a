/* SPDX-License-Identifier: MIT */
/*
 * no_record.h - runtime/record.h for a runtime that tells observers nothing. Only for measuring
 * what it costs to tell them.
 */
#ifndef GORO_RECORD_H
#define GORO_RECORD_H

static inline void g_set_packed(struct g *gp, uint32_t packed)
{
	(void)gp, (void)packed;
}

static inline void record_new(struct g *gp, uintptr_t pc)
{
	(void)pc;
	atomic_store_explicit(&gp->flags, 0, memory_order_relaxed); /* the flags are no record */
}

static inline void record_running(struct m *mp, struct g *gp)
{
	(void)mp, (void)gp;
}

static inline void count_park(struct g *gp)
{
	(void)gp;
}

static inline void record_park(struct g *gp, void *object)
{
	(void)gp, (void)object;
}

static inline void record_parked(struct g *gp, uint32_t packed)
{
	(void)gp, (void)packed;
}

static inline void record_yield(struct p *pp)
{
	(void)pp;
}

static inline void record_mark_due(struct p *pp)
{
	(void)pp;
}

#endif /* GORO_RECORD_H */
