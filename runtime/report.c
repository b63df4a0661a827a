/* SPDX-License-Identifier: MIT */
/*
 * report.c - how a report gets written although the program is broken.
 *
 * The report walks stacks and asks libdw for lines, which allocates. But the program may have died
 * in malloc, with its lock held or its heap in shreds, and any stack may be overwritten. So:
 *
 *   - only the first thread that finds something wrong reports; the rest of the world stands still
 *     at its next call of the runtime, as in Go's freezetheworld. Threads are not stopped where
 *     they are: they would keep the locks that they hold;
 *   - it runs on a big stack of its own, so that neither a goroutine's nor a signal's must be big;
 *   - each stack is tried under a guard. A fault, an abort or a long silence (a timer looks) in it
 *     ends that try; the next is made with functions only, which needs no memory.
 *
 * Rejected: a helper process that looks in (a container has none, and the runtime depends on no
 * program); reporting by another thread of ours (there may be none, and heap corruption is
 * everybody's); only what is async-signal-safe from the start (lines are what people read).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lines.h"
#include "report.h"
#include "switch.h"

enum { EXIT_STATUS = 2, HANGS_MAX = 4 };

/* How long a try may be silent; libdw may have much to read, malloc
 * waits for its lock or does not. */
#define TICK_NS	 (3 * GORO_SECOND)
#define PROBE_NS (GORO_SECOND / 2)

static enum report_level level = REPORT_SINGLE;

/* ---- the environment ---------------------------------------------------------------------------
 */

enum report_level goro_report_level(void)
{
	return level;
}

/* Whoever ends the process meanwhile waits for the end of the report, as main() does in Go. */
static void let_it_finish(void)
{
	uint32_t reporter = atomic_load(&sched.dying);

	while (reporter && reporter != os_tid() && !sched.forked)
		os_sleep(GORO_SECOND);
}

void goro_report_init(void)
{
	static const struct {
		const char *name;
		enum report_level level;
	} names[] = {
		{ "none", REPORT_NONE },     { "single", REPORT_SINGLE }, { "all", REPORT_ALL },
		{ "system", REPORT_SYSTEM }, { "crash", REPORT_CRASH },	  { "0", REPORT_NONE },
		{ "1", REPORT_ALL },	     { "2", REPORT_SYSTEM },
	};
	const char *s = getenv("GORO_TRACEBACK");

	atexit(let_it_finish);
	if (!s || !*s)
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(s, names[i].name)) {
			level = names[i].level;
			return;
		}
	}
	goro_throw("GORO_TRACEBACK=%s: not one of none, single, all, system, crash", s);
}

/* ---- begin and end -----------------------------------------------------------------------------
 */

void goro_report_begin(void)
{
	uint32_t nobody = 0, self = os_tid();

	if (atomic_compare_exchange_strong(&sched.dying, &nobody, self))
		return;
	if (nobody == self)
		os_exit_now(EXIT_STATUS); /* the report itself has failed */
	for (;;)
		os_sleep(GORO_SECOND);
}

void goro_report_say(const char *fmt, ...)
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

void goro_report_end(void)
{
	if (level == REPORT_CRASH)
		os_die_of(SIGABRT);
	os_exit_now(EXIT_STATUS);
}

/* ---- the guard ---------------------------------------------------------------------------------
 */

static struct {
	sigjmp_buf landing;
	bool set;
	_Atomic uint32_t tries, tries_seen;
	int hangs;
} guard;

static void on_trouble(int sig, siginfo_t *info, void *ucontext)
{
	(void)info, (void)ucontext;
	if (os_tid() != atomic_load(&sched.dying)) {
		if (os_is_tick(sig))
			return;
		for (;;)
			os_sleep(GORO_SECOND);
	}
	if (os_is_tick(sig)) {
		uint32_t tries = atomic_load(&guard.tries);

		if (atomic_exchange(&guard.tries_seen, tries) != tries)
			return;
		guard.hangs++;
	}
	if (!guard.set || guard.hangs >= HANGS_MAX) {
		goro_report_say("\nfatal error: the report stopped here (signal %d)\n", sig);
		goro_report_end();
	}
	siglongjmp(guard.landing, 1);
}

bool goro_report_try(void (*fn)(void *arg), void *arg)
{
	bool failed;

	atomic_fetch_add(&guard.tries, 1);
	failed = sigsetjmp(guard.landing, 0);
	if (!failed) {
		guard.set = true;
		fn(arg);
	}
	guard.set = false;
	return !failed;
}

/* ---- the world stands still --------------------------------------------------------------------
 */

/*
 * Workers are told that their P is about to be taken: they wait for the decision, which never
 * comes, at their next call of the runtime. One that was in the midst of it gets another try, and
 * sysmon may just have taken an earlier question back.
 */
static void freeze(void)
{
	struct m *self = getm();
	uint32_t n = __atomic_load_n(&goro_introspect.m_count, __ATOMIC_ACQUIRE);

	if (sched.forked)
		return;
	for (int pass = 0; pass < 5; pass++) {
		for (uint32_t i = 0; i < n; i++)
			if (goro_ms[i] && goro_ms[i] != self)
				atomic_store(&goro_ms[i]->lost_p, LOST_ASKED);
		os_membarrier();
		if (n > 1)
			os_sleep(GORO_MILLISECOND);
	}
}

/* ---- writing -----------------------------------------------------------------------------------
 */

/* A size that no thread keeps for itself. */
static void probe_malloc(void *unused)
{
	void *volatile p = malloc(5000);

	(void)unused;
	free(p);
}

static void write_all(void *arg)
{
	const struct report *r = arg;

	os_report_begin(on_trouble);
	if (r->others)
		freeze();
	os_report_tick(PROBE_NS);
	if (!goro_report_try(probe_malloc, NULL))
		goro_lines_plain();
	os_report_tick(TICK_NS);
	goro_traceback(r);
	os_report_end();
}

struct look {
	void (*fn)(void *arg);
	void *arg;
};

static void look(void *arg)
{
	const struct look *l = arg;

	os_report_begin(on_trouble);
	os_report_tick(PROBE_NS);
	goro_report_try(l->fn, l->arg);
	os_report_end();
}

void goro_report_look(void (*fn)(void *arg), void *arg)
{
	struct look l = { fn, arg };

	if (!goro_aside(look, &l))
		look(&l);
}

void goro_report_write(const struct report *r)
{
	if (level == REPORT_NONE)
		return;
	os_free_descriptors();
	if (!goro_aside(write_all, (void *)r))
		write_all((void *)r);
}
