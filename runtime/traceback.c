/* SPDX-License-Identifier: MIT */
/*
 * traceback.c - stacks of our own goroutines in Go's text form, by libunwind.
 *
 *	goroutine 7 [chan receive, 2 minutes, "parser", request=1234]:
 *	worker(...)
 *		/src/leaky.c:12 +0x2b
 *	created by main in goroutine 1
 *		/src/leaky.c:31 +0x5f
 *
 * A goroutine that has a name or labels shows them behind its state, inside the brackets: tools
 * that read Go's form take what follows the first comma for remarks. The runtime's own frames at
 * the top are left out, as Go does. Names and lines of functions: see lines.c.
 *
 * A goroutine that runs on another thread is interrupted for a moment: the handler walks its stack
 * where it is and lets it go on. (Go does so for GOTRACEBACK=crash only, and says "stack
 * unavailable" else; but it is the one that hangs in a loop that people look for.)
 */
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "lines.h"
#include "report.h"

enum { FRAMES_TOP = 50, FRAMES_BOTTOM = 50, CAPTURE_MS = 3000 };

static struct {
	char bytes[32768];
	size_t n;
	unsigned flushes;
} out;

static void flush(void)
{
	os_write(STDERR_FILENO, out.bytes, out.n);
	out.n = 0;
	out.flushes++;
}

static void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void print(const char *fmt, ...)
{
	va_list ap;
	int n;

	if (sizeof(out.bytes) - out.n < 2048)
		flush();
	va_start(ap, fmt);
	n = vsnprintf(out.bytes + out.n, sizeof(out.bytes) - out.n, fmt, ap);
	va_end(ap);
	if (n > 0)
		out.n += (size_t)n < sizeof(out.bytes) - out.n ? (size_t)n
							       : sizeof(out.bytes) - out.n - 1;
}

/* A parked goroutine's stack begins with the switch and the function that parked it. */
static bool is_inner(const char *name)
{
	return !strncmp(name, "goro_park", 9) || !strcmp(name, "goro_context_switch") ||
	       !strcmp(name, "goro_regain_p");
}

static bool is_runtime(const char *name)
{
	return !strncmp(name, "goro_", 5);
}

/* The two ends of a stack: of a very deep one the middle is left out, as in Go. */
struct walk {
	uintptr_t top[FRAMES_TOP];
	uintptr_t bottom[FRAMES_BOTTOM]; /* a ring, when it does not fit above */
	int n;				 /* frames in all */
};

static uintptr_t frame_pc(const struct walk *w, int i)
{
	return i < FRAMES_TOP ? w->top[i] : w->bottom[(i - FRAMES_TOP) % FRAMES_BOTTOM];
}

/* Up to the entry of goroutines, or as far as a stack that is broken goes. */
static void walk_stack(struct walk *w, ucontext_t *uc, int flags)
{
	unw_cursor_t cursor;
	unw_word_t pc, sp, last_sp = 0;

	w->n = 0;
	if (unw_init_local2(&cursor, (unw_context_t *)uc, flags))
		return;
	do {
		if (unw_get_reg(&cursor, UNW_REG_IP, &pc) || !pc)
			return;
		if (unw_get_reg(&cursor, UNW_REG_SP, &sp) || sp < last_sp)
			return;
		last_sp = sp;
		if (w->n < FRAMES_TOP)
			w->top[w->n] = pc;
		else
			w->bottom[(w->n - FRAMES_TOP) % FRAMES_BOTTOM] = pc;
		w->n++;
	} while (unw_step(&cursor) > 0);
}

/*
 * From where a signal interrupted it. A call through a bad pointer leaves a pc that is nowhere:
 * then the caller comes first.
 */
static void walk_interrupted(struct walk *w, const ucontext_t *at)
{
	ucontext_t uc = *at;

	walk_stack(w, &uc, UNW_INIT_SIGNAL_FRAME);
	if (w->n > 1 || goro_is_code(UCONTEXT_PC(&uc)))
		return;
	uc = *at;
	UCONTEXT_UNDO_CALL(&uc);
	walk_stack(w, &uc, 0);
}

/* Index of the API's function, from inside of what it is made of: the outermost frame of ours. In
 * front may be some of the C library's. */
static int called_frame(const struct walk *w)
{
	int last = 0;

	for (int i = 0; i < w->n && i < FRAMES_TOP; i++) {
		if (goro_is_ours(w->top[i]))
			last = i;
		else if (last)
			break;
	}
	return last;
}

const char *goro_called_at(const void *ucontext)
{
	static struct walk w;
	const char *module;
	uintptr_t offset;
	int i;

	walk_interrupted(&w, ucontext);
	i = called_frame(&w);
	return w.n ? goro_function_of(w.top[i] - (i > 0), &module, &offset) : NULL;
}

/*
 * Index of the first frame that is the program's. In front are the switch, or the report itself,
 * and the API function that was called; that one stands for the program if its caller called it in
 * its last line and is gone. One that runs may be held up at its next call: see freeze().
 */
