/* SPDX-License-Identifier: MIT */
/*
 * stack.c - goroutine stacks: fixed slots of address space, of which only touched pages cost
 * memory.
 *
 * Slots are cut from arenas of 64 MiB that are reserved without being committed and without huge
 * pages (one huge page would give each idle stack 2 MiB). The lowest 16 KiB of a slot are a guard:
 * touching them is reported as a stack overflow of that goroutine. Where the kernel can, the guard
 * is a mark in the page table (MADV_GUARD_INSTALL, Linux 6.13), which needs no mapping of its own;
 * else PROT_NONE for as long as the process is far from its limit of mappings, then no guard.
 *
 * The first some hundred are PROT_NONE all the same, for the sake of gdb's gcore: it reads a
 * mapping by the MiB and gives it up at the first byte that it cannot read, so that behind a mark
 * nothing gets into its core file. A mapping that nobody may read it passes over. So each of these
 * stacks is a mapping, without marks in it or in the MiB behind it. It takes 2.5 us rather than
 * 0.65 to make such a guard, the two mappings lengthen a fork by 2 us, and a proof's pause by 3,
 * which is why there are not more of them; a run that is free as a whole gives them back.
 *
 * The default slot is 128 KiB, musl's size of a thread stack. 256 KiB would do nothing for an idle
 * goroutine but double what its page table costs: a page of it per 2 MiB.
 *
 * Free stacks are kept warm, last in first out: by P without a lock, then in a depot. They are
 * chained through their top word, on a page that was touched before anyway. What nobody has wanted
 * for a while loses its memory: see stack.h and scavenge.c.
 *
 * Slots that are not on a chain are handed to a P by the run of 2 MiB, which is what one page of a
 * page table maps: two workers that start goroutines do not meet in the kernel's lock for it, nor
 * in ours, which is not held over a system call for a stack. The guard is made when a slot is first
 * taken.
 *
 * A goroutine may ask for another size. Sizes are powers of two, a class each: with a depot and
 * arenas of its own, but only the default has a cache by P. Those of more than a run are cut one
 * after the other from an arena that is theirs alone.
 *
 * Rejected: growing by copying (C has pointers into its stack), growing on fault (the address space
 * behind must be reserved all the same), one mmap per stack (two mappings each: 32,000 goroutines
 * and the process is at vm.max_map_count).
 *
 * Of the 2.5 us to start a goroutine on a stack that was never used, 1.3 are the kernel's for the
 * fault on its first page (to find, charge and map one; to zero it is a tenth, unless the host must
 * first give it to a virtual machine: then it is most), 0.7 for the guard, and the rest is ours.
 * Two threads in different runs do not slow each other down. Tried for it, and dropped:
 *   - populating pages ahead (MADV_POPULATE_WRITE): 1.7 us each, also of 500 in one
 *     process_madvise(); what the trap cost goes into finding the page once more;
 *   - guards of many slots in one process_madvise(): 0.58 us each rather than 0.65; the walk of the
 *     page table is the cost, not the call. A guard of one page saves 0.1, and is jumped over;
 *   - marking a whole arena as guard and unmarking what is used: a mark costs 20 ns and there are
 *     32 of them to a slot;
 *   - making the guard only when a goroutine goes deep: nothing tells us. The pages above it are
 *     filled in by the kernel without a word, and what would make it ask (userfaultfd) needs a
 *     permission, and a thread that answers at each first touch (cold.c has both, when asked);
 *   - guards that gcore can read but the program cannot, and that are no mappings (write protection
 *     by userfaultfd): a forked child would have none, and cold.c has the only one there can be;
 *   - no guard at all, which would be worth 0.65 us of 2.5: the fault alone remains most of it;
 *   - two goroutines in one page: C stacks do not move, so the second half cannot be lent.
 */
#include "stack.h"

enum {
	CACHE_MAX = 64,
	CACHE_BYTES = 8 * 1024 * 1024, /* and no more than this, should all have been deep */
	MAPPINGS_SHARE = 256,	       /* two mappings to a guard: a 128th of vm.max_map_count */
};

#if GORO_ASAN || GORO_TSAN
enum { DEFAULT_SIZE = 512 * 1024 }; /* instrumented frames are several times as big */
#else
enum { DEFAULT_SIZE = 128 * 1024 };
#endif

struct stack_class goro_stack_classes[NCLASSES];

