/* SPDX-License-Identifier: MIT */
/*
 * scavenge.c - the memory of free stacks and records goes back to the kernel, some seconds after
 * nobody wants it any more. All of it is done by sysmon, a little at every tick.
 *
 * Every period what lies in a depot grows a generation older (see stack.h), idle Ps hand in what
 * they have cached, and what was not wanted for one to two periods is given back. A run of slots
 * that is free as a whole loses its guards too: then Linux (6.14) frees the page table under it,
 * which alone is 256 bytes a goroutine. So a burst of a million goroutines leaves behind the
 * address space that it took, and no memory. Work that comes and goes within a period keeps its
 * warm stacks.
 *
 * Rejected: giving back when a goroutine ends (a system call an end, and a fault for the next one);
 * MADV_FREE (resident memory stays high until the machine is short of it, so neither the user nor
 * an observer can tell it from a leak); unmapping arenas (one parked goroutine keeps 64 MiB, and
 * observers may be reading there).
 */
#include "stack.h"
#include "switch.h"

enum {
	STACKS_A_TURN = 1024,
	RUNS_A_TURN = 32,
};

#define PERIOD_NS GORO_SECOND

static struct arena *limbo_arenas; /* with slots in limbo, all of one class */
static int64_t next_period;
static int quiet_periods;
static uint64_t seen_nswitch;

static struct arena *arena_of(uintptr_t hi)
{
	return (struct arena *)((hi - 1) & ~(uintptr_t)(ARENA_SIZE - 1));
}

static void still_returning(struct stack_class *c, uint32_t n)
{
	__atomic_fetch_sub(&c->returning, n, __ATOMIC_RELEASE);
}

/* From the chain into bitmaps by arena, so that neighbours go together. */
static void sort_limbo(struct stack_class *c, size_t slot_size)
{
	for (int i = 0; i < STACKS_A_TURN && c->limbo.n; i++) {
		uintptr_t hi = stack_chain_pop(&c->limbo);
		struct arena *a = arena_of(hi);
		uint32_t run = (uint32_t)((hi - 1 - (uintptr_t)a) / RUN_SIZE);
		uint64_t slot = ((hi - 1) % RUN_SIZE) / slot_size;

		if (!a->limbo_runs) {
			a->limbo_next = limbo_arenas;
			limbo_arenas = a;
		}
		a->limbo_runs |= (uint32_t)1 << run;
		a->limbo[run] |= (uint64_t)1 << slot;
	}
}

/* Guards stay where they are, so neighbours go in one call. */
static void discard_slots(uintptr_t base, uint64_t slots, size_t slot_size)
{
	while (slots) {
		int first = __builtin_ctzll(slots);
		uint64_t others = ~(slots >> first);
		int n = others ? __builtin_ctzll(others) : 64 - first;
		uintptr_t at = base + (uintptr_t)first * slot_size;

		os_discard((void *)(at + GUARD_SIZE), (uintptr_t)n * slot_size - GUARD_SIZE);
		slots &= first + n < 64 ? ~(uint64_t)0 << (first + n) : 0;
	}
}

/* Nobody uses any slot of the run: its page table shall go, too. False: this kernel cannot. */
static bool release_run(struct arena *a, uint32_t run, size_t slot_size, bool mapped)
{
	uintptr_t base = (uintptr_t)a + (uintptr_t)run * RUN_SIZE;
	size_t keep = run ? 0 : slot_size; /* the arena's own */

	return os_unguard_discard((void *)(base + keep), RUN_SIZE - keep, mapped);
}

static void return_run(struct stack_class *c, struct arena *a, uint32_t run, size_t slot_size)
{
	uint32_t bit = (uint32_t)1 << run;
	uint64_t slots = a->limbo[run], free;
	uint32_t n = (uint32_t)__builtin_popcountll(slots);
	bool whole, mapped;

	a->limbo[run] = 0;
	a->limbo_runs &= ~bit;
	lock_always(&c->lock);
	free = slots | a->cold[run];
	whole = free == stack_run_slots(slot_size, run);
	mapped = a->mapped_runs & bit;
	if (whole) { /* nobody shall take one of them meanwhile */
		a->cold[run] = 0;
		a->cold_runs &= ~bit;
	}
	unlock_always(&c->lock);
	if (whole && release_run(a, run, slot_size, mapped)) {
		lock_always(&c->lock);
		a->fresh_runs |= bit;
		a->mapped_runs &= ~bit;
		if (mapped)
			goro_stack_unmapped(free);
	} else {
		discard_slots((uintptr_t)a + (uintptr_t)run * RUN_SIZE, slots, slot_size);
		lock_always(&c->lock);
		a->cold[run] |= whole ? free : slots;
		a->cold_runs |= bit;
	}
	stack_arena_list(c, a);
	unlock_always(&c->lock);
	still_returning(c, n);
}

