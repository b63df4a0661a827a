/* SPDX-License-Identifier: MIT */
/*
 * warning.c - stacks of a program that goes on: taken where it matters, in words when there is
 * time.
 */
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lines.h"
#include "warning.h"

enum { FRAMES_ABOVE = 10 };

/* Where goroutines begin. */
static bool is_entry(const char *pc)
{
	extern char goro_entry[], goro_entry_end[];

	return pc >= goro_entry && pc <= goro_entry_end;
}

static void keep(struct call_stack *at, void *const *pc, int n)
{
	at->n = 0;
	for (int i = 0; i < n && at->n < STACK_FRAMES; i++) {
		if (is_entry(pc[i]))
			return;
		at->pc[at->n++] = (uintptr_t)pc[i];
	}
}

void goro_stack_take(struct call_stack *at)
{
	void *pc[STACK_FRAMES + FRAMES_ABOVE];
	int n = QUIETLY(unw_backtrace(pc, STACK_FRAMES + FRAMES_ABOVE)), own = 0;

	while (own < n && goro_is_ours((uintptr_t)pc[own]))
		own++;
	keep(at, pc + own, n - own);
}

void goro_stack_take_from(struct call_stack *at, uintptr_t pc)
{
	void *all[STACK_FRAMES + FRAMES_ABOVE];
	int n = QUIETLY(unw_backtrace(all, STACK_FRAMES + FRAMES_ABOVE));

	for (int i = 0; i < n; i++) {
		if ((uintptr_t)all[i] == pc) {
			keep(at, all + i, n - i);
			return;
		}
	}
	at->n = 1;
	at->pc[0] = pc;
}

/* ---- in words ---------------------------------------------------------------------------------
 */

static uint32_t busy; /* names and lines are not for two at once */

void goro_warning_begin(void)
{
	while (__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE))
		os_sleep(GORO_MILLISECOND);
	goro_lines_init();
}

void goro_warning_end(void)
{
	__atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
}

static bool is_runtime(const char *function)
{
	return !strncmp(function, "goro_", 5);
}

/*
 * Where the program's own frames begin. A stack that was taken in the runtime begins with its
 * functions: those that park, static ones, and the API's that the program called. That one is not
 * there if it went on to a static one in its last line; which then stands for it.
 */
static uint32_t skip_runtime(const struct call_stack *at)
{
	uint32_t first = 0;
	bool parked = false, called = false;
	struct line line;

	for (uint32_t i = 0; i < at->n; i++) {
		goro_line_of(at->pc[i], true, &line);
		if (!strcmp(line.function, "goro_main"))
			break;
		if (!strncmp(line.function, "goro_park", 9)) {
			parked = true;
		} else if (is_runtime(line.function)) {
			called |= parked;
		} else {
			if (called || !i)
				return i;
			first = first || !parked ? first : i;
		}
	}
	return first;
}

void goro_warning_stack(FILE *out, const struct call_stack *at)
{
	for (uint32_t i = skip_runtime(at); i < at->n; i++) {
		struct line line;

		goro_line_of(at->pc[i], true, &line);
		if (is_runtime(line.function))
			return;
		fprintf(out, "    %s(...)\n    \t%s:%d\n", line.function, line.file, line.number);
		if (!strcmp(line.function, "main"))
			return;
	}
}

/* ---- for the program itself ------------------------------------------------------------------ */

enum { OWN_FRAMES = 100 };

struct own_stack {
	unsigned long id;
	void *pc[OWN_FRAMES];
	int n;
	char *text;
};

/* Of the runtime only what began a panic is of interest: below it is who called it. */
static void write_frames(FILE *out, const struct own_stack *own)
{
	struct line line;

	for (int i = 0; i < own->n; i++) {
		goro_line_of((uintptr_t)own->pc[i], true, &line);
		if (!strcmp(line.function, "goro_main"))
			return;
		if (is_runtime(line.function) && strcmp(line.function, "goro_panic") != 0)
			continue;
		fprintf(out, "%s(...)\n\t%s:%d +0x%lx\n", line.function, line.file, line.number,
			(unsigned long)line.offset);
		if (!strcmp(line.function, "main"))
			return;
	}
	if (own->n == OWN_FRAMES)
		fputs("...additional frames elided...\n", out);
}

static void write_stack(void *arg)
{
	struct own_stack *own = arg;
	size_t size;
	FILE *out = open_memstream(&own->text, &size);

	if (!out)
		return;
	fprintf(out, "goroutine %lu [running]:\n", own->id);
	goro_warning_begin();
	write_frames(out, own);
	goro_warning_end();
	if (fclose(out)) {
		free(own->text);
		own->text = NULL;
	}
}

/* The caller's frames begin behind ours. */
noinline char *goro_stack(void)
{
	struct own_stack own = { .id = (unsigned long)goro_id(), .text = NULL };
	void *pc[OWN_FRAMES + 1];
	int n = QUIETLY(unw_backtrace(pc, OWN_FRAMES + 1));

	for (int i = 1; i < n && !is_entry(pc[i]); i++)
		own.pc[own.n++] = pc[i];
	goro_blocking(write_stack, &own);
	return own.text;
}

void goro_warning_say(const char *kind, const char *text)
{
	os_write(STDERR_FILENO, text, strlen(text));
	goro_gate_warning(kind, text);
}