static int user_frame(const struct walk *w, bool runs)
{
	int api = -1, n = w->n < 16 ? w->n : 16;
	struct line line;

	for (int i = 0; i < n; i++) {
		goro_line_of(frame_pc(w, i), i > 0, &line);
		if (!strcmp(line.function, "goro_regain_p"))
			api = i;
	}
	for (int i = api < 0 ? 0 : api; i < n; i++) {
		goro_line_of(frame_pc(w, i), i > 0, &line);
		if (!strcmp(line.function, "goro_main"))
			break;
		if (!is_runtime(line.function) && (api >= 0 || (runs && i == 0)))
			return i;
		if (is_runtime(line.function) && !is_inner(line.function))
			api = i;
	}
	return api < 0 ? 0 : api;
}

/* An offset only behind the first instruction, as in Go. */
static void print_call(const struct line *line)
{
	print("%s(...)\n\t%s:%d", line->function, line->file, line->number);
	if (line->offset)
		print(" +0x%lx", (unsigned long)line->offset);
	print("\n");
}

/* From the frame `first` on. exact: the first pc is that of an instruction, not of a call. */
static void print_frames(const struct walk *w, bool exact, int first)
{
	extern char goro_entry[], goro_entry_end[];
	bool system = goro_report_level() >= REPORT_SYSTEM;

	for (int i = system ? 0 : first; i < w->n; i++) {
		struct line line;
		uintptr_t pc = frame_pc(w, i);

		if (i == FRAMES_TOP && w->n > FRAMES_TOP + FRAMES_BOTTOM) {
			print("...%d frames elided...\n", w->n - FRAMES_TOP - FRAMES_BOTTOM);
			i = w->n - FRAMES_BOTTOM - 1;
			continue;
		}
		if (pc >= (uintptr_t)goro_entry && pc <= (uintptr_t)goro_entry_end)
			break;
		goro_line_of(pc, !(exact && i == 0), &line);
		if (!system &&
		    (!strcmp(line.function, "goro_main") || !strcmp(line.function, "start_thread")))
			break;
		if (!system && !strncmp(line.function, "goro_call_", 10))
			continue; /* a part of who called it: see goro_left() */
		print_call(&line);
		if (!strcmp(line.function, "main"))
			break; /* what calls it is the C library's */
	}
}

static void print_creator(const struct g *gp)
{
	struct line line;

	if (!gp->spawn_pc)
		return;
	goro_line_of(gp->spawn_pc, true, &line);
	print("created by %s in goroutine %lu\n\t%s:%d +0x%lx\n", line.function,
	      (unsigned long)gp->parent, line.file, line.number, (unsigned long)line.offset);
}

/* What the program says is not to break the line, nor the brackets. */
static void print_clean(const char *text, size_t n, const char *quote)
{
	char clean[GORO_LABELS_MAX];
	size_t k = 0;

	for (; k < n && k < sizeof(clean) - 1 && text[k]; k++)
		clean[k] = (unsigned char)text[k] < ' ' || strchr("[]\"\177", text[k]) ? '?'
										       : text[k];
	clean[k] = '\0';
	print(", %s%s%s", quote, clean, quote);
}

static void print_ext(const struct g_ext *ext)
{
	const char *end;

	if (ext->name[0])
		print_clean(ext->name, sizeof(ext->name), "\"");
	for (const char *at = ext->labels; (end = strchr(at, '\n')); at = end + 1)
		print_clean(at, (size_t)(end - at), "");
}

static void print_header(const struct g *gp, uint32_t status)
{
	static const char *const states[] = {
#define NAME(id, letter, name) [GORO_STATE_##id] = name,
		GORO_STATES(NAME)
#undef NAME
	};
	static const char *const reasons[] = {
#define NAME(id, letter, name, class) [GORO_REASON_##id] = name,
		GORO_REASONS(NAME)
#undef NAME
	};
	/* What Go has another word for is called as in Go. */
	static const char *const reasons_in_go[GORO_NREASONS] = {
#define NAME(id, name) [GORO_REASON_##id] = name,
		GORO_REASONS_IN_GO(NAME)
#undef NAME
	};
	uint32_t state = GORO_STATUS_STATE(status), reason = GORO_STATUS_REASON(status);
	uint64_t minutes = (coarse_now() - g_since(gp)) / (uint64_t)(60 * GORO_SECOND);

	print("\ngoroutine %lu [%s", (unsigned long)gp->id,
	      state == GORO_STATE_WAITING
		      ? (reasons_in_go[reason] ? reasons_in_go[reason] : reasons[reason])
	      : state == GORO_STATE_NEW ? "runnable"
					: states[state]);
	if (state == GORO_STATE_WAITING && minutes)
		print(", %lu minutes", (unsigned long)minutes);
	if (g_is_locked(gp))
		print(", locked to thread");
	if (gp->ext)
		print_ext(gp->ext);
	print("]:\n");
}

/* One that has not run yet will begin there. */
static void print_entry(const struct g *gp)
{
	struct line line;

	goro_line_of(gp->entry, false, &line);
	print_call(&line);
}

