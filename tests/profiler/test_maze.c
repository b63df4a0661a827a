/* SPDX-License-Identifier: MIT */
/*
 * test_maze.c - the frames that are found are the functions that were called, on hundreds of random
 * ways through functions of every shape, and both unwinders agree on every one of them.
 *
 *	test_maze PROGRAM [SEED]	PROGRAM is tests/targets/maze.c, compiled in some way
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <unistd.h>
#include "goro_introspect.h"
#include "program.h"
#include "scope.h"

enum { WORDS_MAX = 64 };

static const char *program, *seed = "1";
static char ways_path[] = "/tmp/goro-maze-XXXXXX";

static char *read_ways(void)
{
	FILE *f = fopen(ways_path, "r");
	char *text = NULL;
	size_t size = 0;
	ssize_t n;

	assert_non_null(f);
	n = getdelim(&text, &size, '\0', f);
	fclose(f);
	if (n > 0)
		return text;
	free(text);
	return NULL;
}

/* All of them have arrived, and are asleep. */
static bool all_arrived(struct goro_scope *scope, const struct goro_snapshot *snap, void *arg)
{
	char *text = read_ways();
	bool done = text && strstr(text, "\ndone\n");

	(void)scope, (void)arg;
	free(text);
	for (size_t i = 0; done && i < snap->ng; i++)
		done = snap->g[i].stack_id != GORO_NO_STACK &&
		       snap->g[i].state == GORO_STATE_WAITING;
	return done;
}

static const struct goro_info *find(const struct goro_snapshot *snap, uint64_t id)
{
	for (size_t i = 0; i < snap->ng; i++)
		if (snap->g[i].id == id)
			return &snap->g[i];
	fail_msg("goroutine %llu is missing", (unsigned long long)id);
	return NULL;
}

static bool same_name(const char *found, const char *called)
{
	/* "shape_plain(walk*)" is shape_plain, and so is "(anonymous
	 * namespace)::square::go(...)". */
	size_t len = strlen(called);
	const char *at = found ? strstr(found, called) : NULL;

	/* A lambda by itself would be anybody's. */
	if (at == found && strcmp(called, "operator()") == 0)
		return false;
	return at && (at == found || at[-1] == ':' || at[-1] == ' ') &&
	       (at[len] == '\0' || at[len] == '(' || at[len] == '<');
}

/* The program's own functions, without what the compiler put inline and what the library calls. */
static size_t own(struct goro_frame *v, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		const char *file = goro_basename(v[i].file);

		if (!v[i].runtime && !v[i].inlined && file && strncmp(file, "maze.", 5) == 0)
			v[kept++] = v[i];
	}
	return kept;
}

/* One line: "ID outermost ... innermost". */
static void check_way(struct goro_scope *scope, const struct goro_snapshot *snap, char *line)
{
	char *words[WORDS_MAX], *word;
	const struct goro_info *g = find(snap, strtoull(strtok(line, " "), NULL, 10));
	size_t n = 0, nframes, user, nown;
	struct goro_frame *frames = goro_scope_frames(scope, snap, g->stack_id, &nframes, &user);
	bool same;

	while (n < WORDS_MAX && (word = strtok(NULL, " ")))
		words[n++] = word;
	nown = own(frames, nframes);
	same = snap->stacks[g->stack_id].complete && nown == n;
	for (size_t i = 0; same && i < n; i++)
		same = same_name(frames[i].function, words[n - 1 - i]);
	if (!same) {
		for (size_t i = 0; i < n || i < nown; i++)
			print_error("%3zu called %-24s found %s\n", i,
				    i < n ? words[n - 1 - i] : "",
				    i < nown && frames[i].function ? frames[i].function : "");
		fail_msg("goroutine %llu (%s, seed %s)", (unsigned long long)g->id, program, seed);
	}
	free(frames);
}

static void test_maze(void **state)
{
	const char *argv[] = { program, seed, ways_path, NULL };
	struct unwind_comparison both = { 0 };
	struct goro_snapshot *snap;
	struct goro_scope *scope;
	char *ways, *line, *next;
	size_t lines = 0;
	pid_t pid;

	(void)state;
	close(mkstemp(ways_path));
	pid = program_start(argv);
	scope = program_open(pid);
	unwinder_compare(scope->unwinder, &both);
	snap = program_snapshot(scope, all_arrived, NULL);
	assert_int_equal(both.different, 0);
	assert_int_equal(snap->truncated, 0);
	ways = read_ways();
	for (line = ways; (next = strchr(line, '\n')) && strncmp(line, "done", 4) != 0;
	     line = next + 1) {
		*next = '\0';
		check_way(scope, snap, line);
		lines++;
	}
	assert_int_equal(lines, 300);
	print_message("%zu ways, %zu stacks compared, %zu by libunwind only\n", lines,
		      both.compared, both.only_libunwind);
	free(ways);
	goro_snapshot_free(snap);
	goro_scope_close(scope);
	program_stop(pid);
	unlink(ways_path);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_maze) };

	if (argc < 2)
		return 2;
	program = argv[1];
	if (argc > 2)
		seed = argv[2];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
