/* SPDX-License-Identifier: MIT */
/*
 * test_stacks.c - a target program's goroutines look as the head comment of its source says, and
 * both unwinders agree on every stack of it.
 *
 *	test_stacks SOURCE PROGRAM [no-names] [no-reference] [frame-pointers] [needs-libunwind]
 *
 * no-names: PROGRAM is stripped; then only states, counts and completeness are looked at.
 * no-reference: it has code that libunwind has no table for. frame-pointers: nor have we.
 * needs-libunwind: it has frames that rows cannot describe.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "expect.h"
#include "program.h"
#include "scope.h"

static const char *source, *program;
static bool names = true, no_reference, frame_pointers, needs_libunwind;

struct want {
	struct expectation e;
	char *why; /* what was missing in the last snapshot */
};

/* Do the frames from v[0] on match f? How many of them, or 0. */
static size_t match_frame(const struct expected_frame *f, const struct goro_frame *v, size_t n,
			  const char *file)
{
	size_t times = 0;

	while (times < n && v[times].function && strcmp(v[times].function, f->function) == 0 &&
	       v[times].line == f->line && strcmp(goro_basename(v[times].file), file) == 0)
		times++;
	if (times > f->times && !f->at_least)
		times = f->times;
	return times >= f->times ? times : 0;
}

/* Leave those of the source: not the runtime's nor the C library's. */
static size_t own_frames(struct goro_frame *v, size_t n, const char *file)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (!v[i].runtime && v[i].file && strcmp(goro_basename(v[i].file), file) == 0)
			v[kept++] = v[i];
	}
	return kept;
}

static bool match_stack(struct goro_scope *scope, const struct goro_snapshot *snap, uint32_t id,
			const struct expected_stack *want, const char *file)
{
	const struct goro_stack *stack = &snap->stacks[id];
	size_t n, user, at = 0;
	struct goro_frame *frames;

	if (stack->complete == want->truncated || (stack->by_frame_pointer && !frame_pointers))
		return false;
	if (!names)
		return true;
	frames = goro_scope_frames(scope, snap, id, &n, &user);
	/* The first one that is not hidden is where the program called the runtime. */
	if (user == n || strcmp(goro_basename(frames[user].file), file) != 0)
		at = SIZE_MAX;
	n = own_frames(frames, n, file);
	for (size_t i = 0; i < want->n && at != SIZE_MAX; i++) {
		size_t more = match_frame(&want->frames[i], frames + at, n - at, file);

		at = more ? at + more : SIZE_MAX;
	}
	free(frames);
	return at == n;
}

/* How many goroutines look like that. Stacks are shared, so ask each one once. */
static unsigned count(struct goro_scope *scope, const struct goro_snapshot *snap,
		      const struct expected_stack *want, const char *file)
{
	int8_t *matches = calloc(snap->nstacks + 1, 1);
	unsigned found = 0;

	assert_non_null(matches);
	for (size_t i = 0; i < snap->ng; i++) {
		uint32_t id = snap->g[i].stack_id;

		if (id == GORO_NO_STACK || strcmp(goro_state_text(&snap->g[i]), want->state) != 0)
			continue;
		if (!matches[id])
			matches[id] = match_stack(scope, snap, id, want, file) ? 1 : -1;
		found += matches[id] > 0;
	}
	free(matches);
	return found;
}

/* Without names, others in the same state look the same. */
static unsigned count_alike(const struct expectation *e, const struct expected_stack *want)
{
	unsigned n = 0;

	for (size_t i = 0; i < e->n; i++) {
		if (strcmp(e->stacks[i].state, want->state) == 0 &&
		    e->stacks[i].truncated == want->truncated)
			n += e->stacks[i].count;
	}
	return n;
}

static bool all_there(struct goro_scope *scope, const struct goro_snapshot *snap, void *arg)
{
	struct want *w = arg;

	free(w->why);
	w->why = NULL;
	for (size_t i = 0; i < w->e.n; i++) {
		const struct expected_stack *want = &w->e.stacks[i];
		unsigned found = count(scope, snap, want, w->e.file);

		if (names ? found == want->count : found >= count_alike(&w->e, want))
			continue;
		assert_true(asprintf(&w->why, "%s %s: %u, not %u", want->state,
				     want->n ? want->frames[0].function : "", found,
				     want->count) > 0);
		return false;
	}
	return true;
}

static void print_snapshot(struct goro_scope *scope, const struct goro_snapshot *snap)
{
	for (size_t i = 0; i < snap->nstacks && i < 40; i++) {
		size_t n, user;
		struct goro_frame *f = goro_scope_frames(scope, snap, (uint32_t)i, &n, &user);

		print_error("stack %zu%s\n", i, snap->stacks[i].complete ? "" : " truncated");
		for (size_t j = 0; j < n && j < 20; j++)
			print_error("\t%s%s %s:%u\n", f[j].function ? f[j].function : "?",
				    f[j].inlined ? " (inlined)" : "", goro_basename(f[j].file),
				    f[j].line);
		free(f);
	}
}

static bool all_there_or_print(struct goro_scope *scope, const struct goro_snapshot *snap,
			       void *arg)
{
	static int64_t last;
	struct want *w = arg;
	bool ok = all_there(scope, snap, w);

	if (!last)
		last = now_ns() + DEADLINE_NS * 9 / 10;
	if (!ok && now_ns() > last) {
		print_error("missing: %s\n", w->why);
		print_snapshot(scope, snap);
		last = INT64_MAX;
	}
	return ok;
}

static void test_stacks(void **state)
{
	const char *argv[] = { program, NULL };
	struct unwind_comparison both = { 0 };
	struct want w = { 0 };
	struct goro_scope *scope;
	struct goro_snapshot *snap;
	pid_t pid;

	(void)state;
	expect_read(&w.e, source);
	pid = program_start(argv);
	scope = program_open(pid);
	unwinder_compare(scope->unwinder, &both);
	snap = program_snapshot(scope, all_there_or_print, &w);
	if (both.different) {
		for (unsigned i = 0; i < both.rows.n || i < both.libunwind.n; i++)
			print_error("%3u rows 0x%llx libunwind 0x%llx\n", i,
				    i < both.rows.n ? (unsigned long long)both.rows.pcs[i] : 0,
				    i < both.libunwind.n ? (unsigned long long)both.libunwind.pcs[i]
							 : 0);
	}
	assert_int_equal(both.different, 0);
	assert_int_equal(both.without_reference != 0, no_reference);
	assert_int_equal(both.only_libunwind != 0, needs_libunwind);
	assert_true(both.compared + both.without_reference + both.only_libunwind >= w.e.n);
	assert_int_equal(snap->bad_records, 0);
	print_message("%zu goroutines, %zu stacks compared, %zu by libunwind only, %.1f ms\n",
		      snap->ng, both.compared, both.only_libunwind, (double)snap->cost_ns / 1e6);
	goro_snapshot_free(snap);
	goro_scope_close(scope);
	program_stop(pid);
	free(w.why);
	expect_free(&w.e);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_stacks) };

	if (argc < 3)
		return 2;
	source = argv[1];
	program = argv[2];
	for (int i = 3; i < argc; i++) {
		names &= strcmp(argv[i], "no-names") != 0;
		no_reference |= strcmp(argv[i], "no-reference") == 0;
		frame_pointers |= strcmp(argv[i], "frame-pointers") == 0;
		needs_libunwind |= strcmp(argv[i], "needs-libunwind") == 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