/* The big ones stay on a chain, through the page that the chain needs. */
static void return_big(struct stack_class *c, size_t slot_size)
{
	for (int i = 0; i < RUNS_A_TURN && c->limbo.n; i++) {
		uintptr_t hi = stack_chain_pop(&c->limbo);
		uintptr_t lo = hi - slot_size + GUARD_SIZE;

		os_discard((void *)lo, hi - lo);
		lock_always(&c->lock);
		stack_chain_push(&c->bare, hi);
		unlock_always(&c->lock);
		still_returning(c, 1);
	}
}

/* True: there is more to do. */
static bool return_stacks(uint32_t class)
{
	struct stack_class *c = &goro_stack_classes[class];
	size_t slot_size = stack_slot(class);

	if (!__atomic_load_n(&c->returning, __ATOMIC_RELAXED))
		return false;
	if (slot_size > RUN_SIZE) {
		return_big(c, slot_size);
	} else if (c->limbo.n) {
		sort_limbo(c, slot_size);
	} else {
		for (int i = 0; i < RUNS_A_TURN && limbo_arenas; i++) {
			struct arena *a = limbo_arenas;

			if (a->limbo_runs)
				return_run(c, a, (uint32_t)__builtin_ctz(a->limbo_runs), slot_size);
			if (!a->limbo_runs)
				limbo_arenas = a->limbo_next;
		}
	}
	return true;
}

/* A period is over. True: there was something. */
static bool age_stacks(struct stack_class *c)
{
	bool any;

	lock_always(&c->lock);
	any = c->old.n || c->young.n;
	stack_chain_set(&c->limbo, c->old);
	stack_chain_set(&c->old, c->young);
	stack_chain_set(&c->young, (struct stack_chain){ 0 });
	__atomic_store_n(&c->returning, c->limbo.n, __ATOMIC_RELAXED);
	unlock_always(&c->lock);
	return any;
}

/* Idle Ps keep nothing for themselves. Nobody takes one while we hold the lock. */
static void flush_idle(void)
{
	lock_always(&sched.lock);
	for (struct p *pp = sched.idle_p; pp; pp = pp->link) {
		san_acquire(pp);
		if (pp->stacks.n)
			goro_stack_flush(pp, 0);
		goro_g_flush_locked(pp);
		san_release(pp);
	}
	unlock_always(&sched.lock);
}

/* Has anything run since we looked last? */
static bool something_ran(void)
{
	uint64_t n = 0;
	bool ran;

	for (int i = 0; i < sched.nprocs; i++)
		n += atomic_load_explicit(&goro_ps[i]->nswitch, memory_order_relaxed);
	ran = n != seen_nswitch;
	seen_nswitch = n;
	return ran;
}

/* Called at every tick. Returns when there is more to do; INT64_MAX: when something has run. */
int64_t goro_scavenge(int64_t now, bool idle)
{
	int64_t next = goro_trim_step(now, idle);
	bool any;

	for (uint32_t i = 0; i < NCLASSES; i++)
		if (return_stacks(i))
			return now;
	if (goro_g_return())
		return now;
	if (now < next_period) {
		if (quiet_periods > 1 && something_ran())
			quiet_periods = 0;
		return quiet_periods > 1 || next < next_period ? next : next_period;
	}
	next_period = now + PERIOD_NS;
	flush_idle();
	any = goro_trim_begin(now);
	any |= goro_g_age();
	for (uint32_t i = 0; i < NCLASSES; i++)
		any |= age_stacks(&goro_stack_classes[i]);
	quiet_periods = any || something_ran() ? 0 : quiet_periods + 1;
	return next_period;
}
