/* SPDX-License-Identifier: MIT */
/*
 * panic.c - how a program dies of its own words: panic, throw, deadlock. (By a signal: crash.c.)
 *
 * Each says in Go's words what is wrong, has the stacks written (report.c) and ends the process
 * with Go's exit status, 2. As in Go, a panic shows the goroutine that panicked, and a fatal error
 * all of them.
 */
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

/* What the program has printed comes first, if nobody is in the middle of printing. */
static void flush_stdout(void)
{
	if (ftrylockfile(stdout))
		return;
	fflush_unlocked(stdout);
	funlockfile(stdout);
}

/* The goroutine that got us here, or whatever runs on this thread. */
GORO_NORETURN static void goro_die_here(bool others)
{
	struct m *mp = getm();
	ucontext_t uc;

	if (!__atomic_load_n(&goro_introspect.m_count, __ATOMIC_RELAXED))
		goro_report_end(); /* what the environment asks for, before there is anything */
	unw_getcontext((unw_context_t *)&uc);
	goro_report_write(&(struct report){ .g = mp && mp->curg != &mp->g0 ? mp->curg : NULL,
					    .ucontext = &uc,
					    .others = others });
	goro_report_end();
}

void goro_throw(const char *fmt, ...)
{
	char message[900];
	va_list ap;

	goro_report_begin();
	flush_stdout();
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	goro_report_say("fatal error: %s\n", message);
	goro_die_here(true);
}

/* ---- panics ------------------------------------------------------------------------------------
 */

/* However long; what begins a line of a report is the report's. */
static void say_indented(const char *text)
{
	size_t n;

	while (text[n = strcspn(text, "\n")]) {
		os_write(STDERR_FILENO, text, n);
		goro_report_say("\n\t");
		text += n + 1;
	}
	os_write(STDERR_FILENO, text, n);
}

/* The one during which p began, if that was not over then. */
static const struct panicking *during(const struct panicking *p)
{
	do
		p = p->link;
	while (p && p->over);
	return p;
}

/* Was it recovered only to go on with the same words? Then they are said once, as in Go. */
static bool is_repeated(const struct panicking *p)
{
	const struct panicking *before = during(p);

	return before && before->recovered && !before->exiting &&
	       !strcmp(before->message, p->message);
}

/* The first panic first; those during which others began follow it, as in Go. */
static void say_panics(const struct panicking *p, bool repeated)
{
	const struct panicking *before = during(p);

	if (!p->exiting && is_repeated(p)) {
		say_panics(before, true);
		return;
	}
	if (before) {
		say_panics(before, false);
		if (!before->exiting)
			goro_report_say("\t");
	}
	if (p->exiting)
		return;
	goro_report_say("panic: ");
	say_indented(p->message);
	goro_report_say("%s\n", repeated       ? " [recovered, repanicked]"
				: p->recovered ? " [recovered]"
					       : "");
}

void goro_die_panic(const struct panicking *p)
{
	goro_report_begin();
	flush_stdout();
	say_panics(p, false);
	goro_die_here(goro_report_level() >= REPORT_ALL);
}

/* ---- deadlocks ---------------------------------------------------------------------------------
 */

/* On a worker's own stack, all goroutines parked. */
void goro_die_deadlock(void)
{
	goro_report_begin();
	goro_introspect.deadlocked = 1;
	goro_gate_deadlock();
	flush_stdout();
	if (sched.main_exited && goro_count_now() == 0)
		goro_report_say("fatal error: no goroutines (main called runtime.Goexit) - "
				"deadlock!\n");
	else
		goro_report_say("fatal error: all goroutines are asleep - deadlock!\n");
	goro_report_write(&(struct report){ .others = true });
	goro_report_end();
}
