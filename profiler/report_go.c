/* SPDX-License-Identifier: MIT */
/*
 * report_go.c - all goroutines of a snapshot as Go prints its own, for the tools that read that.
 *
 *	goroutine 7 [chan receive, 2 minutes, locked to thread, "parser", request=1234]:
 *	pop(...)
 *		/src/queue.h:40
 *	worker(...)
 *		/src/leaky.c:12 +0x2b
 *	created by main in goroutine 1
 *		/src/leaky.c:31 +0x5f
 *
 * The rules are those of Go's runtime/traceback.go: whole minutes, from one on, and only of one
 * that waits; an offset only behind the first instruction, and none of a function put into
 * another; of one that has not run yet, its function. Where a wait of ours has no word in Go, it is
 * called as Go calls what a program of its own would wait in. Below main and a thread's function
 * are only those of the C library that call them, as Go's runtime.main is below main.main: they are
 * not shown. A name and labels, which Go does not show unless told to, are remarks as minutes are.
 *
 * Not as Go: of a deep stack all is shown, not the first and the last fifty.
 */
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "goro_introspect.h"

static const char *go_state(const struct goro_info *g)
{
#define NAME(id, name) [GORO_REASON_##id] = name,
	static const char *const reasons[GORO_NREASONS] = { GORO_REASONS_IN_GO(NAME) };
#undef NAME

	if (g->state == GORO_STATE_NEW)
		return "runnable";
	if (g->state == GORO_STATE_WAITING && g->reason < GORO_NREASONS && reasons[g->reason])
		return reasons[g->reason];
	return goro_state_text(g);
}

static void put_place(const struct report *r, const struct goro_frame *f)
{
	fputc('\t', r->out);
	report_put(r->out, f->file ? f->file : "??");
	fprintf(r->out, ":%" PRIu32, f->line);
	if (f->function_offset && !f->inlined)
		fprintf(r->out, " +0x%" PRIx64, f->function_offset);
	fputc('\n', r->out);
}

static void put_function(const struct report *r, const struct goro_frame *f)
{
	if (f->function)
		report_put(r->out, f->function);
	else
		fprintf(r->out, "0x%" PRIx64, f->pc);
}

static void put_call(const struct report *r, const struct goro_frame *f)
{
	put_function(r, f);
	fputs("(...)\n", r->out);
	put_place(r, f);
}

/* The C library's own, which calls main and the functions of threads. */
static bool calls_threads(const struct goro_frame *f)
{
	const char *module = goro_basename(f->module);

	return (module && strncmp(module, "libc.so", 7) == 0) ||
	       (f->function && (strcmp(f->function, "start_thread") == 0 ||
				strncmp(f->function, "clone", 5) == 0));
}

/* How many of the frames are the program's. */
static size_t end_of(const struct goro_info *g, const struct goro_frame *frames, size_t n)
{
	size_t end = n;

	for (size_t i = 0; i < n && g->flags & GORO_FLAG_MAIN; i++) {
		if (frames[i].function && strcmp(frames[i].function, "main") == 0)
			return i + 1;
	}
	while (g->flags & GORO_FLAG_FOREIGN && end > 0 && calls_threads(&frames[end - 1]))
		end--;
	return end ? end : n;
}

static void put_stack(const struct report *r, const struct goro_info *g)
{
	size_t n = 0, user = 0, end;
	struct goro_frame *frames = goro_scope_frames(r->scope, r->snap, g->stack_id, &n, &user);

	end = frames ? end_of(g, frames, n) : 0;
	for (size_t i = user < end ? user : 0; i < end; i++) {
		if (user >= end || !frames[i].runtime)
			put_call(r, &frames[i]);
	}
	free(frames);
	if (!r->snap->stacks[g->stack_id].complete)
		fputs("...additional frames elided...\n", r->out);
}

/* Stacks as they were told; one forgets the other whose place it takes. */
enum { TOLD = 256 };

struct told {
	uint32_t stack_id;
	uint8_t flags; /* of a goroutine: some of its frames are left out by them */
	char *text;    /* NULL: none yet */
	size_t size;
};

static void forget(struct told *t)
{
	free(t->text);
	*t = (struct told){ 0 };
}

/* False: out of memory. */
static bool tell(const struct report *r, const struct goro_info *g, struct told *t)
{
	struct report to = *r;

	forget(t);
	to.out = open_memstream(&t->text, &t->size);
	if (!to.out)
		return false;
	put_stack(&to, g);
	if (fclose(to.out) != 0) {
		forget(t);
		return false;
	}
	t->stack_id = g->stack_id;
	t->flags = g->flags;
	return true;
}

/* Of a million, most stand on a few stacks. */
static void put_known_stack(const struct report *r, const struct goro_info *g, struct told *told)
{
	struct told *t = &told[g->stack_id % TOLD];

	if ((t->text && t->stack_id == g->stack_id && t->flags == g->flags) || tell(r, g, t))
		fwrite(t->text, 1, t->size, r->out);
	else
		put_stack(r, g);
}

/* It will begin there. */
static bool put_entry(const struct report *r, const struct goro_info *g)
{
	const struct goro_frame *frames;
	size_t n = 0;

	if (g->state != GORO_STATE_NEW || !g->entry)
		return false;
	frames = goro_scope_symbolize(r->scope, g->entry, false, &n);
	if (n)
		put_call(r, &frames[n - 1]);
	return n != 0;
}

static void put_creator(const struct report *r, const struct goro_info *g)
{
	struct goro_frame site;

	if (!g->spawn_pc || !goro_scope_spawn_site(r->scope, g, &site))
		return;
	fputs("created by ", r->out);
	put_function(r, &site);
	if (g->parent)
		fprintf(r->out, " in goroutine %" PRIu64, g->parent);
	fputc('\n', r->out);
	put_place(r, &site);
}

static void put_goroutine(const struct report *r, const struct goro_info *g, struct told *told)
{
	uint64_t minutes = g->wait_ns / UINT64_C(60000000000);

	fprintf(r->out, "goroutine %" PRIu64 " [%s", g->id, go_state(g));
	if (g->state == GORO_STATE_WAITING && minutes)
		fprintf(r->out, ", %" PRIu64 " minutes", minutes);
	if (g->flags & GORO_FLAG_LOCKED)
		fputs(", locked to thread", r->out);
	report_remarks(r, g);
	fputs("]:\n", r->out);
	if (g->stack_id != GORO_NO_STACK)
		put_known_stack(r, g, told);
	else if (!put_entry(r, g))
		fputs("\tgoroutine running on other thread; stack unavailable\n", r->out);
	put_creator(r, g);
}

void report_dump_go(const struct report *r)
{
	struct told told[TOLD] = { 0 };
	struct goro_walk walk = { .snap = r->snap };
	const struct goro_info *g;
	bool first = true;

	while ((g = goro_snapshot_next(&walk))) {
		if (!first)
			fputc('\n', r->out);
		put_goroutine(r, g, told);
		first = false;
	}
	for (size_t i = 0; i < TOLD; i++)
		forget(&told[i]);
}
