/* SPDX-License-Identifier: MIT */
/*
 * crash.c - what the runtime does about signals that end a program.
 *
 * A fault in the guard of a goroutine's stack is an overflow, always reported. So is one at no
 * address in the midst of a call of ours: that was given NULL. (To ask for it in each call would
 * cost all those that are right.) Any other fault is
 * the program's own affair, which kills it as it would without us; unless GORO_TRACEBACK is all,
 * system or crash: then it ends with the stacks of all goroutines. A handler that was there before
 * us is asked instead, and one that comes later replaces ours. SIGQUIT is a request for a report.
 */
#include <ucontext.h>

#include "report.h"

static const struct fatal_signal {
	int sig;
	const char *name, *meaning;
} fatal_signals[] = {
	{ SIGSEGV, "SIGSEGV", "segmentation violation" },
	{ SIGBUS, "SIGBUS", "bus error" },
	{ SIGFPE, "SIGFPE", "floating-point exception" },
	{ SIGILL, "SIGILL", "illegal instruction" },
	{ SIGABRT, "SIGABRT", "abort" },
};

/* The first are always taken; these handlers were there before. */
enum { NFATAL = sizeof(fatal_signals) / sizeof(fatal_signals[0]), NFAULTS = 2 };
static struct sigaction old_handlers[NFAULTS];

/* The goroutine that this thread runs; NULL: the scheduler, or a thread that is not ours. */
static struct g *running_goroutine(void)
{
	struct m *mp = getm();

	return mp && mp->curg != &mp->g0 ? mp->curg : NULL;
}

/* Whose own stack sp is on, and the address is in the guard below
 * that: a goro_blocking() call's. */
static struct g *worker_stack_hit(uintptr_t addr, uintptr_t sp)
{
	uint32_t n = __atomic_load_n(&goro_introspect.m_count, __ATOMIC_RELAXED);

	for (uint32_t i = 0; i < n; i++) {
		struct g *g0 = &goro_ms[i]->g0;

		if (goro_stack_guard_hit(g0, addr) && sp < g0->stack_hi &&
		    sp >= g0->stack_lo - GUARD_SIZE)
			return g0;
	}
	return NULL;
}

GORO_NORETURN static void goro_die_overflow(struct g *gp, void *ucontext)
{
	bool is_worker = gp != running_goroutine();

	goro_report_begin();
	goro_report_say("runtime: %s stack exceeds %zu-byte limit\n"
			"runtime: sp=0x%lx stack=[0x%lx, 0x%lx]\n"
			"fatal error: stack overflow\n",
			is_worker ? "goro_blocking()'s" : "goroutine",
			(size_t)(gp->stack_hi - gp->stack_lo),
			(unsigned long)UCONTEXT_SP((ucontext_t *)ucontext),
			(unsigned long)gp->stack_lo, (unsigned long)gp->stack_hi);
	goro_report_write(&(struct report){
		.g = is_worker ? NULL : gp, .ucontext = ucontext, .exact = true, .others = true });
	goro_report_end();
}

/* Only what is the caller's fault: not what the scheduler does on its own stack. */
static bool is_call_with_nil(int sig, const siginfo_t *info, const ucontext_t *uc)
{
	struct m *mp = getm();

	if (sig != SIGSEGV || info->si_code != SEGV_MAPERR ||
	    (uintptr_t)info->si_addr >= os_page_size() || (mp && mp->curg == &mp->g0))
		return false;
	return goro_is_ours(UCONTEXT_PC(uc)) ||
	       (mp && atomic_load_explicit(&mp->in_runtime, memory_order_relaxed));
}

struct call {
	void *ucontext;
	const char *name;
};

static void find_call(void *arg)
{
	struct call *call = arg;

	call->name = goro_called_at(call->ucontext);
}

GORO_NORETURN static void goro_die_nil(const siginfo_t *info, void *ucontext)
{
	struct call call = { ucontext, NULL };

	goro_report_begin();
	goro_report_look(find_call, &call);
	goro_report_say("fatal error: nil pointer dereference in %s: it was called with NULL, or "
			"with what is no such object any more\n"
			"[signal SIGSEGV: segmentation violation code=0x%x addr=0x%lx pc=0x%lx]\n",
			call.name ? call.name : "the runtime", (unsigned)info->si_code,
			(unsigned long)info->si_addr,
			(unsigned long)UCONTEXT_PC((ucontext_t *)ucontext));
	goro_report_write(&(struct report){ .g = running_goroutine(),
					    .ucontext = ucontext,
					    .exact = true,
					    .in_call = true,
					    .others = goro_report_level() >= REPORT_ALL });
	goro_report_end();
}

