/* SPDX-License-Identifier: MIT */
/*
 * aside.c - call a function on a stack that is made for this one call.
 *
 * For what needs more of a stack than a goroutine may have left (reports), and for what must see
 * nothing of who calls (starting a thread: what is in the registers then, the C library keeps in
 * the thread's first frame for as long as it lives, and an address of a goroutine's stack among it
 * would keep alive, to a proof, whoever has that stack later). The callee begins with all registers
 * clear that a call preserves. But the C library keeps addresses of this stack as well. So where
 * such a stack was there should never be anything else: it is kept for the next call. (Not where
 * two give one back in the same moment, or more are in use at once than are kept.)
 *
 * It stays on its thread, and must not park.
 */
#include "switch.h"

/* Lies at the low end of the stack, which is found from any frame on it by rounding down. */
struct aside {
	struct g there; /* only its stack, and where it was left */
	struct san_fiber here;
	uintptr_t here_sp;
	void (*fn)(void *);
	void *arg;
	int err; /* of a thread's start */
};

/* Of which only what is touched costs anything. libdw needs room in a report. */
enum { SIZE = 2 * 1024 * 1024, SPARES = 16 /* as many as may be in use at once, mostly */ };

static struct aside *spares[SPARES];
static uint32_t nspares, spares_lock;

/* Never waits: this may be a signal's handler, in the midst of what it would wait for. */
static bool spares_mine(void)
{
	return !__atomic_exchange_n(&spares_lock, 1, __ATOMIC_ACQUIRE);
}

static struct aside *aside_get(void)
{
	struct aside *a = NULL;

	if (spares_mine()) {
		if (nspares)
			a = spares[--nspares];
		unlock_always(&spares_lock);
	}
	return a ? a : os_reserve_aligned(SIZE, SIZE);
}

static void aside_put(struct aside *a)
{
	os_discard(a, SIZE);
	if (spares_mine()) {
		if (nspares < SPARES) {
			spares[nspares++] = a;
			a = NULL;
		}
		unlock_always(&spares_lock);
	}
	if (a)
		os_unreserve(a, SIZE);
}

/* On a stack of these. */
static struct aside *this_aside(void)
{
	return (struct aside *)((uintptr_t)__builtin_frame_address(0) & -(uintptr_t)SIZE);
}

static void run(void *unused)
{
	struct aside *a = this_aside();
	uintptr_t lo, hi;

	(void)unused;
	san_after_switch_from(&a->there.san, &lo, &hi);
	a->fn(a->arg);
	san_before_switch(&a->there.san, &a->here, lo, hi, 1);
	context_switch(&a->there.sp, a->here_sp);
	__builtin_unreachable();
}

static bool call_aside(void (*fn)(void *), void *arg, int *err)
{
	struct aside *a = aside_get();
	struct m *mp = getm();
	struct g *there;
	unsigned known;

	if (!a)
		return false;
	there = &a->there;
	a->fn = fn;
	a->arg = arg;
	there->stack_lo = (uintptr_t)(a + 1);
	there->stack_hi = (uintptr_t)a + SIZE;
	known = san_stack_new(there->stack_lo, there->stack_hi);
	san_fiber_of_thread(&a->here);
	san_fiber_create(&there->san);
	goro_g_prepare_stack(there, there->stack_hi, run);
	if (mp)
		mp->aside = true;
	san_before_switch(&a->here, &there->san, there->stack_lo, there->stack_hi, 0);
	context_switch(&a->here_sp, there->sp);
	san_after_switch(&a->here);
	if (mp)
		mp->aside = false;
	san_fiber_destroy(&there->san, there->stack_lo, there->stack_hi);
	san_stack_end(known);
	*err = a->err;
	aside_put(a);
	return true;
}

bool goro_aside(void (*fn)(void *), void *arg)
{
	int none;

	return call_aside(fn, arg, &none);
}

/* ---- threads ----------------------------------------------------------------------------------
 */

struct thread_start {
	void (*fn)(void *);
	void *arg;
	bool block_signals;
};

/*
 * What `arg` points to lies on the stack of who calls, so it must be in no register any more when
 * the thread begins: what becomes of it is written here, and not there.
 */
static void thread_start(void *arg)
{
	const struct thread_start *start = arg;
	int err = os_thread_start(start->fn, start->arg, start->block_signals);

	this_aside()->err = err;
}

int goro_thread_start(void (*fn)(void *), void *arg, bool block_signals)
{
	struct thread_start start = { fn, arg, block_signals };
	int err;

	if (!call_aside(thread_start, &start, &err))
		err = os_thread_start(fn, arg, block_signals);
	return err;
}
