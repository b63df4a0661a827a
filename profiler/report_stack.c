/* SPDX-License-Identifier: MIT */
/*
 * report_stack.c - one goroutine: what it waits for and for whom, its stack with the source around
 * the line where it stands, its memory.
 */
#include "report.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "goro_introspect.h"

#define SOURCE_AROUND 3		  /* lines before and after */
#define SOURCE_MAX    (16u << 20) /* no source file is bigger than that */
#define CHAIN_MAX     32

static void put_source_line(const struct report *r, const char *line, uint32_t number, bool here)
{
	fprintf(r->out, "    %c %5" PRIu32 "  ", here ? '>' : ' ', number);
	for (; *line && *line != '\n'; line++)
		putc((unsigned char)*line < ' ' && *line != '\t' ? '?' : *line, r->out);
	putc('\n', r->out);
}

/* The path is the target's word: whatever is not a plain file of decent size is left alone. */
static FILE *open_source(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > SOURCE_MAX) {
		close(fd);
		return NULL;
	}
	return fdopen(fd, "r");
}

static void put_source(const struct report *r, const struct goro_frame *f)
{
	FILE *in = f->file && f->line ? open_source(f->file) : NULL;
	uint32_t number = 0;
	char *line = NULL;
	size_t size = 0;

	while (in && number < f->line + SOURCE_AROUND && getline(&line, &size, in) > 0) {
		number++;
		if (number + SOURCE_AROUND < f->line)
			continue;
		report_style(r, number == f->line ? "1" : "");
		put_source_line(r, line, number, number == f->line);
	}
	report_style(r, "");
	free(line);
	if (in)
		fclose(in);
}

static void put_stack(const struct report *r, const struct goro_info *g)
{
	struct goro_frame blocked;

	report_style(r, "1");
	report_heading(r, g);
	report_style(r, "");
	fputc('\n', r->out);
	report_frames(r, g, "  ");
	if (report_blocked_frame(r, g, &blocked))
		put_source(r, &blocked);
}

static void put_origin(const struct report *r, const struct goro_info *g)
{
	struct goro_frame site;

	if (g->flags & GORO_FLAG_MAIN)
		fputs("the main goroutine\n", r->out);
	if (g->flags & GORO_FLAG_FOREIGN)
		fputs("a thread that the program made\n", r->out);
	if (!g->spawn_pc || !goro_scope_spawn_site(r->scope, g, &site))
		return;
	fputs("started by ", r->out);
	report_frame(r->out, &site);
	if (g->parent)
		fprintf(r->out, " in goroutine %" PRIu64, g->parent);
	fputc('\n', r->out);
}

static void put_chain(const struct report *r, const struct goro_info *g)
{
	uint64_t chain[CHAIN_MAX];
	bool cycle;
	size_t n = goro_wait_chain(r->snap, g->id, chain, CHAIN_MAX, &cycle);

	if (n < 2 && !cycle)
		return;
	fputs("waits for:\n", r->out);
	for (size_t i = 1; i < n; i++) {
		const struct goro_info *h = goro_snapshot_find(r->snap, chain[i]);
		struct goro_frame blocked;

		fputs("  ", r->out);
		if (!h) {
			fprintf(r->out, "goroutine %" PRIu64 ", which has ended\n", chain[i]);
			continue;
		}
		report_heading(r, h);
		if (report_blocked_frame(r, h, &blocked)) {
			fputc(' ', r->out);
			report_frame(r->out, &blocked);
		}
		fputc('\n', r->out);
	}
	if (cycle)
		fputs("  which waits for one of these: a cycle\n", r->out);
	else if (n == CHAIN_MAX)
		fputs("  and so on\n", r->out);
}

static void put_memory(const struct report *r, const struct goro_info *g)
{
	char reserved[TEXT_NUMBER], resident[TEXT_NUMBER], used[TEXT_NUMBER], peak[TEXT_NUMBER];

	if (g->stack_hi <= g->stack_lo)
		return;
	fprintf(r->out, "stack: %s reserved, %s in memory",
		text_bytes(reserved, g->stack_hi - g->stack_lo),
		text_bytes(resident, g->stack_resident));
	if (g->stack_used)
		fprintf(r->out, ", %s in use", text_bytes(used, g->stack_used));
	if (g->stack_peak > g->stack_resident)
		fprintf(r->out, ", %s at its deepest", text_bytes(peak, g->stack_peak));
	fputc('\n', r->out);
	if (g->held_locks)
		fprintf(r->out, "holds %" PRIu32 " lock%s\n", g->held_locks, plural(g->held_locks));
}

static void put_heap(const struct report *r, const struct goro_info *g)
{
	const struct goro_heap *h = &r->snap->heap[g - r->snap->g];
	char total[TEXT_NUMBER];

	fputs("holds ", r->out);
	report_heap(r->out, h);
	fprintf(r->out, ", has allocated %s in %" PRIu64 "\n", text_bytes(total, h->total_bytes),
		h->total_objects);
}

void report_stack_text(const struct report *r, const struct goro_info *g)
{
	put_stack(r, g);
	put_origin(r, g);
	put_chain(r, g);
	put_memory(r, g);
	if (r->snap->heap)
		put_heap(r, g);
}
