/* SPDX-License-Identifier: MIT */
/*
 * panic.c - how a program dies: panic, throw, deadlock, SIGQUIT, stack overflow.
 *
 * All of them write a report to stderr in Go's words and end the process with Go's exit status, 2.
 * The first one to come wins; others wait for the end.
 */
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime.h"

enum { EXIT_STATUS = 2 };

static void begin_dying(void)
{
	if (!atomic_exchange(&sched.dying, 1))
		return;
	for (;;)
		os_sleep(GORO_SECOND);
}

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0)
		os_write(STDERR_FILENO, line,
			 (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

/* What the program has printed comes first, if nobody is in the middle of printing. */
static void flush_stdout(void)
{
	if (ftrylockfile(stdout))
		return;
	fflush_unlocked(stdout);
	funlockfile(stdout);
}

static bool want_stacks(void)
{
	const char *how = getenv("GORO_TRACEBACK");

	return !how || strcmp(how, "none") != 0;
}

/* What the report is about, for the stack that writes it. */
static struct {
	struct g *g;
	ucontext_t *uc; /* NULL: all goroutines */
	bool exact;
} about;

static void report(void *unused)
{
	(void)unused;
	if (about.uc)
		goro_traceback_running(about.g, about.uc, about.exact);
	else
		goro_traceback_others();
	os_exit_now(EXIT_STATUS);
}

static void end(struct g *gp, ucontext_t *uc, bool exact) __attribute__((noreturn));
static void end(struct g *gp, ucontext_t *uc, bool exact)
{
	if (!want_stacks())
		os_exit_now(EXIT_STATUS);
	about.g = gp;
	about.uc = uc;
	about.exact = exact;
	goro_leave_for(report);
}

GORO_NORETURN static void goro_die(const char *kind, const char *fmt, va_list ap)
{
	struct m *mp = getm();
	char message[900];
	ucontext_t uc;

	begin_dying();
	flush_stdout();
	vsnprintf(message, sizeof(message), fmt, ap);
	say("%s: %s\n", kind, message);
	unw_getcontext((unw_context_t *)&uc);
	end(mp && mp->curg != &mp->g0 ? mp->curg : NULL, &uc, false);
}

static void goro_die_with(const char *kind, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));
static void goro_die_with(const char *kind, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	goro_die(kind, fmt, ap);
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
	goro_die_with("panic", "%s", text);
}

void goro_throw(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	goro_die("fatal error", fmt, ap);
}

/* On a worker's own stack, all goroutines parked. */
void goro_die_deadlock(void)
{
	begin_dying();
	goro_introspect.deadlocked = 1;
	goro_gate_deadlock();
	flush_stdout();
	if (sched.main_exited && goro_count() == 0)
		say("fatal error: no goroutines (main called runtime.Goexit) - deadlock!\n");
	else
		say("fatal error: all goroutines are asleep - deadlock!\n");
	end(NULL, NULL, false);
}

/* On sysmon's thread. */
void goro_die_quit(void)
{
	begin_dying();
	say("SIGQUIT: quit\n");
	end(NULL, NULL, false);
}

void goro_die_overflow(struct g *gp, void *ucontext)
{
	begin_dying();
	say("runtime: goroutine stack exceeds %zu-byte limit\n"
	    "runtime: sp=0x%lx stack=[0x%lx, 0x%lx]\n"
	    "fatal error: stack overflow\n",
	    (size_t)(gp->stack_hi - gp->stack_lo),
	    (unsigned long)UCONTEXT_SP((ucontext_t *)ucontext), (unsigned long)gp->stack_lo,
	    (unsigned long)gp->stack_hi);
	end(gp, ucontext, true);
}

/* ---- signals -----------------------------------------------------------------------------------
 */

static struct sigaction old_segv, old_bus;

/* A fault in the guard of the running goroutine's stack is an overflow; any other is the program's.
 */
static void on_fault(int sig, siginfo_t *info, void *ucontext)
{
	struct sigaction *old = sig == SIGSEGV ? &old_segv : &old_bus;
	struct m *mp = getm();

	if (mp && mp->curg && mp->curg != &mp->g0 &&
	    goro_stack_guard_hit(mp->curg, (uintptr_t)info->si_addr))
		goro_die_overflow(mp->curg, ucontext);
	if (old->sa_flags & SA_SIGINFO) {
		old->sa_sigaction(sig, info, ucontext);
	} else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN) {
		old->sa_handler(sig);
	} else {
		/*
		 * The instruction faults again, and then it kills, with a core if one is wanted. A
		 * signal that somebody sent does not come again by itself.
		 */
		os_signal_default(sig);
		if (info->si_code <= 0)
			os_raise(sig);
	}
}

/*
 * Stacks are printed by sysmon, not in here: the thread that the signal came to may hold malloc's
 * lock. Without sysmon there was never a second goroutine, nor anybody to ask.
 */
static void on_quit(int sig, siginfo_t *info, void *ucontext)
{
	(void)sig, (void)info, (void)ucontext;
	if (!sched.sysmon_started)
		goro_die_quit();
	atomic_store(&sched.quit_asked, 1);
	goro_sysmon_wake();
}

void goro_signals_init(void)
{
	os_signal_take(SIGSEGV, on_fault, &old_segv);
	os_signal_take(SIGBUS, on_fault, &old_bus);
	/* SIGQUIT only if nobody has taken or ignored it (nohup). */
	os_signal_take_if_default(SIGQUIT, on_quit);
}
