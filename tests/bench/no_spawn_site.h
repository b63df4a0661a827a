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
	gp->park_time = coarse_now();
	atomic_store_explicit(&gp->status, GORO_STATE_NEW, memory_order_release);
}

#endif /* GORO_NO_SPAWN_SITE_H */
