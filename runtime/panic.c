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
GORO_NORETURN static void goro_die(const char *kind, bool others, const char *fmt, va_list ap)
{
	struct m *mp = getm();
	char message[900];
	ucontext_t uc;

	goro_report_begin();
	flush_stdout();
	vsnprintf(message, sizeof(message), fmt, ap);
	goro_report_say("%s: %s\n", kind, message);
	if (!__atomic_load_n(&goro_introspect.m_count, __ATOMIC_RELAXED))
		goro_report_end(); /* what the environment asks for, before there is anything */
	unw_getcontext((unw_context_t *)&uc);
	goro_report_write(&(struct report){ .g = mp && mp->curg != &mp->g0 ? mp->curg : NULL,
					    .ucontext = &uc,
					    .others = others });
	goro_report_end();
}

static void goro_die_with(const char *kind, bool others, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));
static void goro_die_with(const char *kind, bool others, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	goro_die(kind, others, fmt, ap);
}

/* The first panic first; those during which others began follow it, as in Go. */
static void append_panics(const struct panicking *p, char *text, size_t size)
{
	size_t n;

	if (p->link)
		append_panics(p->link, text, size);
	if (p->exiting)
		return;
	n = strlen(text);
	snprintf(text + n, size - n, "%s%s%s", n ? "\n\tpanic: " : "", p->message,
		 p->recovered ? " [recovered]" : "");
}

void goro_die_panic(const struct panicking *p)
{
	char text[800] = "";

	append_panics(p, text, sizeof(text));
	goro_die_with("panic", goro_report_level() >= REPORT_ALL, "%s", text);
}

void goro_throw(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	goro_die("fatal error", true, fmt, ap);
}

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
