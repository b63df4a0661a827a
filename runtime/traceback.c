/* SPDX-License-Identifier: MIT */
/*
 * traceback.c - stacks of our own goroutines in Go's text form, by libunwind.
 *
 *	goroutine 7 [chan receive, 2 minutes]:
 *	worker(...)
 *		/src/leaky.c:12 +0x2b
 *	created by main in goroutine 1
 *		/src/leaky.c:31 +0x5f
 *
 * The runtime's own frames at the top are left out, as Go does. Names and lines: see lines.c.
 */
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "lines.h"
#include "runtime.h"

enum { FRAMES_TOP = 50, FRAMES_BOTTOM = 50 };

static struct {
	char bytes[8192];
	size_t n;
} out;

static void flush(void)
{
	os_write(STDERR_FILENO, out.bytes, out.n);
	out.n = 0;
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

static void walk_stack(struct walk *w, ucontext_t *uc, int flags)
{
	unw_cursor_t cursor;
	unw_word_t pc;

	w->n = 0;
	if (unw_init_local2(&cursor, (unw_context_t *)uc, flags))
		return;
	do {
		if (unw_get_reg(&cursor, UNW_REG_IP, &pc) || !pc)
			return;
		if (w->n < FRAMES_TOP)
			w->top[w->n] = pc;
		else
			w->bottom[(w->n - FRAMES_TOP) % FRAMES_BOTTOM] = pc;
		w->n++;
	} while (unw_step(&cursor) > 0);
}

/*
 * Index of the first frame that is the program's. In front are the switch, or the report itself,
 * and the API function that was called; that one stands for the program if its caller called it in
 * its last line and is gone.
 */
static int user_frame(const struct walk *w)
{
	int api = 0, n = w->n < 16 ? w->n : 16;
	struct line line;

	for (int i = 0; i < n; i++) {
		goro_line_of(frame_pc(w, i), i > 0, &line);
		if (!strcmp(line.function, "goro_main"))
			break;
		if (api && !is_runtime(line.function))
			return i;
		if (is_runtime(line.function) && !is_inner(line.function))
			api = i;
	}
	return api;
}

static void print_frames(const struct walk *w, bool exact_first)
{
	extern char goro_entry[], goro_entry_end[];

	for (int i = exact_first ? 0 : user_frame(w); i < w->n; i++) {
		struct line line;
		uintptr_t pc = frame_pc(w, i);

		if (i == FRAMES_TOP && w->n > FRAMES_TOP + FRAMES_BOTTOM) {
			print("...%d frames elided...\n", w->n - FRAMES_TOP - FRAMES_BOTTOM);
			i = w->n - FRAMES_BOTTOM - 1;
			continue;
		}
		if (pc >= (uintptr_t)goro_entry && pc <= (uintptr_t)goro_entry_end)
			break;
		goro_line_of(pc, !(exact_first && i == 0), &line);
		if (!strcmp(line.function, "goro_main"))
			break;
		print("%s(...)\n\t%s:%d +0x%lx\n", line.function, line.file, line.number,
		      (unsigned long)line.offset);
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
	uint32_t state = GORO_STATUS_STATE(status);
	uint64_t minutes = (coarse_now() - gp->park_time) / (uint64_t)(60 * GORO_SECOND);

	print("\ngoroutine %lu [%s", (unsigned long)gp->id,
	      state == GORO_STATE_WAITING ? reasons[GORO_STATUS_REASON(status)]
	      : state == GORO_STATE_NEW	  ? "runnable"
					  : states[state]);
	if (state == GORO_STATE_WAITING && minutes)
		print(", %lu minutes", (unsigned long)minutes);
	print("]:\n");
}

static void print_parked(const struct g *gp)
{
	const struct switch_frame *frame = (const void *)gp->sp;
	struct walk w;
	ucontext_t uc;

	memset(&uc, 0, sizeof(uc));
	SWITCH_FRAME_TO_UCONTEXT(frame, gp->sp + sizeof(*frame), &uc);
	walk_stack(&w, &uc, 0);
	print_frames(&w, false);
}

void goro_traceback_others(void)
{
	uint64_t n = goro_g_count();

	goro_lines_init();
	for (uint64_t i = 0; i < n; i++) {
		struct g *gp = goro_g_by_index(i);
		uint32_t status = atomic_load_explicit(&gp->status, memory_order_acquire);
		uint32_t state = GORO_STATUS_STATE(status);

		if (!gp->id || state == GORO_STATE_FREE || state == GORO_STATE_DEAD)
			continue;
		if (state == GORO_STATE_WAITING && GORO_STATUS_REASON(status) == GORO_REASON_NONE)
			continue; /* main after goro_exit() */
		print_header(gp, status);
		if (state == GORO_STATE_RUNNING)
			print("\tgoroutine running on other thread; stack unavailable\n");
		else if (state != GORO_STATE_NEW)
			print_parked(gp);
		print_creator(gp);
	}
	flush();
}

/*
 * The goroutine that ran into it, from registers that were taken there; NULL: the runtime itself
 * did. exact: the pc is that of an instruction, not of a call, and no frame is left out.
 */
void goro_traceback_running(struct g *gp, void *ucontext, bool exact)
{
	struct walk w;

	goro_lines_init();
	walk_stack(&w, ucontext, exact ? UNW_INIT_SIGNAL_FRAME : 0);
	if (gp)
		print_header(gp, GORO_STATE_RUNNING);
	else
		print("\nruntime stack:\n");
	print_frames(&w, exact);
	if (gp)
		print_creator(gp);
	flush();
}
