/* SPDX-License-Identifier: MIT */
/*
 * bias.c - giving a lock to one P, and taking it back: see bias.h.
 */
#include "bias.h"

/* Only the owner of a P writes its counters, and others may read them. */
static void count_one(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

/*
 * The lock was biased to who has this token; the word is 1 now, so nobody else comes in, and we
 * hold it once its P is not inside.
 */
static void undo(const uint32_t *l, uint32_t token)
{
	struct p *pp = goro_ps[(token >> 1) - 1];

	/*
	 * Our exchange is before this, and so is seen by whoever looks at the word after it. Where
	 * the kernel did it once and does it no more (a sandbox that came later), nobody can be
	 * asked; but no processor keeps a store to itself for a millisecond.
	 */
	if (unlikely(!os_membarrier()))
		os_sleep(GORO_MILLISECOND);
	/* Acquire: what it did inside. It may have lost its core there. */
	for (uint32_t i = 0; atomic_load_explicit(&pp->inside, memory_order_acquire) == l; i++) {
		if (i < 100)
			cpu_relax();
		else if (i < 120)
			os_sched_yield();
		else
			os_sleep(50 * GORO_MICROSECOND);
	}
}

bool goro_bias_lock_slow(uint32_t *l, uint32_t old)
{
	struct p *pp = getm()->p;

	if (old == 1)
		old = goro_lock_object_slow(l);
	/* If it is biased to us we are not inside: who is does not come here. */
	if (!old || old == bias_token(pp))
		return false;
	undo(l, old);
	count_one(&pp->nrevoke);
	return true;
}

void goro_bias_give(struct p *pp, uint32_t *l)
{
	bias_break_row(pp, l);
	if (unlikely(!sched.have_membarrier)) {
		unlock_always(l);
		return;
	}
	count_one(&pp->nbias);
	/* Release, as any unlock: who takes it from us comes after what was done under it. */
	__atomic_store_n(l, bias_token(pp), __ATOMIC_RELEASE);
}