static struct {
	size_t slot_size; /* the default's */
	uint32_t slot_class;
	uint32_t cache_max;
	uint32_t mapped, most_mapped; /* guards that are mappings, and may be */
	int64_t ask_mappings;	      /* when to see again how many may be */
} stacks;

/* A bit for each 64 MiB of the address space that is an arena. */
static uint64_t arena_map[((uint64_t)1 << 48) / ARENA_SIZE / 64];

void goro_stack_init(size_t size)
{
	size_t fit;

	if (!size)
		size = DEFAULT_SIZE;
	while (stack_slot(stacks.slot_class) < size)
		stacks.slot_class++;
	stacks.slot_size = stack_slot(stacks.slot_class);
	fit = CACHE_BYTES / stacks.slot_size;
	fit = fit < CACHE_MAX ? fit : CACHE_MAX;
	stacks.cache_max = fit > 2 ? (uint32_t)fit : 2;
	stacks.most_mapped = UINT32_MAX;
}

/*
 * A program that has many mappings of its own shall keep what is left. To count them takes 0.3 us
 * for each, so that is done once for all that start at the same time, and never again where there
 * are many.
 */
static uint32_t most_mapped(void)
{
	uint32_t ret = __atomic_load_n(&stacks.most_mapped, __ATOMIC_RELAXED), most;
	int64_t now = os_now();

	if (now < __atomic_load_n(&stacks.ask_mappings, __ATOMIC_RELAXED))
		return ret;
	most = os_most_mappings();
	ret = os_count_mappings(most / 8) < most / 8 ? most / MAPPINGS_SHARE : 0;
	__atomic_store_n(&stacks.most_mapped, ret, __ATOMIC_RELAXED);
	__atomic_store_n(&stacks.ask_mappings, now + 10 * GORO_MILLISECOND, __ATOMIC_RELAXED);
	return ret;
}

static bool may_map(uint32_t n)
{
	uint32_t all = __atomic_add_fetch(&stacks.mapped, n, __ATOMIC_RELAXED);

	if (all <= __atomic_load_n(&stacks.most_mapped, __ATOMIC_RELAXED) && all <= most_mapped())
		return true;
	__atomic_fetch_sub(&stacks.mapped, n, __ATOMIC_RELAXED);
	return false;
}

void goro_stack_unmapped(uint64_t slots)
{
	__atomic_fetch_sub(&stacks.mapped, (uint32_t)__builtin_popcountll(slots), __ATOMIC_RELAXED);
}

/* The classes that a goroutine may ask for are numbered from 1: 0 is the default. */
uint32_t goro_stack_class(size_t size)
{
	uint32_t i = 0;

	if (!size)
		return 0;
	if (size > stack_slot(NCLASSES - 1) - GUARD_SIZE)
		goro_panic("goro_go_with: a stack of %zu bytes; the biggest has %zu", size,
			   stack_slot(NCLASSES - 1) - GUARD_SIZE);
	while (stack_slot(i) - GUARD_SIZE < size)
		i++;
	return i == stacks.slot_class ? 0 : i + 1;
}

size_t goro_stack_size(void)
{
	return stacks.slot_size - GUARD_SIZE;
}

/* Is this one of our stacks? Not so main's, and those of threads. */
bool goro_stack_is_ours(uintptr_t hi)
{
	uint64_t i = (hi - 1) / ARENA_SIZE;

	return i / 64 < sizeof(arena_map) / sizeof(arena_map[0]) &&
	       __atomic_load_n(&arena_map[i / 64], __ATOMIC_RELAXED) >> i % 64 & 1;
}

/* Its address is a multiple of ARENA_SIZE. NULL: no address space. */
static void *arena_reserve(size_t size)
{
	void *arena = os_reserve_aligned(size, ARENA_SIZE);

	if (!arena)
		return NULL;
	os_no_huge_pages(arena, size);
	san_root_region(arena, size);
	for (uint64_t i = (uintptr_t)arena / ARENA_SIZE; size; i++, size -= ARENA_SIZE)
		__atomic_fetch_or(&arena_map[i / 64], (uint64_t)1 << i % 64, __ATOMIC_RELAXED);
	return arena;
}

/* c->lock held. An arena with something to take; NULL: no address space. */
static struct arena *find_arena(struct stack_class *c, size_t slot_size)
{
	struct arena *a;

