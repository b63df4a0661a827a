/* SPDX-License-Identifier: MIT */
/* no_traceback.c - fatal reports without stacks: only their message, and which goroutine it was. */
#include <string.h>

#include "lines.h"
#include "report.h"

void goro_traceback(const struct report *r)
{
	if (r->g)
		goro_report_say("\ngoroutine %lu\n", (unsigned long)r->g->id);
}

const char *goro_called_at(const void *ucontext)
{
	(void)ucontext;
	return NULL;
}

void goro_lines_plain(void)
{
}

void goro_lines_init(void)
{
}

void goro_line_of(uintptr_t pc, bool is_return, struct line *line)
{
	(void)is_return;
	memset(line, 0, sizeof(*line));
	strcpy(line->function, "?");
	line->offset = pc;
}

bool goro_exit_frames(uintptr_t *lo, uintptr_t *hi)
{
	(void)lo, (void)hi;
	return false;
}
