/* SPDX-License-Identifier: MIT */
/*
 * defer.c - defer, panic, recover.
 *
 * Each goroutine has one list of what it must still run: deferred functions and, between them, the
 * marks of goro_try(). A block that ends in the ordinary way takes its own entry off (a cleanup
 * attribute sees to that). A panic takes entries off and runs them, on top of the stack that
 * panicked, so that a deferred function finds everything as it was and a report shows where it
 * happened. Only when one has recovered is the stack given up, down to the next mark, by longjmp.
 *
 * Unwinding by the exception library was rejected: it would need every C file between to be
 * compiled with -fexceptions, and would unwind before it is known whether anybody recovers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime.h"

/* A mark in the list: its function is `mark`, which is never called. */
struct
try {
	struct goro_deferred entry;
	struct panicking *panicking; /* that was going on when it was set */
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

	d->fn_ = fn;
	d->arg_ = arg;
	d->next_ = gp->deferred;
	gp->deferred = d;
}

void goro_deferred_end_(struct goro_deferred *d)
{
	self()->deferred = d->next_;
	d->fn_(d->arg_);
}

/* Run what is deferred down to the next mark, which is returned: NULL, the list is empty. */
static struct try *run_to_mark(struct g *gp)
{
	struct goro_deferred *d;

	while ((d = gp->deferred)) {
		gp->deferred = d->next_;
		if (d->fn_ == mark)
			return (struct try *)d;
		d->fn_(d->arg_);
	}
	return NULL;
}

void goro_deferred_run_all(struct g *gp)
{
	while (run_to_mark(gp))
		;
	gp->panicking = NULL;
}

void goro_panic(const char *fmt, ...)
{
	struct g *gp = self();
	struct panicking p = { .link = gp->panicking };
	struct try *at;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p.message, sizeof(p.message), fmt, ap);
	va_end(ap);
	gp->panicking = &p;
	do
		at = run_to_mark(gp);
	while (at && !p.recovered);
	if (!p.recovered)
		goro_die_panic(&p);
	if (at) {
		gp->panicking = at->panicking;
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

	if (!p || p->recovered)
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
	};

	gp->deferred = &at.entry;
	if (setjmp(at.landing))
		return false;
	fn(arg);
	self()->deferred = at.entry.next_;
	return true;
}