static void print_parked(const struct g *gp)
{
	const struct switch_frame *frame = (const void *)gp->sp;
	struct walk w;
	ucontext_t uc;

	memset(&uc, 0, sizeof(uc));
	SWITCH_FRAME_TO_UCONTEXT(frame, gp->sp + sizeof(*frame), &uc);
	walk_stack(&w, &uc, 0);
	print_frames(&w, false, user_frame(&w, false));
}

/* ---- a goroutine that runs on another thread ---------------------------------------------------
 */

enum { ASKED = 1, WALKING, DONE, TOO_LATE };

static struct {
	_Atomic uint32_t state;
	uint32_t tid;
	struct walk walk;
} capture;

static void on_interrupt(int sig, siginfo_t *info, void *ucontext)
{
	uint32_t asked = ASKED;
	int *errnop = goro_errno_location(), saved = *errnop;

	(void)sig, (void)info;
	if (os_tid() != capture.tid ||
	    !atomic_compare_exchange_strong(&capture.state, &asked, WALKING))
		return;
	walk_interrupted(&capture.walk, ucontext);
	atomic_store(&capture.state, DONE);
	*errnop = saved;
}

/*
 * The handler may be late: the machine is busy, or the thread blocks signals or waits in the kernel
 * for a disk. All of them together get CAPTURE_MS.
 */
static bool capture_stack(uint32_t tid)
{
	static int waited;
	uint32_t asked = ASKED;

	capture.tid = tid;
	atomic_store(&capture.state, ASKED);
	os_interrupt_take(on_interrupt);
	os_interrupt(tid);
	while (waited < CAPTURE_MS * 10 && atomic_load(&capture.state) != DONE) {
		os_sleep(GORO_MILLISECOND / 10);
		waited++;
	}
	if (atomic_compare_exchange_strong(&capture.state, &asked, TOO_LATE))
		return false;
	while (atomic_load(&capture.state) != DONE)
		os_sleep(GORO_MILLISECOND); /* or until the guard has had enough */
	return capture.walk.n > 0;
}

static void print_running(const struct g *gp)
{
	uint32_t n = __atomic_load_n(&goro_introspect.m_count, __ATOMIC_ACQUIRE);
	uint32_t m_id = GORO_WORKER(gp->m_id);
	struct m *mp = m_id < n ? goro_ms[m_id] : NULL;

	if (mp && mp->curg == gp && !sched.forked && capture_stack(mp->tid))
		print_frames(&capture.walk, true, user_frame(&capture.walk, true));
	else
		print("\tgoroutine running on other thread; stack unavailable\n");
}

/* ---- the whole ---------------------------------------------------------------------------------
 */

/* Twice, the second time with as little as possible: see report.c. */
static void guarded(void (*fn)(void *arg), void *arg)
{
	size_t before = out.n;
	unsigned flushes = out.flushes;

	if (goro_report_try(fn, arg))
		return;
	goro_lines_plain();
	if (out.flushes == flushes)
		out.n = before;
	if (!goro_report_try(fn, arg))
		print("\t(the stack cannot be read)\n");
}

static void init_lines(void *unused)
{
	(void)unused;
	goro_lines_init();
}

static void print_first(void *arg)
{
	const struct report *r = arg;
	struct walk w;

	if (r->exact)
		walk_interrupted(&w, r->ucontext);
	else
		walk_stack(&w, r->ucontext, 0);
	print_frames(&w, r->exact,
		     r->in_call ? called_frame(&w)
		     : r->exact ? 0
				: user_frame(&w, false));
	if (r->g)
		print_creator(r->g);
}

static void print_other(void *arg)
{
	const struct g *gp = arg;
	uint32_t state = GORO_STATUS_STATE(g_status(gp));

	if (state == GORO_STATE_RUNNING)
		print_running(gp);
	else if (state == GORO_STATE_NEW)
		print_entry(gp);
	else if (gp->sp)
		print_parked(gp);
	print_creator(gp);
}

static void traceback_others(const struct g *except)
{
	uint64_t n = goro_g_count();

	for (uint64_t i = 0; i < n; i++) {
		struct g *gp = goro_g_by_index(i);
		uint32_t status = g_status(gp);
		uint32_t state = GORO_STATUS_STATE(status);

		if (gp == except || !gp->id || state == GORO_STATE_FREE || state == GORO_STATE_DEAD)
			continue;
		if (state == GORO_STATE_WAITING && GORO_STATUS_REASON(status) == GORO_REASON_NONE)
			continue; /* main after goro_exit() */
		print_header(gp, status);
		guarded(print_other, gp);
	}
}

void goro_traceback(const struct report *r)
{
	struct m *mp = getm();

	if (!goro_report_try(init_lines, NULL))
		goro_lines_plain();
	if (r->ucontext) {
		if (r->g)
			print_header(r->g, GORO_STATE_RUNNING);
		else if (mp)
			print("\nruntime stack:\n");
		else
			print("\nthread %u, which is not a goroutine's:\n", os_tid());
		guarded(print_first, (void *)(uintptr_t)r);
		flush(); /* what matters most */
	}
	if (r->others && !sched.forked)
		traceback_others(r->ucontext ? r->g : NULL);
	flush();
}