/*
 * The instruction faults again, and then it kills, with a core if one is wanted whose registers are
 * those of the fault. A signal that somebody sent does not come again by itself.
 */
static void die_as_usual(int sig, const siginfo_t *info)
{
	os_signal_default(sig);
	if (info->si_code <= 0)
		os_raise(sig);
}

static void crash(const struct fatal_signal *f, const siginfo_t *info, void *ucontext)
{
	bool sent = info->si_code <= 0;
	struct m *mp = getm();

	goro_report_begin();
	goro_report_say("fatal error: unexpected signal%s\n"
			"[signal %s: %s code=0x%x addr=0x%lx pc=0x%lx]\n",
			mp && mp->curg == &mp->g0 ? " during runtime execution" : "", f->name,
			f->meaning, (unsigned)info->si_code,
			sent ? 0 : (unsigned long)info->si_addr,
			(unsigned long)UCONTEXT_PC((ucontext_t *)ucontext));
	if (sent && info->si_pid != os_pid())
		goro_report_say("[sent by process %d]\n", (int)info->si_pid);
	goro_report_write(&(struct report){
		.g = running_goroutine(), .ucontext = ucontext, .exact = true, .others = true });
	if (goro_report_level() != REPORT_CRASH)
		goro_report_end();
	die_as_usual(f->sig, info);
}

/* True: it was theirs. */
static bool ask_old_handler(const struct sigaction *old, int sig, siginfo_t *info, void *ucontext)
{
	if (old->sa_flags & SA_SIGINFO)
		old->sa_sigaction(sig, info, ucontext);
	else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN)
		old->sa_handler(sig);
	else
		return false;
	return true;
}

static void on_fatal(int sig, siginfo_t *info, void *ucontext)
{
	struct g *gp = running_goroutine();
	int i = 0;

	while (fatal_signals[i].sig != sig)
		i++;
	if (i < NFAULTS) {
		uintptr_t addr = (uintptr_t)info->si_addr;
		struct g *hit =
			gp && goro_stack_guard_hit(gp, addr)
				? gp
				: worker_stack_hit(addr, UCONTEXT_SP((ucontext_t *)ucontext));

		if (hit)
			goro_die_overflow(hit, ucontext);
		if (ask_old_handler(&old_handlers[i], sig, info, ucontext))
			return;
	}
	if (is_call_with_nil(sig, info, ucontext))
		goro_die_nil(info, ucontext);
	if (goro_report_level() >= REPORT_ALL)
		crash(&fatal_signals[i], info, ucontext);
	else
		die_as_usual(sig, info);
}

/*
 * Stacks are printed by sysmon, not in here: the thread that the signal came to goes on to where it
 * lets go of its locks. Without sysmon there was never a second goroutine, nor anybody to ask.
 */
static void on_quit(int sig, siginfo_t *info, void *ucontext)
{
	(void)sig, (void)info;
	if (!sched.sysmon_started)
		goro_die_quit(ucontext);
	atomic_store(&sched.quit_asked, 1);
	goro_sysmon_wake();
}

void goro_die_quit(void *ucontext)
{
	goro_report_begin();
	goro_report_say("SIGQUIT: quit\n");
	goro_report_write(&(struct report){ .g = ucontext ? running_goroutine() : NULL,
					    .ucontext = ucontext,
					    .exact = true,
					    .others = true });
	goro_report_end();
}

void goro_signals_init(void)
{
	for (int i = 0; i < NFAULTS; i++)
		os_signal_take(fatal_signals[i].sig, on_fatal, &old_handlers[i]);
	for (int i = NFAULTS; i < NFATAL && goro_report_level() >= REPORT_ALL; i++)
		os_signal_take_if_default(fatal_signals[i].sig, on_fatal);
	/* SIGQUIT only if nobody has taken or ignored it (nohup). */
	os_signal_take_if_default(SIGQUIT, on_quit);
}
