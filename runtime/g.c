/* SPDX-License-Identifier: MIT */
/*
 * g.c - the records of goroutines, and the first frame on a new stack.
 *
 * Records lie in chunks that are never freed and never move, so that anybody (an observer, a crash
 * handler, a debugger) may look at any of them at any time. Free ones are kept per P.
 */
#include <string.h>

#include "switch.h"

uint64_t g_chunks[G_CHUNKS_MAX];

extern char goro_entry_start[];

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
void goro_g_chunk_add(void)
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

void goro_g_refill(struct p *pp)
{
	lock_always(&sched.lock);
	if (!sched.gfree)
		goro_g_chunk_add();
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

void goro_g_flush(struct p *pp)
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

/* Make `gp` look as if it had switched away just before it calls fn on an empty stack. */
void goro_g_prepare_stack(struct g *gp, uintptr_t top, void (*fn)(void *))
{
	struct switch_frame *frame;

	top = (top & ~(uintptr_t)15) - 16; /* a zero where the return address would be */
	frame = (struct switch_frame *)(top - sizeof(*frame));
	*(uintptr_t *)top = 0;
	switch_frame_init(frame, fn, (uintptr_t)goro_entry_start);
	g_set_sp(gp, (uintptr_t)frame);
}

/*
 * The top of a stack is not always the same address modulo a page: else the hottest lines of all
 * stacks would fall into the same few sets of the cache.
 */
uintptr_t goro_g_stack_colour(const struct g *gp)
{
	return (gp->id & 15) * CACHE_LINE;
}

void goro_g_give_stack(struct p *pp, struct g *gp)
{
	goro_stack_alloc(pp, gp);
	san_fiber_create(&gp->san);
	goro_g_prepare_stack(gp, gp->stack_hi - goro_g_stack_colour(gp), goro_main);
}
