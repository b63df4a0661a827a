/* SPDX-License-Identifier: MIT */
/*
 * aside.c - call a function on a stack that is made for this one call.
 *
 * For what needs more of a stack than a goroutine may have left (reports), and for what must see
 * nothing of who calls (starting a thread: what is in the registers then, the C library keeps in
 * the thread's first frame for as long as it lives, and an address of a goroutine's stack among it
 * would keep alive, to a proof, whoever has that stack later). The callee begins with all registers
 * clear that a call preserves.
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
};

/* Of which only what is touched costs anything. libdw needs room in a report. */
enum { SIZE = 2 * 1024 * 1024 };

static void run(void *unused)
{
	struct aside *a =
		(struct aside *)((uintptr_t)__builtin_frame_address(0) & -(uintptr_t)SIZE);

	uintptr_t lo, hi;

	(void)unused;
	san_after_switch_from(&a->there.san, &lo, &hi);
	a->fn(a->arg);
	san_before_switch(&a->there.san, &a->here, lo, hi, 1);
	context_switch(&a->there.sp, a->here_sp);
	__builtin_unreachable();
}

bool goro_aside(void (*fn)(void *), void *arg)
{
	struct aside *a = os_reserve_aligned(SIZE, SIZE);
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
	os_unreserve(a, SIZE);
	return true;
}

/* ---- threads ----------------------------------------------------------------------------------
 */

struct thread_start {
	void (*fn)(void *);
	void *arg;
	bool block_signals;
	int err;
};

static void thread_start(void *arg)
{
	struct thread_start *start = arg;

	start->err = os_thread_start(start->fn, start->arg, start->block_signals);
}

int goro_thread_start(void (*fn)(void *), void *arg, bool block_signals)
{
	struct thread_start start = { fn, arg, block_signals, 0 };

	if (!goro_aside(thread_start, &start))
		thread_start(&start);
	return start.err;
}
