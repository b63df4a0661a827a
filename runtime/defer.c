/* SPDX-License-Identifier: MIT */
/*
 * defer.c - defer, panic, recover.
 *
 * Each goroutine has one list of what it must still run: deferred functions and, between them, the
 * marks of goro_try(). A block that ends in the ordinary way takes its own entry off (a cleanup
 * attribute sees to that). A panic takes entries off and runs them, on top of the stack that
 * panicked, so that a deferred function finds everything as it was and a report shows where it
 * happened. Only when one has recovered is the stack given up, down to the next mark, by longjmp.
 * Each function that a panic runs has a mark of its own. In Go one that panics and recovers
 * returns to the panic that runs it, which goes on; without the mark that one would be given up
 * with the stack, although nobody has recovered from it.
 *
 * goro_exit() goes the same way without stopping at marks, and is in the list of panics meanwhile:
 * what panics and recovers in the functions that it runs does not keep the goroutine alive.
 *
 * Unwinding by the exception library was rejected: it would need every C file between to be
 * compiled with -fexceptions, and would unwind before it is known whether anybody recovers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime.h"

/* A mark in the list: its function is `mark`, which does nothing. */
struct
try {
	struct goro_deferred entry;
	struct panicking *panicking; /* that was going on when it was set */
	uint32_t ordinary;	     /* and how it stood with it */
	jmp_buf landing;
};

static void mark(void *unused)
{
	(void)unused;
}

/* Only the goroutine itself touches its list, and it is on this thread: no P is needed. */
static struct g *self(void)
{
	struct m *mp = enter();
	struct g *gp = mp->curg;

	leave(mp);
	return gp;
}

void goro_deferred_begin_(struct goro_deferred *d, goro_fn *fn, void *arg)
{
	struct g *gp = self();

	if (unlikely(!fn))
		goro_throw("defer of nil func value");
	d->fn_ = fn;
	d->arg_ = arg;
	d->next_ = gp->deferred;
	gp->deferred = d;
}

void goro_deferred_end_(struct goro_deferred *d)
{
	struct g *gp = self();
	struct panicking *p = gp->panicking;

	gp->deferred = d->next_;
	/* It does not run because of the panic in which we may be: it is not the one to recover. */
	if (unlikely(p))
		p->ordinary++;
	d->fn_(d->arg_);
	if (unlikely(p))
		p->ordinary--;
}

/* A panic of its own that it recovers from ends there: that which runs it is not over. */
static void run_one(void *arg)
{
	struct goro_deferred *d = arg;

	goro_try(d->fn_, d->arg_);
}

/* Run what is deferred down to the next mark, which is returned: NULL, the list is empty. */
static struct try *run_to_mark(struct g *gp)
{
	struct goro_deferred *d;

	while ((d = gp->deferred)) {
		gp->deferred = d->next_;
		if (d->fn_ == mark)
			return (struct try *)d;
		goro_call_deferred(run_one, d);
		/* What the next ones do is not done during this panic any more. */
		if (gp->panicking->recovered)
			gp->panicking->over = true;
	}
	return NULL;
}

void goro_deferred_run_all(struct g *gp)
{
	struct panicking exiting = { .link = gp->panicking, .exiting = true };

	gp->panicking = &exiting;
	while (run_to_mark(gp))
		;
	gp->panicking = NULL;
}

/* The panic p is over and would go on at a mark. Is that below a goro_exit() which is under way? */
static bool was_exiting(const struct panicking *p, const struct try *at)
{
	const struct panicking *before = at ? at->panicking : NULL;

	for (p = p->link; p && p != before; p = p->link)
		if (p->exiting)
			return true;
	return false;
}

/*
 * Bytes of the stack that a message may take, so that the deferred functions have the rest. It is
 * kept there because it lives just as long: a panic may be given up without coming back to its
 * goro_panic(), and there may be no memory.
 */
static size_t message_max(const struct g *gp)
{
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0);

	/* In a handler on a signal's stack nobody knows what is left. */
	return sp > gp->stack_lo && sp < gp->stack_hi ? (sp - gp->stack_lo) / 4 : 512;
}

void goro_panic(const char *fmt, ...)
{
	struct g *gp = self();
	struct panicking p = { .link = gp->panicking };
	size_t size, max = message_max(gp);
	struct try *at;
	va_list ap, again;
	char *message;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	size = (size_t)(n < 0 ? 0 : n) + 1;
	size = size < max ? size : max;
	p.message = message = __builtin_alloca(size);
	message[0] = '\0';
	vsnprintf(message, size, fmt, ap);
	va_end(ap);
	gp->panicking = &p;
	do
		at = run_to_mark(gp);
	while (at && !p.recovered);
	if (!p.recovered)
		goro_die_panic(&p);
	if (was_exiting(&p, at))
		goro_exit();
	if (at) {
		gp->panicking = at->panicking;
		if (gp->panicking)
			gp->panicking->ordinary = at->ordinary;
		longjmp(at->landing, 1);
	}
	gp->panicking = NULL;
	if (goro_is_main(gp))
		exit(0);
	goro_exit();
}

const char *goro_recover(void)
{
	struct panicking *p = self()->panicking;

	if (!p || p->recovered || p->exiting || p->ordinary)
		return NULL;
	p->recovered = true;
	return p->message;
}

bool goro_try(goro_fn *fn, void *arg)
{
	struct g *gp = self();
	struct try at = {
		.entry = { .next_ = gp->deferred, .fn_ = mark },
		.panicking = gp->panicking,
		.ordinary = gp->panicking ? gp->panicking->ordinary : 0,
	};

	if (unlikely(!fn))
		goro_throw("try of nil func value");
	gp->deferred = &at.entry;
	if (setjmp(at.landing))
		return false;
	goro_call_try(fn, arg);
	self()->deferred = at.entry.next_;
	return true;
}

/* ---- exceptions of C++ -------------------------------------------------------------------------
 */

/*
 * What an exception leaves for good is to be as if it had returned. A cleanup attribute would do,
 * but needs the unwinder of libgcc, which a static program that has libunwind cannot have as well.
 * What lies above in the list was deferred by functions that are gone; C++ has run it.
 */
int goro_left(int action, goro_fn *fn)
{
	struct g *gp = self();

	if (!(action & UNWIND_COMES_BY))
		return UNWIND_GOES_ON;
	while (gp->deferred->fn_ != fn)
		gp->deferred = gp->deferred->next_;
	goro_deferred_end_(gp->deferred);
	return UNWIND_GOES_ON;
}

int goro_left_try(int version, int action, uint64_t language, void *exception, void *context)
{
	(void)version, (void)language, (void)exception, (void)context;
	return goro_left(action, mark);
}

/* Who catches it would go on as if nobody had panicked. */
int goro_left_deferred(int version, int action, uint64_t language, void *exception, void *context)
{
	(void)version, (void)language, (void)exception, (void)context;
	if (action & UNWIND_SEARCHES)
		goro_throw("a C++ exception leaves a deferred function that runs because of a "
			   "panic or of goro_exit()");
	return UNWIND_GOES_ON;
}
