/* SPDX-License-Identifier: MIT */
/* no_spawn_site.h - runtime/record.h without where a goroutine was started: to measure that. */
#ifndef GORO_NO_SPAWN_SITE_H
#define GORO_NO_SPAWN_SITE_H

#define record_new record_new_with_its_site
#include "record.h"
#undef record_new

static inline void record_new(struct g *gp, uintptr_t pc)
{
	(void)pc;
	gp->wait_object = NULL;
	gp->waiting = NULL;
	atomic_store_explicit(&gp->flags, 0, memory_order_relaxed);
	g_set_packed(gp, GORO_STATE_NEW);
}

#endif /* GORO_NO_SPAWN_SITE_H */
