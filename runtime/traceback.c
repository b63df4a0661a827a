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

enum { FRAMES_MAX = 100 };

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

struct walk {
	uintptr_t pcs[FRAMES_MAX];
	int n;
	bool more;
};

static void walk_stack(struct walk *w, ucontext_t *uc, int flags)
{
	unw_cursor_t cursor;
	unw_word_t pc;

	w->n = 0;
	w->more = false;
	if (unw_init_local2(&cursor, uc, flags))
		return;
	do {
		if (unw_get_reg(&cursor, UNW_REG_IP, &pc) || !pc)
			return;
		if (w->n == FRAMES_MAX) {
			w->more = true;
			return;
		}
		w->pcs[w->n++] = pc;
	} while (unw_step(&cursor) > 0);
}

/* Index of the first frame that is the program's: behind the API function that was called. */
static int user_frame(const struct walk *w)
{
	struct line line;
	int i;

	if (!w->n)
		return 0;
	goro_line_of(w->pcs[0], false, &line);
	if (!is_runtime(line.function))
		return 0;
	for (i = 0; i < w->n; i++) {
		goro_line_of(w->pcs[i], i > 0, &line);
		if (is_runtime(line.function) && !is_inner(line.function))
			return i + 1;
	}
	return 0;
}

static void print_frames(const struct walk *w, bool exact_first)
{
	extern char goro_entry[], goro_entry_end[];
	int i = exact_first ? 0 : user_frame(w);

	for (; i < w->n; i++) {
		struct line line;
		uintptr_t pc = w->pcs[i];

		if (pc >= (uintptr_t)goro_entry && pc <= (uintptr_t)goro_entry_end)
			break;
		goro_line_of(pc, !(exact_first && i == 0), &line);
		if (!strcmp(line.function, "goroutine_main"))
			break;
		print("%s(...)\n\t%s:%d +0x%lx\n", line.function, line.file, line.number,
		      (unsigned long)line.offset);
	}
	if (w->more)
		print("...additional frames elided...\n");
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

void goro_traceback_others(const struct g *but)
{
	uint64_t n = goro_g_count();

	goro_lines_init();
	for (uint64_t i = 0; i < n; i++) {
		struct g *gp = goro_g_by_index(i);
		uint32_t status = atomic_load_explicit(&gp->status, memory_order_acquire);
		uint32_t state = GORO_STATUS_STATE(status);

		if (gp == but || !gp->id || state == GORO_STATE_FREE || state == GORO_STATE_DEAD)
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

void goro_traceback_self(void)
{
	struct m *mp = getm();
	struct walk w;
	ucontext_t uc;

	goro_lines_init();
	unw_getcontext(&uc);
	walk_stack(&w, &uc, 0);
	if (mp && mp->curg && mp->curg != &mp->g0) {
		print_header(mp->curg, GORO_STATE_RUNNING);
		print_frames(&w, false);
		print_creator(mp->curg);
	} else {
		print("\nruntime stack:\n");
		print_frames(&w, true);
	}
	flush();
}

void goro_traceback_context(struct g *gp, void *ucontext)
{
	struct walk w;

	goro_lines_init();
	walk_stack(&w, ucontext, UNW_INIT_SIGNAL_FRAME);
	print_header(gp, GORO_STATE_RUNNING);
	print_frames(&w, true);
	print_creator(gp);
	flush();
}