	while ((a = c->arenas) && !a->cold_runs && !a->fresh_runs) {
		c->arenas = a->next;
		a->listed = false;
	}
	if (a)
		return a;
	a = arena_reserve(ARENA_SIZE);
	if (a) {
		a->fresh_runs = ~(uint32_t)0;
		/* The arena that lies below this one may end with a stack. */
		if (__atomic_load_n(&stacks.mapped, __ATOMIC_RELAXED) <
		    __atomic_load_n(&stacks.most_mapped, __ATOMIC_RELAXED))
			os_guard_by_mapping((char *)a + GUARD_SIZE, slot_size - GUARD_SIZE);
		stack_arena_list(c, a);
	}
	return a;
}

/*
 * c->lock held. Which guards of a fresh run shall be mappings. A stack must also have one above, so
 * the first of a run is one for the sake of the run before.
 */
static uint64_t mapped_guards(struct arena *a, uint32_t run, uint64_t slots)
{
	uint32_t bit = (uint32_t)1 << run, ends = a->fresh_runs | a->mapped_runs;

	if ((run == RUNS - 1 || ends & bit << 1) &&
	    may_map((uint32_t)__builtin_popcountll(slots))) {
		a->mapped_runs |= bit;
		return slots;
	}
	return a->mapped_runs & bit >> 1 ? 1 : 0;
}

/* c->lock held. Slots that nobody uses: cold ones first, they have guards already. */
static bool take_run(struct stack_class *c, size_t slot_size, struct stack_run *to)
{
	struct arena *a;
	uint32_t run;

	do { /* slots of 2 MiB: the first run has none but the arena's own */
		a = find_arena(c, slot_size);
		if (!a)
			return false;
		to->guarded = a->cold_runs;
		run = (uint32_t)__builtin_ctz(a->cold_runs ? a->cold_runs : a->fresh_runs);
		to->base = (uintptr_t)a + (uintptr_t)run * RUN_SIZE;
		if (to->guarded) {
			to->slots = a->cold[run];
			a->cold[run] = 0;
			a->cold_runs &= ~((uint32_t)1 << run);
		} else {
			to->slots = stack_run_slots(slot_size, run);
			to->mapped = mapped_guards(a, run, to->slots);
			a->fresh_runs &= ~((uint32_t)1 << run);
		}
	} while (!to->slots);
	return true;
}

static uintptr_t guard(uintptr_t slot, size_t slot_size, bool mapped)
{
	if (!mapped || !os_guard_by_mapping((void *)slot, GUARD_SIZE))
		os_guard((void *)slot, GUARD_SIZE);
	san_stack_new(slot + GUARD_SIZE, slot + slot_size);
	return slot + slot_size;
}

uintptr_t goro_worker_stack(void)
{
	char *slot = os_reserve(GUARD_SIZE + WORKER_STACK);

	return slot ? guard((uintptr_t)slot, GUARD_SIZE + WORKER_STACK, true) - WORKER_STACK : 0;
}

static uintptr_t take_slot(struct stack_run *run, size_t slot_size)
{
	uint64_t bit = run->slots & -run->slots;
	uintptr_t slot = run->base + (uintptr_t)__builtin_ctzll(bit) * slot_size, hi;

	run->slots &= ~bit;
	hi = run->guarded ? slot + slot_size : guard(slot, slot_size, run->mapped & bit);
	if (unlikely(goro_introspect.cold_arenas))
		goro_cold_first_page(hi);
	return hi;
}

/* c->lock held. One of more than a run. */
static uintptr_t take_big(struct stack_class *c, size_t slot_size)
{
	uintptr_t slot;

	if (c->big == c->big_end) {
		size_t size = slot_size > ARENA_SIZE ? slot_size : ARENA_SIZE;
		void *arena = arena_reserve(size);

		if (!arena)
			return 0;
		c->big = (uintptr_t)arena;
		c->big_end = c->big + size;
	}
	slot = c->big;
	c->big += slot_size;
	return guard(slot, slot_size, may_map(1));
}

GORO_NORETURN static void goro_stack_none(size_t slot_size)
{
	goro_throw("out of memory: no address space for another stack of %zu bytes; there are %zu "
		   "goroutines. Is there a limit (ulimit -v, vm.overcommit_memory=2)? "
		   "GORO_STACK sets the size",
		   slot_size, goro_count_now());
}

/* No room: are there stacks on their way back? sysmon needs nothing of ours for that. */
static void wait_for_limbo(struct stack_class *c, size_t slot_size)
{
	if (!__atomic_load_n(&c->returning, __ATOMIC_ACQUIRE))
		goro_stack_none(slot_size);
	os_sleep(GORO_MILLISECOND);
}

