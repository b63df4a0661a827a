/* SPDX-License-Identifier: MIT */
/*
 * cold_pass.c - who is parked for so long that his stack is to be cold. See cold.c.
 *
 * sysmon looks at a part of all goroutines at a time, and spends a fiftieth of its life with that.
 * A pass that found nobody says when the next one is worth it.
 */
#include "cold.h"

enum {
	RECORDS_A_TURN = 1024,
	COLD_A_TURN = 256, /* a microsecond or two each */
	PASS_SHARE = 50,   /* of the time, to look at all goroutines */
};

/* The table of its copies, for us and for observers. False: no memory. */
static bool make_entries(struct arena *a, size_t slot_size)
{
	uint32_t n = goro_introspect.cold_arena_count;
	size_t slots = ARENA_SIZE / slot_size - 1;
	uint64_t *copies = n < COLD_ARENAS ? os_reserve(slots * sizeof(*copies)) : NULL;

	if (!copies)
		return false;
	goro_cold.arenas[n] = (struct goro_cold_arena){
		.lo = (uintptr_t)a + slot_size,
		.hi = (uintptr_t)a + ARENA_SIZE,
		.copies = (uintptr_t)copies,
		.slot_size = slot_size,
	};
	goro_cold.arena_of[n] = a;
	a->slot_size = slot_size;
	/* Before the first fault: the handler finds it there. */
	__atomic_store_n(&a->copies, (_Atomic uint64_t *)copies, __ATOMIC_RELEASE);
	__atomic_store_n(&goro_introspect.cold_arena_count, n + 1, __ATOMIC_RELEASE);
	return true;
}

/* Not now: an observer has marks of its own there. Not at all: there are too many mappings. */
static enum cold_state watch(struct arena *a, size_t slot_size)
{
	int err = a->copies || make_entries(a, slot_size) ? 0 : -ENOMEM;

	if (!err)
		err = os_faults_watch((char *)a + slot_size, ARENA_SIZE - slot_size);
	return !err ? COLD_WATCHED : err == -EBUSY ? COLD_NOT_YET : COLD_NEVER;
}

/* A goroutine as it is parked, and its stack. */
struct parked {
	uint32_t seq;
	uintptr_t hi;
	size_t slot_size;
};

static bool is_parked(struct g *gp)
{
	return GORO_STATUS_STATE(g_status(gp)) == GORO_STATE_WAITING;
}

/* It may run meanwhile, or end and be another: then the number of its park has changed. */
static bool see(struct g *gp, struct parked *p)
{
	p->seq = __atomic_load_n(&gp->park_seq, __ATOMIC_ACQUIRE);
	if (!is_parked(gp))
		return false;
	p->hi = __atomic_load_n(&gp->stack_hi, __ATOMIC_ACQUIRE);
	p->slot_size = p->hi - __atomic_load_n(&gp->stack_lo, __ATOMIC_ACQUIRE) + GUARD_SIZE;
	return is_parked(gp) && __atomic_load_n(&gp->park_seq, __ATOMIC_ACQUIRE) == p->seq &&
	       goro_stack_is_ours(p->hi) && p->slot_size <= RUN_SIZE;
}

/* When may it be cold? INT64_MAX: not while it is parked as it is. */
static int64_t due_of(struct g *gp, const struct parked *p)
{
	int64_t due = (int64_t)g_since(gp) + goro_cold.after;
	_Atomic uint64_t *entry = cold_entry_of(cold_arena_at(p->hi - 1), p->hi - 1);
	uint64_t e = entry ? atomic_load_explicit(entry, memory_order_relaxed) : 0;
	int64_t until = (int64_t)(e >> COLD_NOTE_BITS) * GORO_MILLISECOND;

	if (cold_is_copy(e) || e == cold_note_park(p->seq))
		return INT64_MAX;
	return (e & COLD_NOTE_PARK) == COLD_NOTE_TIME && until > due ? until : due;
}

static void look_at(struct g *gp, int64_t now)
{
	struct parked p;
	struct arena *a;
	int64_t due;

	if (!see(gp, &p))
		return;
	a = cold_arena_at(p.hi - 1);
	due = a->watch == COLD_NEVER ? INT64_MAX : due_of(gp, &p);
	if (due <= now && a->watch == COLD_NOT_YET)
		a->watch = watch(a, p.slot_size);
	if (due <= now && a->watch == COLD_WATCHED) {
		goro_cold.taken++;
		goro_trim_candidate(gp, p.seq, true);
		return;
	}
	if (due <= now)
		due = a->watch == COLD_NEVER ? INT64_MAX : now + goro_cold.after;
	goro_cold.due = due < goro_cold.due ? due : goro_cold.due;
}

static bool something_ran(void)
{
	uint64_t n = 0;
	bool ran;

	for (int i = 0; i < sched.nprocs; i++)
		n += atomic_load_explicit(&goro_ps[i]->nswitch, memory_order_relaxed);
	ran = n != goro_cold.seen_nswitch;
	goro_cold.seen_nswitch = n;
	return ran;
}

static void look_at_some(int64_t now)
{
	int64_t start = os_now();

	goro_cold.taken = 0;
	for (int i = 0;
	     i < RECORDS_A_TURN && goro_cold.at < goro_cold.count && goro_cold.taken < COLD_A_TURN;
	     i++)
		look_at(goro_g_by_index(goro_cold.at++), now);
	goro_trim_flush();
	goro_cold.cost += os_now() - start;
}

/* Called by sysmon at every tick. Returns when there is more to do. */
int64_t goro_cold_tick(int64_t now)
{
	if (!goro_cold.after)
		return INT64_MAX;
	if (something_ran() && goro_cold.next_pass > now + goro_cold.after)
		goro_cold.next_pass = now + goro_cold.after;
	if (goro_cold.at == goro_cold.count) {
		if (now < goro_cold.next_pass)
			return goro_cold.next_pass;
		goro_cold.at = 0;
		goro_cold.count = goro_g_count();
		goro_cold.cost = 0;
		goro_cold.due = INT64_MAX;
	}
	if (__atomic_exchange_n(&goro_cold.fork_lock, 1, __ATOMIC_ACQUIRE))
		return now; /* it forks */
	look_at_some(now);
	unlock_always(&goro_cold.fork_lock);
	if (goro_cold.at < goro_cold.count)
		return now;
	now += PASS_SHARE * goro_cold.cost;
	goro_cold.next_pass = goro_cold.due > now ? goro_cold.due : now;
	return goro_cold.next_pass;
}