/* A slot from the class's depot, or a new one. */
static uintptr_t alloc_locked(struct stack_class *c, size_t slot_size)
{
	if (c->young.n)
		return stack_chain_pop(&c->young);
	if (c->old.n)
		return stack_chain_pop(&c->old);
	if (slot_size > RUN_SIZE)
		return c->bare.n ? stack_chain_pop(&c->bare) : take_big(c, slot_size);
	if (!c->run.slots && !take_run(c, slot_size, &c->run))
		return 0;
	return take_slot(&c->run, slot_size);
}

static uintptr_t alloc_from(uint32_t class)
{
	struct stack_class *c = &goro_stack_classes[class];
	uintptr_t hi;

	for (;;) {
		lock_always(&c->lock);
		hi = alloc_locked(c, stack_slot(class));
		unlock_always(&c->lock);
		if (hi)
			return hi;
		wait_for_limbo(c, stack_slot(class));
	}
}

static noinline uintptr_t refill(struct p *pp)
{
	struct stack_class *c = &goro_stack_classes[stacks.slot_class];
	struct stack_run *run = &pp->stack_run;

	if (stacks.slot_size > RUN_SIZE)
		return alloc_from(stacks.slot_class);
	for (;;) {
		bool found = true;

		if (stack_chain_len(&c->young) || stack_chain_len(&c->old)) {
			lock_always(&c->lock);
			while (c->young.n && pp->stacks.n < stacks.cache_max / 2)
				stack_chain_push(&pp->stacks, stack_chain_pop(&c->young));
			while (c->old.n && pp->stacks.n < stacks.cache_max / 2)
				stack_chain_push(&pp->stacks, stack_chain_pop(&c->old));
			unlock_always(&c->lock);
			if (pp->stacks.n)
				return stack_chain_pop(&pp->stacks);
		}
		if (!run->slots) {
			lock_always(&c->lock);
			found = take_run(c, stacks.slot_size, run);
			unlock_always(&c->lock);
		}
		if (found)
			return take_slot(run, stacks.slot_size);
		wait_for_limbo(c, stacks.slot_size);
	}
}

void goro_stack_alloc(struct p *pp, struct g *gp)
{
	size_t slot_size = stacks.slot_size;
	uintptr_t hi;

	if (unlikely(gp->ext && gp->ext->stack_class)) {
		slot_size = stack_slot(gp->ext->stack_class - 1);
		hi = alloc_from(gp->ext->stack_class - 1);
	} else {
		hi = likely(pp->stacks.n) ? stack_chain_pop(&pp->stacks) : refill(pp);
	}
	gp->stack_hi = hi;
	gp->stack_lo = hi - slot_size + GUARD_SIZE;
	san_stack_reuse(gp->stack_lo, gp->stack_hi);
}

static noinline void free_special(uintptr_t hi, size_t slot_size)
{
	struct stack_class *c = goro_stack_classes;

	for (size_t slot = SLOT_MIN; slot < slot_size; slot *= 2)
		c++;
	lock_always(&c->lock);
	stack_chain_push(&c->young, hi);
	unlock_always(&c->lock);
}

/* All but `keep` of a P's cache to the depot. */
void goro_stack_flush(struct p *pp, uint32_t keep)
{
	struct stack_class *c = &goro_stack_classes[stacks.slot_class];

	lock_always(&c->lock);
	while (pp->stacks.n > keep)
		stack_chain_push(&c->young, stack_chain_pop(&pp->stacks));
	unlock_always(&c->lock);
}

void goro_stack_free(struct p *pp, struct g *gp)
{
	uintptr_t hi = gp->stack_hi;
	size_t slot_size = hi - gp->stack_lo + GUARD_SIZE;

	gp->stack_lo = gp->stack_hi = 0;
	g_set_sp(gp, 0);
	if (unlikely(slot_size != stacks.slot_size)) {
		free_special(hi, slot_size);
		return;
	}
	stack_chain_push(&pp->stacks, hi);
	if (unlikely(pp->stacks.n > stacks.cache_max))
		goro_stack_flush(pp, stacks.cache_max / 2);
}

bool goro_stack_guard_hit(const struct g *gp, uintptr_t addr)
{
	return gp->stack_lo && addr < gp->stack_lo && addr >= gp->stack_lo - GUARD_SIZE;
}
